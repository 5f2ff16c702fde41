use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::directory::facts::Facts;
use crate::directory::record::SealedRecord;
use crate::directory::replica::Replica;
use crate::identity::{NodeId, Realm, SecretKey};
use crate::io::IoThread;
use crate::membership::Member;
use crate::rpc::services::Services;
use crate::transport::endpoint::Endpoint;
use crate::{Limits, MemberEvent};

/// What changes under one lock: what we say of ourselves, and what we know of the others.
pub(crate) struct State {
    pub(crate) own: SealedRecord,
    pub(crate) replica: Replica,
    pub(crate) facts: Facts,
    /// The living members other than this one.
    pub(crate) alive: BTreeMap<NodeId, Member>,
    /// Nodes of which the view does not show what is known, and what is to be said when it does.
    pub(crate) stale: BTreeSet<NodeId>,
    pub(crate) events: Vec<MemberEvent>,
    /// When a record last changed.
    pub(crate) changed: Instant,
}

/// The parts of a node that are ready before it runs.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) key: SecretKey,
    pub(crate) realm: Realm,
    pub(crate) limits: Limits,
    pub(crate) io: Option<IoThread>,
    pub(crate) endpoint: Endpoint,
    pub(crate) services: Services,
    pub(crate) me: Member,
    pub(crate) own: SealedRecord,
}
