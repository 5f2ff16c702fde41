//! tarpc over TCP with bincode, the transport and format of its examples.

use bytes::Bytes;
use futures_util::{StreamExt, future};
use tarpc::client::Config;
use tarpc::context::{self, Context};
use tarpc::serde_transport::tcp;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;

use super::{Peer, Place, Served};
use crate::Failure;

/// The longest frame; its own limit is 8 MiB.
const FRAME: usize = 32 << 20;

/// What is called.
#[tarpc::service]
pub trait Echoer {
    /// Gives back what it is given.
    async fn echo(payload: Bytes) -> Bytes;
}

#[derive(Clone)]
struct Parrot;

impl Echoer for Parrot {
    async fn echo(self, _: Context, payload: Bytes) -> Bytes {
        payload
    }
}

/// A client.
#[derive(Clone)]
pub struct Tarpc(EchoerClient);

impl Peer for Tarpc {
    async fn serve(_: Place) -> Result<Served, Failure> {
        let mut listener = tcp::listen("127.0.0.1:0", Bincode::default).await?;
        listener.config_mut().max_frame_length(FRAME);
        let addr = listener.local_addr();
        let accepting = tokio::spawn(async move {
            let connections = listener.filter_map(|connection| future::ready(connection.ok()));
            let served = connections.for_each(async |connection| {
                let calls = BaseChannel::with_defaults(connection).execute(Parrot.serve());
                tokio::spawn(calls.for_each(async |call| {
                    tokio::spawn(call);
                }));
            });
            served.await;
        });
        Ok(Served::at(addr, accepting))
    }

    async fn connect(addr: &str) -> Result<Self, Failure> {
        let mut connecting = tcp::connect(addr, Bincode::default);
        connecting.config_mut().max_frame_length(FRAME);
        Ok(Self(EchoerClient::new(Config::default(), connecting.await?).spawn()))
    }

    async fn echo(&self, payload: Bytes) -> Result<Bytes, Failure> {
        Ok(self.0.echo(context::current(), payload).await?)
    }
}
