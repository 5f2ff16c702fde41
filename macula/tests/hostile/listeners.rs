//! Peers that a node was made to dial: they prove nothing, and learn next to nothing.

use std::sync::Arc;
use std::time::Duration;

use macula::identity::{NodeId, SecretKey};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, EndpointConfig, ServerConfig};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use tokio::time::{sleep, timeout};

use crate::gossip::Life;
use crate::rude::{Lane, PKCS8, Rude, SPKI};
use crate::victim::{ADMISSION, PATIENCE, Victim, address, member};

/// Listens at this address with this key.
fn listen(victim: &Victim, host: u8, key: &SecretKey) -> Endpoint {
    let provider = Arc::new(default_provider());
    let pkcs8 = PrivatePkcs8KeyDer::from([&PKCS8[..], &key.to_bytes()].concat());
    let signer = provider.key_provider.load_private_key(pkcs8.into()).unwrap();
    let spki = CertificateDer::from([&SPKI[..], key.id().as_bytes()].concat());
    let keys =
        AlwaysResolvesServerRawPublicKeys::new(Arc::new(CertifiedKey::new(vec![spki], signer)));
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(Anybody))
        .with_cert_resolver(Arc::new(keys));
    tls.alpn_protocols = vec![b"macula/1".to_vec()];
    let config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
    let socket = victim.network.bind(address(host)).unwrap();
    let runtime = Arc::new(quinn::TokioRuntime);
    let endpoint = EndpointConfig::default();
    Endpoint::new_with_abstract_socket(endpoint, Some(config), socket, runtime).unwrap()
}

/// The next connection, and the stream with the `Hello`, which is read.
async fn hello(listener: &Endpoint) -> (Connection, Lane, Vec<u8>) {
    let wait = async {
        let connection = listener.accept().await.unwrap().await.unwrap();
        let (send, recv) = connection.accept_bi().await.unwrap();
        let mut lane = Lane { send, recv };
        let hello = lane.frame().await.expect("a hello");
        (connection, lane, hello)
    };
    timeout(PATIENCE, wait).await.expect("nobody dials")
}

#[tokio::test(start_paused = true)]
async fn a_listener_without_the_cookie_is_told_nothing_more() {
    let victim = Victim::new().await;
    let key = SecretKey::generate();
    for host in 50..53 {
        let listener = listen(&victim, host, &key);
        let seeker = member(&victim.network, "seeker", host + 10);
        let seeker = seeker.seed(address(host).to_string()).join_timeout(ADMISSION);
        let seeker = tokio::spawn(seeker.start());
        let (connection, mut lane, hello) = hello(&listener).await;
        // 6 of magic, 4 of versions, 8 of tag, then the proof.
        let proof = match host {
            50 => vec![0; 32],
            // Its own proof, reflected.
            51 => hello[18..50].to_vec(),
            _ => hello[10..42].to_vec(),
        };
        lane.say(&[&[1, 0][..], &proof].concat()).await;
        assert!(lane.frame().await.is_none(), "no introduction");
        let closed = timeout(PATIENCE, connection.closed()).await.unwrap();
        let quinn::ConnectionError::ApplicationClosed(close) = closed else { panic!("{closed:?}") };
        assert_eq!((close.error_code.into_inner(), close.reason.len()), (1, 0));
        let seeker = seeker.await.unwrap().unwrap();
        assert!(!seeker.joining().borrow().joined);
        assert_eq!(seeker.view().nodes().len(), 1);
        seeker.shutdown(Duration::ZERO).await;
    }
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_says_nothing_holds_nobody_up_for_long() {
    let victim = Victim::new().await;
    let listener = listen(&victim, 50, &SecretKey::generate());
    let seeker = member(&victim.network, "seeker", 60);
    let seeker = seeker.seed(address(50).to_string()).seed(victim.mesh.addr().to_string());
    let seeker = tokio::spawn(seeker.join_timeout(PATIENCE).start());
    let (_connection, _lane, _) = hello(&listener).await;
    let seeker = timeout(Duration::from_secs(20), seeker).await.expect("it waits").unwrap();
    assert!(seeker.unwrap().joining().borrow().joined, "by the other seed");
}

/// A member says that it is where another one is, or nobody, or a stranger that listens.
#[tokio::test(start_paused = true)]
async fn whoever_answers_with_another_key_is_not_the_one_dialled() {
    let victim = Victim::new().await;
    let stranger = SecretKey::generate();
    let listener = listen(&victim, 50, &stranger);
    for (host, elsewhere) in [(10, address(2)), (11, address(50)), (12, address(99))] {
        let rude = Rude::connect(&victim, host).await;
        let mut lane = rude.hello(&rude.proof(1, crate::victim::COOKIE)).await;
        let Life(id, _, generation) = rude.life();
        let introduction = ((id, elsewhere, generation), false);
        lane.say(&postcard::to_stdvec(&introduction).unwrap()).await;
        let told = async {
            while victim.mesh.view().node(&id).is_none() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, told).await.expect("the victim does not hear of it");
        rude.connection.close(0_u32.into(), b"");
    }
    // The victim looks for them where they said they were, and finds them nowhere.
    let knocks = async {
        let mut knocks = 0;
        while let Some(incoming) = listener.accept().await {
            knocks += 1;
            assert!(incoming.await.is_err(), "it takes the stranger for a member");
            assert!(knocks < 40, "a dial has its pauses");
        }
    };
    assert!(timeout(Duration::from_secs(15), knocks).await.is_err());
    assert_eq!(victim.mesh.view().nodes().len(), 2, "they are taken for dead");
    victim.is_well(0).await;
}

/// Two nodes of one key, as when an identity file is copied.
#[tokio::test(start_paused = true)]
async fn a_peer_with_the_key_of_this_node_is_refused() {
    let victim = Victim::new().await;
    let key = SecretKey::generate();
    let start = |host| member(&victim.network, "twin", host).identity(key.clone());
    let first = start(60).start().await.unwrap();
    let second = start(61).seed(first.addr().to_string()).join_timeout(ADMISSION);
    let second = second.start().await.unwrap();
    let refused = async {
        while first.refusals().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        first.refusals().remove(0).reason
    };
    let reason = timeout(PATIENCE, refused).await.expect("it is let in");
    assert!(reason.contains("own key") || reason.contains("closed"), "{reason}");
    assert_eq!(first.view().nodes().len() + second.view().nodes().len(), 2);

    // It is closed as soon as the key is known, which may be before the client is done.
    match Rude::connect_to(&victim, (first.addr(), first.id()), 62, key, true).await {
        Ok(rude) => assert_eq!(rude.closed().await, 1),
        Err(error) => assert!(matches!(error, quinn::ConnectionError::ApplicationClosed(_))),
    }
    assert!(first.refusals().iter().any(|refusal| refusal.reason.contains("own key")));
    assert_eq!(
        first.view().nodes().iter().map(|node| node.id).collect::<Vec<NodeId>>(),
        [first.id()]
    );
}

/// Takes any client for what it says.
#[derive(Debug)]
struct Anybody;

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
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
