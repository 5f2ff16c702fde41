//! The same frames as on the raw QUIC stream, on TLS over TCP.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::mux::{Batch, Caller, Sink, Source, answer};
use super::{Peer, Place, Served, tls};
use crate::Failure;

/// How much is taken from the stream at once, at most.
const READ: usize = 64 << 10;

/// A client of the raw echo over TLS.
#[derive(Clone)]
pub struct TlsMux(Caller);

/// The half that writes.
struct Writer(WriteHalf<TlsStream<TcpStream>>);

/// The half that reads.
struct Reader {
    half: ReadHalf<TlsStream<TcpStream>>,
    buffer: BytesMut,
}

fn halves(stream: TlsStream<TcpStream>) -> (Writer, Reader) {
    let (read, write) = tokio::io::split(stream);
    (Writer(write), Reader { half: read, buffer: BytesMut::new() })
}

impl Peer for TlsMux {
    async fn serve(_: Place) -> Result<Served, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(tls::server()?));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    stream.set_nodelay(true)?;
                    let (writer, reader) = halves(acceptor.accept(stream).await?.into());
                    answer(writer, reader).await
                });
            }
        });
        Ok(Served::at(addr, accepting))
    }

    async fn connect(addr: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::new(tls::client()?));
        let stream = connector.connect(ServerName::try_from("localhost")?, stream).await?;
        let (writer, reader) = halves(stream.into());
        Ok(Self(Caller::new(writer, reader)))
    }

    async fn echo(&self, payload: Bytes) -> Result<Bytes, Failure> {
        self.0.call(payload).await
    }
}

impl Sink for Writer {
    async fn write(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        match batch.parts() {
            Some(parts) => {
                for part in parts.drain(..) {
                    self.0.write_all(&part).await?;
                }
            }
            None => {
                self.0.write_all(&batch.tail).await?;
                batch.tail.clear();
            }
        }
        Ok(self.0.flush().await?)
    }
}

impl Source for Reader {
    async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        self.buffer.reserve(READ);
        let length = self.half.read_buf(&mut self.buffer).await?;
        Ok((length > 0).then(|| self.buffer.split().freeze()))
    }
}
