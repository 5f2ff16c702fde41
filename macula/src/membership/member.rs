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

#[cfg(test)]
mod tests {
    use foca::Identity;

    use super::*;

    #[test]
    fn of_two_lives_of_a_node_the_later_one_wins() {
        let id = NodeId::from_bytes([1; 32]);
        let addr = SocketAddr::from(([10, 0, 0, 1], 1));
        let former = Member { id, addr, generation: 5 };
        let later = former.renew().unwrap();
        assert!(later.generation > former.generation);
        assert!(later.win_addr_conflict(&former));
        assert!(!former.win_addr_conflict(&later) && !former.win_addr_conflict(&former));
        let last = Member { generation: u64::MAX, ..former };
        assert_eq!(last.renew(), Some(last), "there is no later life than the last");
    }
}
