//! The processes of the quickstart without the cluster: they start, are killed, come back, leave.

use std::io::{Write, stdout};
use std::net::Ipv4Addr;
use std::path::Path;

use tokio::net::UdpSocket;

use super::servers::NAMES;
use super::story::Told;
use super::{Broken, Lifeline, Mishap, Servers, Story};
use crate::zones::Table;

/// A server that holds the table and an address, and leaves when its lifeline closes.
///
/// # Errors
/// The table is refused, or the system refuses a socket or standard output.
pub async fn serve(data: &Path, lifeline: &mut Lifeline) -> Result<(), Mishap> {
    let table = Table::load(data)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(stdout(), "ready {}", socket.local_addr()?)?;
    lifeline.closed().await;
    drop(table);
    Ok(())
}

/// Plays the steps that need processes alone.
///
/// # Errors
/// The first step that is not as promised.
pub async fn play<W: Write>(story: &mut Story<W>, servers: &mut Servers) -> Result<(), Broken> {
    let started = async {
        servers.start_all().await?;
        Ok(Told::lines(servers.running().map(|(name, server)| {
            format!("{name} at {}, process {}", server.addr(), server.pid())
        })))
    };
    story.step("Three servers start", started).await?;
    let [first, ..] = NAMES;
    let returned = async {
        let status = servers.kill(first).await?;
        Mishap::unless(!status.success(), format!("{first} left in order: {status}"))?;
        let server = servers.start(first).await?;
        Ok(Told::lines([format!("{first} ended by {status}, now process {}", server.pid())]))
    };
    story.step("A killed server comes back", returned).await?;
    let left = async {
        let ended = servers.stop_all().await?;
        for (name, status) in &ended {
            Mishap::unless(status.success(), format!("{name} ended with {status}"))?;
        }
        Ok(Told::lines([format!("{} left", ended.len())]))
    };
    story.step("The servers leave in order", left).await
}
