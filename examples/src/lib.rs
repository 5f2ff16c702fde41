//! What the example programs share: the table of time zones, and the service that
//! answers from it; the contract of `hello_server` and `hello_client`; and [`assembled`].

pub mod contract;
pub mod greeter;
pub mod quickstart;
pub mod store;
pub mod zones;

use std::io;
use std::time::Duration;

use nebula::Node;

/// Waits until `node` knows what each of `count` nodes, itself among them, serves.
///
/// A call to one node needs no such wait, since it finds somebody or waits by itself. A call to
/// all of them goes to all that are known *then*, so an example that wants three answers waits.
///
/// # Errors
/// Ten seconds have passed.
pub async fn assembled(node: &Node, count: usize) -> io::Result<()> {
    let mut news = node.mesh().watch_view();
    let whole = news.wait_for(|_| {
        let view = node.mesh().view();
        view.nodes().len() == count && view.is_complete()
    });
    let late = || io::Error::other(format!("there are not {count} nodes after ten seconds"));
    tokio::time::timeout(Duration::from_secs(10), whole)
        .await
        .map_err(|_| late())?
        .map_err(|_| late())?;
    Ok(())
}
