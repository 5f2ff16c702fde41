//! TLS 1.3 for QUIC, where each side proves that it holds the key its node id names.
//!
//! Both sides present their Ed25519 key as an RFC 7250 raw public key; there are no certificates,
//! no names and no authorities. A connection is for one node id, or for whoever answers (a seed
//! given by its address). There is no 0-RTT and no resumption, so every connection proves its key
//! anew.
//!
//! The expected id reaches the verifier in the server name, the one thing quinn hands through.
//! That name is never sent: SNI is off.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fmt;
use std::sync::Arc;

use ed25519_dalek::VerifyingKey;
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, PeerMisbehaved, SignatureScheme,
};
use zeroize::Zeroizing;

use super::{NodeId, SecretKey};

/// The protocol, and its version, that both sides must speak (ALPN).
const ALPN: &[u8] = b"macula/1";
/// What stands before the 32 bytes of a seed in PKCS #8 (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// What stands before the 32 bytes of a public key in a SubjectPublicKeyInfo (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
/// The domain of every server name, and the label that stands for any node.
const DOMAIN: &str = "macula";
const ANY: &str = "any";

/// One node's side of every handshake.
pub(crate) struct TlsIdentity {
    provider: Arc<CryptoProvider>,
    certified: Arc<CertifiedKey>,
}

/// The TLS library cannot do what the mesh needs; nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The provider refuses the key, or TLS 1.3.
    #[error("the TLS provider cannot serve Ed25519 keys over TLS 1.3: {0}")]
    Provider(#[from] rustls::Error),
    /// The provider lacks the cipher that QUIC begins with.
    #[error("the TLS provider lacks the first cipher of QUIC (AES-128-GCM with SHA-256): {0}")]
    Cipher(#[from] NoInitialCipherSuite),
}

impl TlsIdentity {
    pub(crate) fn new(key: &SecretKey) -> Result<Self, TlsError> {
        let provider = provider();
        let seed = Zeroizing::new(key.to_bytes());
        let pkcs8 = PrivatePkcs8KeyDer::from([&PKCS8_PREFIX[..], &*seed].concat());
        let signer = provider.key_provider.load_private_key(pkcs8.into())?;
        let spki = [&SPKI_PREFIX[..], key.id().as_bytes()].concat();
        let certified = Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], signer));
        Ok(Self { provider, certified })
    }

    /// For the connections this node accepts. Only peers that prove a key get one.
    pub(crate) fn server(&self) -> Result<QuicServerConfig, TlsError> {
        let mut config = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(RawKeyVerifier))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(
                self.certified.clone(),
            )));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        Ok(config.try_into()?)
    }

    /// For the connections this node makes, each with a name from [`server_name`].
    pub(crate) fn client(&self) -> Result<QuicClientConfig, TlsError> {
        let mut config = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(RawKeyVerifier))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                self.certified.clone(),
            )));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.enable_sni = false;
        config.enable_early_data = false;
        config.resumption = Resumption::disabled();
        Ok(config.try_into()?)
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.certified.cert.first().and_then(|key| node_id(key));
        f.debug_struct("TlsIdentity").field("id", &id).finish_non_exhaustive()
    }
}

/// The server name to connect with so that only `expected` is accepted, or with `None`, so that
/// any node is.
pub(crate) fn server_name(expected: Option<NodeId>) -> String {
    match expected {
        // A label of a name holds 63 characters at most, the id has 64.
        Some(id) => {
            let digits = id.to_string();
            let (first, second) = digits.split_at(digits.len() / 2);
            format!("{first}.{second}.{DOMAIN}")
        }
        None => format!("{ANY}.{DOMAIN}"),
    }
}

/// Who is at the other end. `None` before the handshake is complete, in which the key is checked.
pub(crate) fn peer_id(connection: &quinn::Connection) -> Option<NodeId> {
    let keys = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    match keys.as_slice() {
        [key] => presented_id(key),
        _ => None,
    }
}

/// By feature, never the default of the process, which belongs to the application.
fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "ring")]
    use rustls::crypto::ring as chosen;

    #[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
    use rustls::crypto::aws_lc_rs as chosen;

    Arc::new(chosen::default_provider())
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
compile_error!("macula needs a TLS provider: enable the feature `ring` or `aws-lc-rs`");

/// Whom a server name allows: the outer `None` when it is none of ours.
fn expected(name: &ServerName<'_>) -> Option<Option<NodeId>> {
    let ServerName::DnsName(name) = name else { return None };
    let name = name.as_ref().strip_suffix(DOMAIN)?.strip_suffix('.')?;
    if name == ANY {
        return Some(None);
    }
    let (first, second) = name.split_once('.')?;
    [first, second].concat().parse().ok().map(Some)
}

/// The id in a SubjectPublicKeyInfo of an Ed25519 key, which may be none that anybody can hold.
fn presented_id(spki: &[u8]) -> Option<NodeId> {
    let bytes: &[u8; 32] = spki.strip_prefix(&SPKI_PREFIX)?.try_into().ok()?;
    Some(NodeId::from_bytes(*bytes))
}

/// The id in a SubjectPublicKeyInfo. `None` unless it is an Ed25519 key that has a secret half
/// which is hard to find.
fn node_id(spki: &[u8]) -> Option<NodeId> {
    let id = presented_id(spki)?;
    let key = VerifyingKey::from_bytes(id.as_bytes()).ok()?;
    (!key.is_weak()).then_some(id)
}

/// Accepts raw Ed25519 keys, and of servers only the one the server name allows.
#[derive(Debug)]
struct RawKeyVerifier;

impl RawKeyVerifier {
    fn presented(
        key: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
    ) -> Result<NodeId, rustls::Error> {
        match more {
            [] => node_id(key).ok_or(CertificateError::BadEncoding.into()),
            _ => Err(CertificateError::BadEncoding.into()),
        }
    }

    /// Checks with our own strict verification, so that every provider accepts the same.
    fn verify(
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if signed.scheme != SignatureScheme::ED25519 {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        // The key itself was checked when it was presented; a strict verification refuses weak ones.
        let id = presented_id(key).ok_or(CertificateError::BadEncoding)?;
        match signed.signature().try_into() {
            Ok(signature) if id.verify(message, signature) => {
                Ok(HandshakeSignatureValid::assertion())
            }
            _ => Err(CertificateError::BadSignature.into()),
        }
    }
}

impl ServerCertVerifier for RawKeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let presented = Self::presented(end_entity, intermediates)?;
        match expected(server_name) {
            Some(None) => Ok(ServerCertVerified::assertion()),
            Some(Some(id)) if id == presented => Ok(ServerCertVerified::assertion()),
            _ => Err(CertificateError::NotValidForName.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Self::verify(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for RawKeyVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Self::presented(end_entity, intermediates).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Self::verify(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use quinn::{ConnectionError, Endpoint};
    use rustls::client::ResolvesClientCert;

    use super::*;

    const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    fn endpoint(key: &SecretKey) -> Endpoint {
        let identity = TlsIdentity::new(key).unwrap();
        let server = quinn::ServerConfig::with_crypto(Arc::new(identity.server().unwrap()));
        let mut endpoint = Endpoint::server(server, LOOPBACK).unwrap();
        let client = quinn::ClientConfig::new(Arc::new(identity.client().unwrap()));
        endpoint.set_default_client_config(client);
        endpoint
    }

    /// The outcome at the dialler and at the listener.
    async fn meet(
        dialler: &Endpoint,
        listener: &Endpoint,
        name: &str,
    ) -> [Result<quinn::Connection, ConnectionError>; 2] {
        let connecting = dialler.connect(listener.local_addr().unwrap(), name).unwrap();
        let accepting = async { listener.accept().await.unwrap().await };
        let (dialled, accepted) = tokio::join!(connecting, accepting);
        [dialled, accepted]
    }

    fn reason(error: &ConnectionError) -> String {
        match error {
            ConnectionError::TransportError(error) => error.reason.clone(),
            other => panic!("not refused by the handshake: {other}"),
        }
    }

    #[tokio::test]
    async fn both_sides_learn_who_the_other_is() {
        let (a, b) = (SecretKey::generate(), SecretKey::generate());
        let (dialler, listener) = (endpoint(&a), endpoint(&b));
        for name in [server_name(Some(b.id())), server_name(None)] {
            let [dialled, accepted] = meet(&dialler, &listener, &name).await.map(Result::unwrap);
            assert_eq!(peer_id(&dialled), Some(b.id()));
            assert_eq!(peer_id(&accepted), Some(a.id()));

            let data = accepted.handshake_data().unwrap();
            let data = data.downcast::<quinn::crypto::rustls::HandshakeData>().unwrap();
            assert_eq!(data.protocol.as_deref(), Some(ALPN));
            assert_eq!(data.server_name, None, "the name must not be sent");
        }
    }

    #[tokio::test]
    async fn another_node_at_the_address_is_refused() {
        let (a, b, expected) =
            (SecretKey::generate(), SecretKey::generate(), SecretKey::generate());
        let (dialler, listener) = (endpoint(&a), endpoint(&b));
        let [dialled, accepted] =
            meet(&dialler, &listener, &server_name(Some(expected.id()))).await;
        assert!(reason(&dialled.unwrap_err()).contains("NotValidForName"));
        assert!(accepted.is_err());
    }

    #[tokio::test]
    async fn a_name_that_is_none_of_ours_is_refused() {
        let (dialler, listener) =
            (endpoint(&SecretKey::generate()), endpoint(&SecretKey::generate()));
        for name in ["example.com", "macula", "x.macula", "any.any.macula", "127.0.0.1"] {
            let [dialled, _] = meet(&dialler, &listener, name).await;
            assert!(reason(&dialled.unwrap_err()).contains("NotValidForName"), "{name}");
        }
    }

    #[tokio::test]
    async fn a_dialler_without_a_key_is_refused() {
        #[derive(Debug)]
        struct Keyless {
            offers_raw_keys: bool,
        }

        impl ResolvesClientCert for Keyless {
            fn resolve(
                &self,
                _root_hint_subjects: &[&[u8]],
                _sigschemes: &[SignatureScheme],
            ) -> Option<Arc<CertifiedKey>> {
                None
            }

            fn only_raw_public_keys(&self) -> bool {
                self.offers_raw_keys
            }

            fn has_certs(&self) -> bool {
                false
            }
        }

        let listener = endpoint(&SecretKey::generate());
        for (offers_raw_keys, expected) in
            [(true, "peer sent no certificates"), (false, "IncorrectCertificateTypeExtension")]
        {
            let dialler = custom_dialler(ALPN, Arc::new(Keyless { offers_raw_keys }));
            let [_, accepted] = meet(&dialler, &listener, &server_name(None)).await;
            let reason = reason(&accepted.unwrap_err());
            assert!(reason.contains(expected), "{reason}");
        }
    }

    #[tokio::test]
    async fn a_dialler_with_the_key_of_another_is_refused() {
        let (own, another) = (SecretKey::generate(), SecretKey::generate());
        let own = TlsIdentity::new(&own).unwrap().certified;
        let another = TlsIdentity::new(&another).unwrap().certified;
        let stolen = CertifiedKey::new(another.cert.clone(), own.key.clone());
        let dialler = custom_dialler(ALPN, raw_key(Arc::new(stolen)));
        let listener = endpoint(&SecretKey::generate());
        let [_, accepted] = meet(&dialler, &listener, &server_name(None)).await;
        let reason = reason(&accepted.unwrap_err());
        assert!(reason.contains("BadSignature"), "{reason}");
    }

    #[tokio::test]
    async fn a_dialler_of_another_protocol_is_refused() {
        let identity = TlsIdentity::new(&SecretKey::generate()).unwrap();
        let listener = endpoint(&SecretKey::generate());
        let dialler = custom_dialler(b"macula/0", raw_key(identity.certified));
        let [dialled, accepted] = meet(&dialler, &listener, &server_name(None)).await;
        assert!(reason(&accepted.unwrap_err()).contains("protocol"));
        assert!(dialled.is_err());
    }

    fn raw_key(certified: Arc<CertifiedKey>) -> Arc<AlwaysResolvesClientRawPublicKeys> {
        Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified))
    }

    fn custom_dialler(alpn: &[u8], resolver: Arc<dyn ResolvesClientCert>) -> Endpoint {
        let mut config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(RawKeyVerifier))
            .with_client_cert_resolver(resolver);
        config.alpn_protocols = vec![alpn.to_vec()];
        let config = QuicClientConfig::try_from(config).unwrap();
        let mut dialler = Endpoint::client(LOOPBACK).unwrap();
        dialler.set_default_client_config(quinn::ClientConfig::new(Arc::new(config)));
        dialler
    }

    #[test]
    fn names_carry_the_expected_id() {
        let id = SecretKey::from_bytes([3; 32]).id();
        let name = ServerName::try_from(server_name(Some(id))).unwrap();
        assert_eq!(expected(&name), Some(Some(id)));
        assert_eq!(expected(&ServerName::try_from(server_name(None)).unwrap()), Some(None));
    }

    #[test]
    fn only_strong_ed25519_keys_name_a_node() {
        let id = SecretKey::from_bytes([3; 32]).id();
        let spki = |bytes: &[u8]| [&SPKI_PREFIX[..], bytes].concat();
        assert_eq!(node_id(&spki(id.as_bytes())), Some(id));
        assert_eq!(node_id(id.as_bytes()), None);
        assert_eq!(node_id(&spki(&id.as_bytes()[1..])), None);
        assert_eq!(node_id(&[spki(id.as_bytes()), vec![0]].concat()), None);
        let neutral: [u8; 32] = std::array::from_fn(|i| u8::from(i == 0));
        assert_eq!(node_id(&spki(&neutral)), None);
    }
}
