//! A client that speaks QUIC and TLS as a node does, and after that says what it likes. The
//! protocol is written out here a second time, from its description.

use std::net::SocketAddr;
use std::sync::Arc;

use macula::identity::{NodeId, SecretKey};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, Endpoint, EndpointConfig, RecvStream, SendStream};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::time::timeout;

use crate::victim::{COOKIE, PATIENCE, REALM, Victim, address};

pub(crate) const PKCS8: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
pub(crate) const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

pub(crate) struct Rude {
    pub(crate) key: SecretKey,
    pub(crate) addr: SocketAddr,
    pub(crate) victim: NodeId,
    pub(crate) connection: Connection,
    _endpoint: Endpoint,
}

/// The two ends of the lane of a member.
pub(crate) struct Lane {
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
}

impl Rude {
    /// Connects with a key of its own.
    pub(crate) async fn connect(victim: &Victim, host: u8) -> Self {
        let key = SecretKey::generate();
        Self::try_connect(victim, host, key, true).await.unwrap()
    }

    pub(crate) async fn try_connect(
        victim: &Victim,
        host: u8,
        key: SecretKey,
        shows_key: bool,
    ) -> Result<Self, ConnectionError> {
        Self::connect_to(victim, (victim.mesh.addr(), victim.mesh.id()), host, key, shows_key).await
    }

    /// Connects to this node.
    pub(crate) async fn connect_to(
        victim: &Victim,
        (to, id): (SocketAddr, NodeId),
        host: u8,
        key: SecretKey,
        shows_key: bool,
    ) -> Result<Self, ConnectionError> {
        let addr = address(host);
        let socket = victim.network.bind(addr).unwrap();
        let runtime = Arc::new(quinn::TokioRuntime);
        let config = EndpointConfig::default();
        let endpoint = Endpoint::new_with_abstract_socket(config, None, socket, runtime).unwrap();
        let tls = QuicClientConfig::try_from(tls(&key, shows_key)).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(tls));
        let connecting = endpoint.connect_with(config, to, "any.macula").unwrap();
        let connection = timeout(PATIENCE, connecting).await.unwrap()?;
        Ok(Self { key, addr, victim: id, connection, _endpoint: endpoint })
    }

    /// Connects, and becomes a member.
    pub(crate) async fn member(victim: &Victim, host: u8) -> (Self, Lane) {
        let rude = Self::connect(victim, host).await;
        let mut lane = rude.hello(&rude.proof(1, COOKIE)).await;
        let welcome = lane.frame().await.expect("a welcome");
        assert_eq!(welcome.len(), 34);
        assert_eq!(welcome[2..], blake3_proof(&rude, 2, COOKIE));
        lane.say(&rude.introduction(rude.key.id())).await;
        assert!(lane.frame().await.is_some(), "the victim introduces itself");
        (rude, lane)
    }

    pub(crate) async fn open(&self) -> Lane {
        let (send, recv) = self.connection.open_bi().await.unwrap();
        Lane { send, recv }
    }

    /// Says hello with this proof.
    pub(crate) async fn hello(&self, proof: &[u8; 32]) -> Lane {
        let mut lane = self.open().await;
        lane.say(&hello(REALM, proof)).await;
        lane
    }

    /// The proof of this connection: by the dialler (1) or the listener (2).
    pub(crate) fn proof(&self, role: u8, cookie: &[u8]) -> [u8; 32] {
        blake3_proof(self, role, cookie)
    }

    pub(crate) fn introduction(&self, id: NodeId) -> Vec<u8> {
        let generation = 1_u64;
        postcard::to_allocvec(&((id, self.addr, generation), false)).unwrap()
    }

    /// Waits until the victim closes the connection, and gives the code. It never says why.
    pub(crate) async fn closed(&self) -> u64 {
        match timeout(PATIENCE, self.connection.closed()).await.expect("it stays open") {
            ConnectionError::ApplicationClosed(close) => {
                assert!(close.reason.is_empty(), "{close:?}");
                close.error_code.into_inner()
            }
            other => panic!("{other:?}"),
        }
    }
}

impl Lane {
    /// Sends a frame. The victim may have closed the connection by then.
    pub(crate) async fn say(&mut self, content: &[u8]) {
        let mut frame = u32::try_from(content.len()).unwrap().to_le_bytes().to_vec();
        frame.extend_from_slice(content);
        let _ = self.send.write_all(&frame).await;
    }

    /// The next frame, if one comes before the end.
    pub(crate) async fn frame(&mut self) -> Option<Vec<u8>> {
        let read = async {
            let mut prefix = [0; 4];
            self.recv.read_exact(&mut prefix).await.ok()?;
            let mut content = vec![0; u32::from_le_bytes(prefix) as usize];
            self.recv.read_exact(&mut content).await.ok()?;
            Some(content)
        };
        timeout(PATIENCE, read).await.expect("neither a frame nor the end")
    }

    /// The next frame of this kind.
    pub(crate) async fn frame_of(&mut self, kind: u8) -> Vec<u8> {
        loop {
            let frame = self.frame().await.expect("the connection was closed");
            if frame[0] == kind {
                return frame;
            }
        }
    }
}

pub(crate) fn hello(realm: &str, proof: &[u8; 32]) -> Vec<u8> {
    let mut hello = b"macula\x01\x00\x01\x00".to_vec();
    hello.extend_from_slice(&tag(realm));
    hello.extend_from_slice(proof);
    hello
}

pub(crate) fn tag(realm: &str) -> [u8; 8] {
    let tag = blake3::derive_key("macula 2026-11 realm tag, version 1", realm.as_bytes());
    *tag.first_chunk().unwrap()
}

fn blake3_proof(rude: &Rude, role: u8, cookie: &[u8]) -> [u8; 32] {
    let mut exporter = [0; 32];
    let label = b"EXPORTER-macula-admission";
    rude.connection.export_keying_material(&mut exporter, label, b"").unwrap();
    let context = "macula 2026-11 realm admission proof, version 1";
    let (me, victim) = (rude.key.id(), rude.victim);
    let (prover, verifier) = if role == 1 { (me, victim) } else { (victim, me) };
    *blake3::Hasher::new_keyed(&blake3::derive_key(context, cookie))
        .update(&[role])
        .update(&exporter)
        .update(&(REALM.len() as u64).to_le_bytes())
        .update(REALM.as_bytes())
        .update(prover.as_bytes())
        .update(verifier.as_bytes())
        .finalize()
        .as_bytes()
}

pub(crate) fn tls(key: &SecretKey, shows_key: bool) -> rustls::ClientConfig {
    let provider = Arc::new(default_provider());
    let pkcs8 = PrivatePkcs8KeyDer::from([&PKCS8[..], &key.to_bytes()].concat());
    let signer = provider.key_provider.load_private_key(pkcs8.into()).unwrap();
    let spki = CertificateDer::from([&SPKI[..], key.id().as_bytes()].concat());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    let mut config = match shows_key {
        true => config.with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
            Arc::new(CertifiedKey::new(vec![spki], signer)),
        ))),
        false => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"macula/1".to_vec()];
    config.enable_sni = false;
    config
}

/// Takes any server for what it says.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
