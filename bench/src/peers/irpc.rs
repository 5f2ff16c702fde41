//! irpc over its fork of quinn: a stream for each call. The keys and the limits are those of the
//! raw candidates.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use irpc::channel::oneshot;
use irpc::rpc::RemoteService;
use irpc::{Client, WithChannels, rpc_requests};
use noq::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use noq::{ClientConfig, Endpoint, ServerConfig, TransportConfig};
use serde::{Deserialize, Serialize};

use super::{Peer, Place, Served, tls};
use crate::Failure;

const STREAMS: u32 = 256;
const WINDOW: u32 = 24 << 20;
/// Requests that wait for the actor.
const QUEUE: usize = 1024;

/// What is asked.
#[rpc_requests(message = EchoMessage, no_spans)]
#[derive(Debug, Deserialize, Serialize)]
enum EchoProtocol {
    #[rpc(tx = oneshot::Sender<Bytes>)]
    Echo(Echo),
}

#[derive(Debug, Deserialize, Serialize)]
struct Echo {
    payload: Bytes,
}

/// A client.
#[derive(Clone)]
pub struct Irpc(Client<EchoProtocol>);

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(STREAMS.into())
        .receive_window(WINDOW.into())
        .stream_receive_window((WINDOW / 2).into());
    Arc::new(transport)
}

impl Peer for Irpc {
    async fn serve(_: Place) -> Result<Served, Failure> {
        let crypto = QuicServerConfig::try_from(tls::server()?)?;
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(transport());
        let endpoint = Endpoint::server(config, SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let addr = endpoint.local_addr()?;
        let (sender, mut requests) = tokio::sync::mpsc::channel(QUEUE);
        tokio::spawn(async move {
            while let Some(EchoMessage::Echo(call)) = requests.recv().await {
                let WithChannels { inner, tx, .. } = call;
                let _ = tx.send(inner.payload).await;
            }
        });
        let local = Client::<EchoProtocol>::local(sender);
        let local = local.as_local().ok_or("not a local client")?;
        let handler = EchoProtocol::remote_handler(local);
        Ok(Served::at(addr, tokio::spawn(irpc::rpc::listen(endpoint, handler))))
    }

    async fn connect(addr: &str) -> Result<Self, Failure> {
        let crypto = QuicClientConfig::try_from(tls::client()?)?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(transport());
        let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        endpoint.set_default_client_config(config);
        Ok(Self(Client::noq(endpoint, addr.parse()?)))
    }

    async fn echo(&self, payload: Bytes) -> Result<Bytes, Failure> {
        Ok(self.0.rpc(Echo { payload }).await?)
    }
}
