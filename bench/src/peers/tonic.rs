//! gRPC by tonic, over HTTP/2 without TLS. The windows are as large as ours, since its defaults
//! are meant for messages of a few KiB.

use bytes::Bytes;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use super::{Peer, Place, Served};
use crate::Failure;
use generated::echoer_client::EchoerClient;
use generated::echoer_server::{Echoer, EchoerServer};

/// The largest message; its own limit is 4 MiB.
const LARGEST: usize = 32 << 20;
const WINDOW: u32 = 24 << 20;

/// The message, in both directions.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Body {
    /// The bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub payload: Bytes,
}

#[allow(missing_docs, clippy::all)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/bench.Echoer.rs"));
}

struct Parrot;

#[tonic::async_trait]
impl Echoer for Parrot {
    async fn echo(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

/// A client.
#[derive(Clone)]
pub struct Tonic(EchoerClient<Channel>);

impl Peer for Tonic {
    async fn serve(_: Place) -> Result<Served, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let service = EchoerServer::new(Parrot)
            .max_decoding_message_size(LARGEST)
            .max_encoding_message_size(LARGEST);
        let serving = Server::builder()
            .initial_stream_window_size(WINDOW / 2)
            .initial_connection_window_size(WINDOW)
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
        Ok(Served::at(addr, tokio::spawn(serving)))
    }

    async fn connect(addr: &str) -> Result<Self, Failure> {
        let channel = Endpoint::from_shared(format!("http://{addr}"))?
            .initial_stream_window_size(WINDOW / 2)
            .initial_connection_window_size(WINDOW)
            .tcp_nodelay(true)
            .connect()
            .await?;
        let client = EchoerClient::new(channel)
            .max_decoding_message_size(LARGEST)
            .max_encoding_message_size(LARGEST);
        Ok(Self(client))
    }

    async fn echo(&self, payload: Bytes) -> Result<Bytes, Failure> {
        // A client is a handle that is cloned for each call, as its documentation says.
        let mut client = self.0.clone();
        Ok(client.echo(Body { payload }).await?.into_inner().payload)
    }
}
