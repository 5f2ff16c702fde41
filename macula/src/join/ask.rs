//! Asks one seed or one neighbour.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use rand::rngs::StdRng;

use super::Seed;
use super::attempt::{Asked, Living, Places};
use super::resolve::{Found, Resolve, look_up};
use crate::identity::NodeId;
use crate::limits::SEED_PLACES;
use crate::mesh::Inner;
use crate::transport::DialError;

/// How much later the next address of a seed is dialled, when the ones before have not answered
/// (the delay of RFC 8305, section 5, for the handshake of QUIC is no longer than that of TCP).
const STAGGER: Duration = Duration::from_millis(250);
/// Of how many addresses it is told why they do not answer.
const TOLD: usize = 4;

/// Looks up where the seed is, and dials its addresses in turn until somebody answers who was no
/// member when that began. While its name cannot be looked up, it is where it was.
pub(crate) async fn ask_seed(
    inner: &Arc<Inner>,
    seed: &Seed,
    resolver: &dyn Resolve,
    rng: StdRng,
    known: Places,
) -> Asked {
    let mut asked = Asked::default();
    let mut reasons = Vec::new();
    let addrs = match look_up(seed, resolver, rng).await {
        Ok(Found { mut addrs, whole }) => {
            // What could not be found out just now is where it was.
            let before = known.keys().filter(|addr| !whole && !addrs.contains(addr));
            addrs.extend(before.copied().collect::<Vec<_>>());
            addrs.truncate(SEED_PLACES);
            asked.addrs.insert(addrs).clone()
        }
        Err(error) => {
            reasons.push(error.to_string());
            known.keys().copied().collect()
        }
    };
    let answered = |addr: &SocketAddr| known.get(addr).copied().flatten();
    let places: Places = addrs.iter().map(|addr| (*addr, answered(addr))).collect();
    let living = inner.living(&places);
    let mut waiting = addrs.into_iter().filter(|addr| !living.is_at(*addr, answered(addr)));

    // A link makes a member of who is at its other end.
    let members: BTreeSet<_> = inner.state().alive.keys().copied().collect();

    let mut dials = FuturesUnordered::new();
    let mut met = false;
    loop {
        // Those under way are let finish: half a link is none.
        let next = if met { None } else { waiting.next() };
        let more = next.is_some();
        if let Some(addr) = next {
            dials.push(async move { (addr, inner.dial(addr, None).await) });
        }
        let (addr, outcome) = tokio::select! {
            Some(done) = dials.next() => done,
            () = tokio::time::sleep(STAGGER), if more => continue,
            else => break,
        };
        match outcome {
            Ok(link) => {
                met |= !members.contains(&link.peer.id);
                asked.answered.push((addr, link.peer.id));
            }
            Err(DialError::Myself) => asked.answered.push((addr, inner.me().id)),
            Err(error) => {
                asked.silent.push(addr);
                let one = seed.literal().is_some();
                reasons.push(if one { error.to_string() } else { format!("{addr}: {error}") });
            }
        }
    }
    asked.reason = told(reasons);
    asked
}

/// Dials a node that says to be on this machine.
pub(crate) async fn ask_neighbour(inner: &Arc<Inner>, node: NodeId, places: Places) -> Asked {
    let mut asked = Asked::default();
    for addr in places.into_keys() {
        match inner.link_to(node, addr).await {
            Ok(link) => asked.answered.push((addr, link.peer.id)),
            Err(error) => {
                asked.silent.push(addr);
                asked.reason = Some(error.to_string());
            }
        }
    }
    asked
}

fn told(reasons: Vec<String>) -> Option<String> {
    let more = reasons.len().saturating_sub(TOLD);
    let mut told: Vec<_> = reasons.into_iter().take(TOLD).collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

impl Inner {
    /// Which of these places members are at, and which of those who answered there are members.
    pub(crate) fn living<'a>(
        &self,
        places: impl IntoIterator<Item = (&'a SocketAddr, &'a Option<NodeId>)>,
    ) -> Living {
        let (mut addrs, mut nodes) = (BTreeSet::new(), BTreeSet::new());
        for (addr, node) in places {
            addrs.insert(*addr);
            nodes.extend(*node);
        }
        let me = self.me().id;
        let state = self.state();
        nodes.retain(|node| state.alive.contains_key(node));
        let members = state.alive.values().map(|member| member.addr);
        let addrs = match addrs.is_empty() {
            true => addrs,
            false => members.filter(|addr| addrs.contains(addr)).collect(),
        };
        Living { me, nodes, addrs }
    }
}
