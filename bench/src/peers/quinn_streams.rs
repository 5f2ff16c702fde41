//! The usual way over QUIC: a stream for each call.

use std::net::SocketAddr;

use bytes::Bytes;
use quinn::{Connection, Endpoint};
use tokio::sync::OnceCell;

use super::quic::{On, endpoint};
use super::{Peer, Place, Served};
use crate::Failure;

/// Streams that a peer may have at once: as many as there are callers.
const STREAMS: u32 = 256;
/// The largest body.
const LARGEST: usize = 32 << 20;

/// A client of the raw echo.
#[derive(Clone)]
pub struct QuinnStreams {
    connection: Connection,
}

impl QuinnStreams {
    /// An endpoint for this.
    ///
    /// # Errors
    /// The system refuses a socket.
    pub fn endpoint(on: &On) -> Result<Endpoint, Failure> {
        endpoint(on, STREAMS)
    }

    /// Answers all who connect.
    pub fn accept(endpoint: Endpoint) {
        tokio::spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                tokio::spawn(async move {
                    let connection = incoming.await?;
                    while let Ok((mut send, mut recv)) = connection.accept_bi().await {
                        tokio::spawn(async move {
                            let payload = recv.read_to_end(LARGEST).await?;
                            send.write_chunk(payload.into()).await?;
                            send.finish()?;
                            Ok::<_, Failure>(())
                        });
                    }
                    Ok::<_, Failure>(())
                });
            }
        });
    }

    /// Connects from that endpoint.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn dial(endpoint: &Endpoint, addr: SocketAddr) -> Result<Self, Failure> {
        Ok(Self { connection: endpoint.connect(addr, "localhost")?.await? })
    }
}

impl Peer for QuinnStreams {
    async fn serve(_: Place) -> Result<Served, Failure> {
        let endpoint = Self::endpoint(&On::Loopback)?;
        let addr = endpoint.local_addr()?;
        Self::accept(endpoint.clone());
        Ok(Served::at(addr, endpoint))
    }

    async fn connect(addr: &str) -> Result<Self, Failure> {
        static ENDPOINT: OnceCell<Endpoint> = OnceCell::const_new();
        let endpoint = ENDPOINT.get_or_try_init(async || Self::endpoint(&On::Loopback)).await?;
        Self::dial(endpoint, addr.parse()?).await
    }

    async fn echo(&self, payload: Bytes) -> Result<Bytes, Failure> {
        let (mut send, mut recv) = self.connection.open_bi().await?;
        send.write_chunk(payload).await?;
        send.finish()?;
        Ok(recv.read_to_end(LARGEST).await?.into())
    }

    async fn close(self) {
        self.connection.close(0_u32.into(), b"");
    }
}
