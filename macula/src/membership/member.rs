use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::identity::NodeId;

/// One life of a node, as membership knows it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Member {
    pub(crate) id: NodeId,
    /// Where it can be dialled.
    pub(crate) addr: SocketAddr,
    /// Rises with every start, and whenever the node learns that it was declared dead.
    pub(crate) generation: u64,
}

impl foca::Identity for Member {
    type Addr = NodeId;

    fn addr(&self) -> NodeId {
        self.id
    }

    fn renew(&self) -> Option<Self> {
        Some(Self { generation: self.generation.saturating_add(1), ..*self })
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.generation > adversary.generation || cfg!(mutant = "former_life_wins")
    }
}
