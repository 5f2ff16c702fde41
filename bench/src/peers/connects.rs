//! Connections that are made to be measured.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Peer;
use crate::Failure;
use crate::load::Times;

/// What is asked of a new connection.
pub const PAYLOAD: Bytes = Bytes::from_static(&[7; 64]);

/// New clients, each with one call.
///
/// # Errors
/// One of them fails.
pub async fn fresh<P: Peer>(addr: &str, lasts: Duration) -> Result<Times, Failure> {
    let began = Instant::now();
    let mut times = Vec::new();
    while began.elapsed() < lasts {
        let from = Instant::now();
        let client = P::connect(addr).await?;
        client.echo(PAYLOAD).await?;
        times.push(from.elapsed());
        client.close().await;
    }
    Ok(Times::new(times))
}
