//! NATS: requests and replies through a broker, the program that `NATS_SERVER` names or the
//! `nats-server` on the path.

use std::process::Stdio;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{Peer, Place, Served};
use crate::Failure;

const SUBJECT: &str = "echo";
/// What the broker says before its address.
const LISTENING: &str = "Listening for client connections on ";

/// A client.
#[derive(Clone)]
pub struct Nats(async_nats::Client);

/// Whether there is a broker to start.
pub fn is_present() -> bool {
    let version = std::process::Command::new(program()).arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

fn program() -> String {
    std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned())
}

/// Starts a broker on a free port, and reads where.
async fn broker() -> Result<(Child, String), Failure> {
    let mut child = Command::new(program())
        .args(["--addr", "127.0.0.1", "--port", "-1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut log = BufReader::new(child.stderr.take().ok_or("a broker without a log")?).lines();
    while let Some(line) = log.next_line().await? {
        if let Some((_, addr)) = line.split_once(LISTENING) {
            let addr = addr.to_owned();
            // It must find a reader as long as it writes.
            tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
            return Ok((child, addr));
        }
    }
    Err("the broker ended before it listened".into())
}

impl Peer for Nats {
    async fn serve(_: Place) -> Result<Served, Failure> {
        let (child, addr) = broker().await?;
        let client = async_nats::connect(&addr).await?;
        let mut requests = client.subscribe(SUBJECT).await?;
        client.flush().await?;
        let helpers = child.id().into_iter().collect();
        let answering = tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                if let Some(reply) = request.reply {
                    client.publish(reply, request.payload).await?;
                }
            }
            Ok::<_, async_nats::PublishError>(())
        });
        Ok(Served { addr, helpers, kept: Box::new((child, answering)) })
    }

    async fn connect(addr: &str) -> Result<Self, Failure> {
        Ok(Self(async_nats::connect(addr).await?))
    }

    async fn echo(&self, payload: Bytes) -> Result<Bytes, Failure> {
        Ok(self.0.request(SUBJECT, payload).await?.payload)
    }
}
