//! ractor_cluster: actors of two processes, found through a process group.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, pg};
use ractor_cluster::{NodeServer, NodeServerMessage, RactorClusterMessage, client_connect};

use super::{Peer, Place, Served};
use crate::Failure;

const COOKIE: &str = "for measurements on loopback only";
const GROUP: &str = "echo";
/// When callers stop waiting.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait until the group is known.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest frame; its own limit is 16 MiB.
const FRAME: u64 = 32 << 20;

/// What is asked.
#[derive(RactorClusterMessage)]
enum Ask {
    #[rpc]
    Echo(Vec<u8>, RpcReplyPort<Vec<u8>>),
}

struct Parrot;

impl Actor for Parrot {
    type Msg = Ask;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Ask>, _: ()) -> Result<(), ActorProcessingErr> {
        pg::join(GROUP.to_owned(), vec![myself.get_cell()]);
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Ask>,
        message: Ask,
        _: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let Ask::Echo(payload, reply) = message;
        let _ = reply.send(payload);
        Ok(())
    }
}

/// A client.
#[derive(Clone)]
pub struct Ractor(ActorRef<Ask>);

/// Starts the node server of this process.
async fn node_server(name: &str, port: u16) -> Result<ActorRef<NodeServerMessage>, Failure> {
    let (cookie, host) = (COOKIE.to_owned(), "localhost".to_owned());
    let server = NodeServer::new(port, cookie, name.to_owned(), host, None, None)
        .with_listen_addr(IpAddr::V4(Ipv4Addr::LOCALHOST))
        .with_max_inbound_frame_size(FRAME);
    Ok(Actor::spawn(None, server, ()).await?.0)
}

impl Peer for Ractor {
    async fn serve(_: Place) -> Result<Served, Failure> {
        // The node server does not say which port it got, so it is given one that is free.
        let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let server = node_server("server", free.port()).await?;
        let (parrot, _) = Actor::spawn(None, Parrot, ()).await?;
        Ok(Served::at(free, (server, parrot)))
    }

    async fn connect(addr: &str) -> Result<Self, Failure> {
        let server = node_server("client", 0).await?;
        client_connect(&server, addr).await?;
        let began = Instant::now();
        loop {
            if let Some(actor) = pg::get_members(&GROUP.to_owned()).pop() {
                return Ok(Self(actor.into()));
            }
            if began.elapsed() > PATIENCE {
                return Err("the group did not turn up".into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn echo(&self, payload: Bytes) -> Result<Bytes, Failure> {
        let ask = |reply| Ask::Echo(payload.to_vec(), reply);
        match self.0.call(ask, Some(TIMEOUT)).await? {
            CallResult::Success(reply) => Ok(reply.into()),
            CallResult::Timeout => Err("no answer in time".into()),
            CallResult::SenderError => Err("the actor has gone".into()),
        }
    }
}
