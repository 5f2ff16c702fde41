//! The ceiling: all calls on one QUIC stream, echoed where they are read.

use std::net::SocketAddr;

use bytes::Bytes;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::sync::OnceCell;

use super::mux::{Batch, Caller, Sink, Source, answer};
use super::quic::{On, endpoint};
use super::{Peer, Place, Served};
use crate::Failure;

/// Streams that a peer may have at once; one is used.
const STREAMS: u32 = 64;
/// How much is taken from the stream at once, at most.
const READ: usize = 64 << 10;

/// A client of the raw echo.
#[derive(Clone)]
pub struct QuinnMux {
    calls: Caller,
    connection: Connection,
}

impl QuinnMux {
    /// Answers all who connect.
    pub fn accept(endpoint: Endpoint) {
        tokio::spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                tokio::spawn(async move {
                    let connection = incoming.await?;
                    let (send, recv) = connection.accept_bi().await?;
                    answer(send, recv).await
                });
            }
        });
    }

    /// Connects from that endpoint.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn dial(endpoint: &Endpoint, addr: SocketAddr) -> Result<Self, Failure> {
        let connection = endpoint.connect(addr, "localhost")?.await?;
        let (send, recv) = connection.open_bi().await?;
        Ok(Self { calls: Caller::new(send, recv), connection })
    }
}

impl Peer for QuinnMux {
    async fn serve(_: Place) -> Result<Served, Failure> {
        let endpoint = endpoint(&On::Loopback, STREAMS)?;
        let addr = endpoint.local_addr()?;
        Self::accept(endpoint.clone());
        Ok(Served::at(addr, endpoint))
    }

    async fn connect(addr: &str) -> Result<Self, Failure> {
        // As a node does: one socket for all of its connections.
        static ENDPOINT: OnceCell<Endpoint> = OnceCell::const_new();
        let endpoint = ENDPOINT.get_or_try_init(async || endpoint(&On::Loopback, STREAMS)).await?;
        Self::dial(endpoint, addr.parse()?).await
    }

    async fn echo(&self, payload: Bytes) -> Result<Bytes, Failure> {
        self.calls.call(payload).await
    }

    async fn close(self) {
        self.connection.close(0_u32.into(), b"");
    }
}

impl Sink for SendStream {
    async fn write(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        match batch.parts() {
            Some(parts) => {
                self.write_all_chunks(parts).await?;
                parts.clear();
            }
            None => {
                self.write_all(&batch.tail).await?;
                batch.tail.clear();
            }
        }
        Ok(())
    }
}

impl Source for RecvStream {
    async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(self.read_chunk(READ, true).await?.map(|chunk| chunk.bytes))
    }
}
