use std::sync::atomic::Ordering;

use super::Mesh;
use crate::PeerState;
use crate::identity::NodeId;

impl Mesh {
    /// How this node stands with a peer.
    pub fn peer(&self, node: &NodeId) -> PeerState {
        let (link, failing) = {
            let pool = self.0.pool();
            (pool.link(node).cloned(), pool.is_failing(node))
        };
        let Some(link) = link else {
            return PeerState { suspect: failing, ..PeerState::default() };
        };
        let (in_flight, late_replies) = {
            let calls = link.calls();
            (calls.len(), calls.unclaimed())
        };
        let (load, foreign_load) = link.recent_load();
        PeerState {
            connected: true,
            suspect: link.silent.load(Ordering::Relaxed),
            in_flight,
            late_replies,
            load,
            foreign_load,
            round_trip: Some(link.last_round_trip()),
        }
    }
}
