//! The instances of services: which node serves what, in which version, since when.
//!
//! Promise: reading sends nothing and waits for nothing, and lists who can be asked now: what the
//! other nodes say of themselves, and what takes calls here. A watcher is woken by a change and by
//! nothing else.
//!
//! Limits: what another node says is as old as the news of it, mostly some milliseconds. What a node
//! that has crashed said holds until the others have found out.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod driver;
mod missing;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use macula::directory::{NodeRecord, ServiceRecord};
use macula::identity::NodeId;

use super::VersionRequirement;
use crate::call::ApiKey;
use crate::service::info::ServiceInfo;
use crate::service::lifecycle::{Running, ServiceStatus};

pub use missing::MissingServices;
pub use watch::DiscoveryWatch;

/// A service on one node, and what is said of it there.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServiceInstance {
    /// The wire name of the service.
    pub service: String,
    /// The node that serves it.
    pub node: NodeId,
    /// The name of that node.
    pub node_name: String,
    /// Its version; empty if nobody said one.
    pub version: String,
    /// What kind of service it is; empty if nobody said it.
    pub class: String,
    /// Its methods, in the order of the contract.
    pub methods: Vec<InstanceMethod>,
    /// When it came to its node, by the clock of that node, in whole milliseconds.
    pub started: SystemTime,
    /// What else its operator says of it.
    pub metadata: BTreeMap<String, String>,
    /// Whether it is on the node that was asked.
    pub local: bool,
    /// Its state, if it is on this node and [lives](crate::Service) there. Of the others those are
    /// known that run.
    pub status: Option<Arc<ServiceStatus>>,
}

/// A method of an instance.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InstanceMethod {
    /// Its wire name.
    pub name: String,
    /// Its shape there: callers with another one are incompatible.
    pub key: ApiKey,
}

impl ServiceInstance {
    /// What it is: of one on another node, [`Running`](Running::Running).
    pub fn running(&self) -> Running {
        self.status.as_ref().map_or(Running::Running, |status| status.running)
    }

    /// Whether its version is one that `requirement` takes.
    pub fn meets(&self, requirement: &VersionRequirement) -> bool {
        requirement.takes(&self.version)
    }

    /// The method of this wire name.
    pub fn method(&self, name: &str) -> Option<&InstanceMethod> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// What a node says of one of its services.
    pub(super) fn of(record: &NodeRecord, service: &ServiceRecord, local: bool) -> Self {
        let method = |name: &String, key| InstanceMethod {
            name: name.clone(),
            key: ApiKey::from_bytes(key),
        };
        let pairs = service.metadata.iter();
        let methods = service.methods.iter().map(|known| method(&known.name, known.key));
        Self {
            service: service.name.clone(),
            node: record.node,
            node_name: record.name.clone(),
            version: service.version.clone(),
            class: service.class.clone(),
            methods: methods.collect(),
            started: moment(service.started),
            metadata: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            local,
            status: None,
        }
    }
}

/// What a service on this node says of itself for as long as it lives.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) info: &'static ServiceInfo,
    pub(crate) node_name: Box<str>,
    pub(crate) version: String,
    pub(crate) class: String,
    pub(crate) metadata: BTreeMap<String, String>,
    /// In milliseconds since the Unix epoch.
    pub(crate) started: u64,
}

impl Profile {
    /// The instance as it is in this state.
    pub(crate) fn instance(&self, node: NodeId, status: Arc<ServiceStatus>) -> ServiceInstance {
        let methods = self.info.methods().iter().map(|method| InstanceMethod {
            name: method.method_name().to_owned(),
            key: ApiKey::from_bytes(method.key()),
        });
        ServiceInstance {
            service: self.info.service_name().to_owned(),
            node,
            node_name: self.node_name.to_string(),
            version: self.version.clone(),
            class: self.class.clone(),
            methods: methods.collect(),
            started: moment(self.started),
            metadata: self.metadata.clone(),
            local: true,
            status: Some(status),
        }
    }
}

/// So many milliseconds after the Unix epoch; the epoch itself if nobody's clock goes that far.
fn moment(milliseconds: u64) -> SystemTime {
    let epoch = SystemTime::UNIX_EPOCH;
    epoch.checked_add(Duration::from_millis(milliseconds)).unwrap_or(epoch)
}

#[cfg(test)]
mod tests {
    use macula::directory::{MethodRecord, NodeStatus};

    use super::*;

    #[test]
    fn whatever_a_node_says_can_be_shown() {
        let method = MethodRecord { name: "find".into(), id: 1, key: [7; 8] };
        let service = ServiceRecord {
            name: "Users".into(),
            version: "1.2.3".into(),
            methods: vec![method],
            class: "storage".into(),
            started: 1_500,
            metadata: [("zone".to_owned(), "eu".to_owned())].iter().map(|(k, v)| (k, v)).collect(),
        };
        let mut record = NodeRecord {
            node: NodeId::from_bytes([1; 32]),
            incarnation: 1,
            version: 1,
            name: "db@h1".into(),
            tags: [].into(),
            addrs: Vec::new(),
            status: NodeStatus::Serving,
            services: vec![service],
            topology: None,
        };
        let shown = ServiceInstance::of(&record, &record.services[0], false);
        assert_eq!(shown.started, SystemTime::UNIX_EPOCH + Duration::from_millis(1_500));
        assert_eq!(shown.metadata["zone"], "eu");
        assert_eq!(shown.method("find").unwrap().key, ApiKey::from_bytes([7; 8]));
        assert!(shown.method("put").is_none());
        assert_eq!((shown.running(), shown.status.is_none()), (Running::Running, true));
        assert!(shown.meets(&">=1.2".parse().unwrap()) && !shown.meets(&"^2".parse().unwrap()));
        record.services[0].started = u64::MAX;
        let shown = ServiceInstance::of(&record, &record.services[0], false);
        assert!(shown.started >= SystemTime::UNIX_EPOCH);
    }
}
