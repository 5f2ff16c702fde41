use std::time::Instant;

use nebula::prelude::*;

use crate::{Echo, Failure, ready};

const COOKIE: &str = "for measurements on loopback only";

#[service(global)]
pub trait Echoer {
    #[api(idempotent)]
    async fn echo(&self, payload: Vec<u8>) -> Vec<u8>;
}

struct Parrot;

impl Echoer for Parrot {
    async fn echo(&self, payload: Vec<u8>) -> Vec<u8> {
        payload
    }
}

#[derive(Clone)]
pub struct Client {
    echoer: EchoerClient,
    _node: Node,
}

impl Client {
    pub async fn connect(addr: &str) -> Result<Self, Failure> {
        let node = Node::builder("client").cookie(COOKIE).local_discovery(false).seed(addr);
        let node = node.start().await?;
        Ok(Self { echoer: EchoerClient::new(&node), _node: node })
    }
}

impl Echo for Client {
    async fn echo(&self, payload: Vec<u8>) -> Result<Vec<u8>, Failure> {
        Ok(self.echoer.echo(payload).await?)
    }
}

pub async fn serve() -> Result<(), Failure> {
    let node = Node::builder("server").cookie(COOKIE).local_discovery(false).serve(Parrot);
    let node = node.start().await?;
    ready(&node.local_addr().to_string()).await
}

/// What a call costs that stays in the process, over calling the service itself.
pub async fn local() -> String {
    const CALLS: u32 = 1_000_000;
    let client = EchoerClient::local(Parrot);
    let time = async |through_client: bool| {
        let began = Instant::now();
        for _ in 0..CALLS {
            if through_client {
                let _ = client.echo(Vec::new()).await;
            } else {
                std::hint::black_box(Parrot.echo(Vec::new()).await);
            }
        }
        began.elapsed() / CALLS
    };
    let (mut direct, mut called) = (time(false).await, time(true).await);
    for _ in 0..4 {
        (direct, called) = (direct.min(time(false).await), called.min(time(true).await));
    }
    format!("a local call takes {called:?}, calling the service itself {direct:?} (best of 5)")
}
