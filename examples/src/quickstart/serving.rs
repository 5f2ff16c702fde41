//! The server role: a node that serves the table until its lifeline closes.

use std::io::{Write, stderr, stdout};

use nebula::prelude::*;
use tracing_subscriber::EnvFilter;

use super::args::Role;
use super::{Lifeline, Mishap};
use crate::store::Store;

/// The tag of every server.
pub const TAG: &str = "zones";

/// Serves as the node `name`, and says so once it can be called. Returns after a drain.
///
/// # Errors
/// The table is refused, or the node cannot start or drain.
pub async fn serve(name: &str, role: &Role, lifeline: &mut Lifeline) -> Result<(), Mishap> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_writer(stderr).with_env_filter(filter).init();
    let node = Node::builder(name)
        .realm(&role.realm)
        // The same key after a restart: the same node, back again.
        .identity(role.logs.join(format!("{name}.key")))
        .tag(TAG)
        .serve(Store::open(&role.data)?)
        .start()
        .await?;
    writeln!(stdout(), "ready {}", node.local_addr())?;
    lifeline.closed().await;
    node.shutdown().await?;
    Ok(())
}
