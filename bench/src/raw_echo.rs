//! The ceiling: frames of an id and a payload on one QUIC stream, written in batches, echoed
//! without a handler.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::{Buf, BytesMut};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::sync::{Notify, oneshot};

use crate::{Echo, Failure, ready};

const HEADER: usize = 12;

pub async fn serve() -> Result<(), Failure> {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let private = rustls::pki_types::PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let crypto = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private.into())?;
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(crypto)?;
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let endpoint = Endpoint::server(config, "127.0.0.1:0".parse()?)?;
    let addr = endpoint.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                let connection = incoming.await?;
                let (send, recv) = connection.accept_bi().await?;
                answer(send, recv).await
            });
        }
    });
    ready(&addr).await
}

async fn answer(mut send: SendStream, mut recv: RecvStream) -> Result<(), Failure> {
    let mut unread = BytesMut::new();
    let mut replies = BytesMut::new();
    while let Some(chunk) = recv.read_chunk(64 << 10, true).await? {
        unread.extend_from_slice(&chunk.bytes);
        while let Some(frame) = next(&mut unread) {
            replies.extend_from_slice(&frame);
        }
        send.write_all(&replies).await?;
        replies.clear();
    }
    Ok(())
}

/// The next whole frame: length of the payload, id, payload.
fn next(unread: &mut BytesMut) -> Option<BytesMut> {
    let length = u32::from_le_bytes(*unread.first_chunk::<4>()?) as usize;
    (unread.len() >= HEADER + length).then(|| unread.split_to(HEADER + length))
}

#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    out: Mutex<BytesMut>,
    filled: Notify,
    waiting: Mutex<(u64, HashMap<u64, oneshot::Sender<Vec<u8>>>)>,
    _connection: Connection,
    _endpoint: Endpoint,
}

impl Client {
    pub async fn connect(addr: &str) -> Result<Self, Failure> {
        let crypto = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone))
            .with_no_client_auth();
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(crypto)?;
        let endpoint = Endpoint::client("127.0.0.1:0".parse()?)?;
        let config = quinn::ClientConfig::new(Arc::new(crypto));
        let connection = endpoint.connect_with(config, addr.parse()?, "localhost")?.await?;
        let (send, recv) = connection.open_bi().await?;
        let shared = Arc::new(Shared {
            out: Mutex::default(),
            filled: Notify::new(),
            waiting: Mutex::default(),
            _connection: connection,
            _endpoint: endpoint,
        });
        tokio::spawn(write(shared.clone(), send));
        tokio::spawn(read(shared.clone(), recv));
        Ok(Self(shared))
    }
}

impl Echo for Client {
    async fn echo(&self, payload: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let (reply, answer) = oneshot::channel();
        let id = {
            let mut waiting = self.0.waiting.lock().unwrap();
            waiting.0 += 1;
            let id = waiting.0;
            waiting.1.insert(id, reply);
            id
        };
        {
            let mut out = self.0.out.lock().unwrap();
            out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(&payload);
        }
        self.0.filled.notify_one();
        Ok(answer.await?)
    }
}

async fn write(shared: Arc<Shared>, mut send: SendStream) -> Result<(), quinn::WriteError> {
    let mut batch = BytesMut::new();
    loop {
        std::mem::swap(&mut *shared.out.lock().unwrap(), &mut batch);
        if batch.is_empty() {
            shared.filled.notified().await;
            continue;
        }
        send.write_all(&batch).await?;
        batch.clear();
    }
}

async fn read(shared: Arc<Shared>, mut recv: RecvStream) -> Result<(), quinn::ReadError> {
    let mut unread = BytesMut::new();
    while let Some(chunk) = recv.read_chunk(64 << 10, true).await? {
        unread.extend_from_slice(&chunk.bytes);
        let mut waiting = shared.waiting.lock().unwrap();
        while let Some(mut frame) = next(&mut unread) {
            frame.advance(4);
            if let Some(reply) = waiting.1.remove(&frame.get_u64_le()) {
                let _ = reply.send(frame.to_vec());
            }
        }
    }
    Ok(())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Takes any certificate: this client measures, and sends nothing of worth.
#[derive(Debug)]
struct Anyone;

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &rustls::pki_types::CertificateDer<'_>,
        _intermediates: &[rustls::pki_types::CertificateDer<'_>],
        _server_name: &rustls::pki_types::ServerName<'_>,
        _ocsp: &[u8],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &rustls::pki_types::CertificateDer<'_>,
        _dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &rustls::pki_types::CertificateDer<'_>,
        _dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
