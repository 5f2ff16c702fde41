use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::directory::record::SealedRecord;
use crate::identity::NodeId;

/// All records that their owners really signed.
#[derive(Debug, Default)]
pub(in super::super) struct Genuine(BTreeSet<Bytes>);

impl Genuine {
    /// The owner of this record signed it.
    pub(in super::super) fn signed(&mut self, sealed: &SealedRecord) {
        self.0.insert(sealed.bytes().clone());
    }

    /// A replica has taken this record in: its owner must have signed it.
    pub(in super::super) fn check(&self, sealed: &SealedRecord) -> Result<(), String> {
        if self.0.contains(sealed.bytes()) {
            return Ok(());
        }
        Err(format!("a forged record was taken in: {:?}", sealed.record()))
    }
}

/// What one replica has had of each node: versions never go back, and what was removed only comes
/// back when it is newer, or when its node is a member again.
#[derive(Debug, Default)]
pub(in super::super) struct Stamps(BTreeMap<NodeId, ((u64, u64), bool)>);

impl Stamps {
    /// The replica has this record.
    pub(in super::super) fn has(&mut self, sealed: &SealedRecord) -> Result<(), String> {
        let (node, stamp) = (sealed.record().node, sealed.record().stamp());
        let before = self.0.insert(node, (stamp, false));
        match before {
            Some((before, removed)) if stamp < before || stamp == before && removed => {
                Err(format!("{node:?} went from {before:?}, removed: {removed}, back to {stamp:?}"))
            }
            _ => Ok(()),
        }
    }

    /// The replica has removed the record of this node.
    pub(in super::super) fn removed(&mut self, node: &NodeId) {
        if let Some((_, removed)) = self.0.get_mut(node) {
            *removed = true;
        }
    }

    /// The node is a member again: its record may return, as it is.
    pub(in super::super) fn welcome(&mut self, node: &NodeId) {
        if self.0.get(node).is_some_and(|(_, removed)| *removed) {
            self.0.remove(node);
        }
    }
}
