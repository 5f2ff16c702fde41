#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use foca::{BroadcastHandler, Invalidates};
use serde::{Deserialize, Serialize};

use super::Member;
use crate::identity::NodeId;

/// News that rides on membership packets: this node's directory record has a new version. The
/// record itself is pulled by whoever lacks it, since packets are small.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Hint {
    pub(crate) node: NodeId,
    pub(crate) incarnation: u64,
    pub(crate) version: u64,
}

impl Hint {
    /// The form that travels; at most 52 bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }
}

impl Invalidates for Hint {
    fn invalidates(&self, other: &Self) -> bool {
        self.node == other.node
            && (self.incarnation, self.version) >= (other.incarnation, other.version)
    }
}

/// Where hints wait until the driver takes them, each with the peer that passed it on.
pub(super) type Inbox = Arc<Mutex<Vec<(Hint, Option<Member>)>>>;

/// Passes each hint on once, and keeps it for the driver.
#[derive(Debug)]
pub(super) struct Hints {
    newest: BTreeMap<NodeId, (u64, u64)>,
    inbox: Inbox,
    limit: usize,
}

impl Hints {
    pub(super) fn new(limit: usize) -> (Self, Inbox) {
        let inbox = Inbox::default();
        (Self { newest: BTreeMap::new(), inbox: inbox.clone(), limit }, inbox)
    }
}

impl BroadcastHandler<Member> for Hints {
    type Error = postcard::Error;
    type Key = Hint;

    fn receive_item(
        &mut self,
        data: &[u8],
        sender: Option<&Member>,
    ) -> Result<Option<Hint>, postcard::Error> {
        let hint: Hint = postcard::from_bytes(data)?;
        let version = (hint.incarnation, hint.version);
        let known = self.newest.get(&hint.node);
        if known.is_some_and(|known| *known >= version) {
            return Ok(None);
        }
        if known.is_none() && self.newest.len() >= self.limit {
            // Forgetting the lowest id costs at most one more round of an old hint.
            self.newest.pop_first();
        }
        self.newest.insert(hint.node, version);
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.push((hint, sender.copied()));
        Ok(Some(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_is_passed_on_once_and_old_ones_never() {
        let (mut hints, inbox) = Hints::new(2);
        let node = NodeId::from_bytes([1; 32]);
        let hint = |version| Hint { node, incarnation: 5, version };
        assert_eq!(hints.receive_item(&hint(2).encode(), None).unwrap(), Some(hint(2)));
        assert_eq!(hints.receive_item(&hint(2).encode(), None).unwrap(), None);
        assert_eq!(hints.receive_item(&hint(1).encode(), None).unwrap(), None);
        assert_eq!(inbox.lock().unwrap().len(), 1);
        for other in 2..9 {
            let node = NodeId::from_bytes([other; 32]);
            let hint = Hint { node, incarnation: 1, version: 1 };
            assert_eq!(hints.receive_item(&hint.encode(), None).unwrap(), Some(hint));
        }
        assert_eq!(hints.newest.len(), 2);
        assert!(hints.receive_item(&[9; 5], None).is_err());
    }
}
