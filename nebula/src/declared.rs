//! The topology that a node goes by: what is checked of one, and how another takes its place.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use macula::Mesh;
use tokio::runtime::Handle;

use crate::Result;
use crate::error::Error;
use crate::node::Node;
use crate::nodes::conflict::conflicts;
use crate::nodes::{Topology, TopologyConflict, TopologyHash};
use crate::service::info::{ServiceInfo, parse_selector};

impl Node {
    /// The topology that this node goes by now, if it was given one.
    pub fn topology(&self) -> Option<Arc<Topology>> {
        self.declared().map(|declared| Arc::clone(&declared.topology))
    }

    /// Goes by another topology from now on, or by one at all. Calls that are under way keep what
    /// they began with.
    ///
    /// It is checked as [`start`](crate::NodeBuilder::start) does, takes the place of the present
    /// one at once, and its hash is told to all other nodes. While they go by another one, this
    /// node's [`majority`](crate::call::majority) over them is refused
    /// ([`TopologyMismatch`](crate::QuorumError::TopologyMismatch)): reload the same topology on
    /// all nodes, in any order. A node that gets other tags is restarted with them.
    ///
    /// A topology can be changed like this, and not be taken away. Reading a file is left to the
    /// program: `node.reload_topology(Topology::from_file("nodes.toml")?)?`.
    ///
    /// # Errors
    ///
    /// Other tags than the topology gives a node of this name; an attribute of a service that this
    /// node serves names what the topology does not; this node's record, in which the hash is told,
    /// would exceed 64 KiB. Nothing has changed then.
    pub fn reload_topology(&self, topology: Topology) -> Result<()> {
        let services = self.served_here();
        let infos = || services.iter().map(|served| served.info());
        check(self.name(), self.tags(), infos(), &topology)?;
        let serves = infos().any(ServiceInfo::is_global);
        self.told().replace(self.mesh(), Declared::new(topology), |old, new| {
            let notice = Notice::of(self.name(), serves, &new.topology);
            let before = old.and_then(|old| Notice::of(self.name(), serves, &old.topology));
            notice.filter(|notice| before != Some(*notice))
        })
    }

    /// The living nodes that go by another topology than this one, in the order of their names, as
    /// known here and now; none if this node has no topology. Nodes without any are not listed.
    ///
    /// Each is also logged once as a warning. Give all nodes the same topology, when they start or
    /// by [`reload_topology`](Self::reload_topology).
    pub fn topology_conflicts(&self) -> Vec<TopologyConflict> {
        conflicts(&self.mesh().view(), &self.id())
    }

    /// The topology it goes by now, and its hash. Who needs it twice takes it once.
    pub(crate) fn declared(&self) -> Option<Arc<Declared>> {
        self.told().current.load_full()
    }

    /// Warns, once a service and topology, of attributes that mean no declared node.
    pub(crate) fn check_client(&self, info: &'static ServiceInfo) {
        let Some(declared) = self.declared() else { return };
        if let Some(error) = self.told().first_fault(info, &declared) {
            tracing::warn!(
                service = info.service_name(),
                "{error}; calls without a selector of their own find nobody: mend the attribute, \
                 or declare such a node in the topology of every node"
            );
        }
    }
}

/// A topology, and its hash.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) topology: Arc<Topology>,
    pub(crate) hash: TopologyHash,
}

impl Declared {
    pub(crate) fn new(topology: Topology) -> Self {
        Self { hash: topology.hash(), topology: topology.into() }
    }
}

/// What a node was told of the nodes there should be.
#[derive(Debug)]
pub(crate) struct Told {
    current: ArcSwapOption<Declared>,
    /// One at a time, so that the hash that is told is that of what is gone by.
    replacing: Mutex<()>,
    /// The services of clients whose attributes were checked, and against which topology: the
    /// present one, or one that was while the check was made.
    clients: Mutex<BTreeSet<(TopologyHash, &'static str)>>,
    /// Where the node runs: a reload may come from any thread.
    runtime: Handle,
}

impl Told {
    /// Must be made on the runtime of the node.
    pub(crate) fn new(topology: Option<Topology>) -> Self {
        Self {
            current: ArcSwapOption::new(topology.map(|topology| Declared::new(topology).into())),
            replacing: Mutex::default(),
            clients: Mutex::default(),
            runtime: Handle::current(),
        }
    }

    fn replace(
        &self,
        mesh: &Mesh,
        declared: Declared,
        notice: impl FnOnce(Option<&Declared>, &Declared) -> Option<Notice>,
    ) -> Result<()> {
        let _alone = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let _entered = self.runtime.enter();
        mesh.set_topology(Some(declared.hash.to_bytes()))
            .map_err(|error| Error::msg(error.to_string()))?;
        let declared = Arc::new(declared);
        let old = self.current.swap(Some(Arc::clone(&declared)));
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|(hash, _)| *hash == declared.hash);
        drop(clients);
        if let Some(notice) = notice(old.as_deref(), &declared) {
            notice.say(mesh.name());
        }
        Ok(())
    }

    /// What is wrong with the attributes of a service, the first time that it is asked of this
    /// topology.
    fn first_fault(&self, info: &'static ServiceInfo, declared: &Declared) -> Option<Error> {
        // Most services have none, and need no lock.
        selectors(info).next()?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if !clients.insert((declared.hash, info.service_name())) {
            return None;
        }
        check_selectors(info, &declared.topology).err()
    }
}

/// What keeps the votes of a node from counting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Notice {
    /// The topology names the node, and it has nothing to be asked.
    ServesNothing,
    /// The node can be asked, and the topology does not name it.
    NotNamed,
}

impl Notice {
    /// What there is to say of the node `name`, which `serves` the cluster or does not.
    pub(crate) fn of(name: &str, serves: bool, topology: &Topology) -> Option<Self> {
        match (topology.contains(name), serves) {
            (true, false) => Some(Self::ServesNothing),
            (false, true) => Some(Self::NotNamed),
            (true, true) | (false, false) => None,
        }
    }

    pub(crate) fn say(self, name: &str) {
        match self {
            Self::ServesNothing => tracing::warn!(
                name,
                "the topology names this node, and it serves nothing to the cluster: majorities \
                 count it, and it never votes; serve a global service here, or take it out of the \
                 topology of every node"
            ),
            Self::NotNamed => tracing::warn!(
                name,
                "the topology does not name this node, which serves the cluster: its votes do not \
                 count; declare it, with its tags, in the topology of every node"
            ),
        }
    }
}

/// A node of this name, with these tags and services, can go by the topology.
pub(crate) fn check(
    name: &str,
    tags: &BTreeSet<String>,
    mut services: impl Iterator<Item = &'static ServiceInfo>,
    topology: &Topology,
) -> Result<()> {
    check_tags(name, tags, topology)?;
    services.try_for_each(|info| check_selectors(info, topology))
}

/// The node is what the topology says of it, so that all who count by the topology agree.
fn check_tags(name: &str, own: &BTreeSet<String>, topology: &Topology) -> Result<()> {
    let Some(declared) = topology.tags_of(name) else { return Ok(()) };
    if declared == own {
        return Ok(());
    }
    let list = |tags: &BTreeSet<String>| match tags.is_empty() {
        true => "none".to_owned(),
        false => tags.iter().map(|tag| format!("`{tag}`")).collect::<Vec<_>>().join(", "),
    };
    Err(Error::msg(format!(
        "the node `{name}` has other tags than the topology gives it: {} here, {} there; make them \
         the same, here with `.tag(..)`",
        list(own),
        list(declared),
    )))
}

/// The selectors that attributes give name what there is.
fn check_selectors(info: &'static ServiceInfo, topology: &Topology) -> Result<()> {
    for text in selectors(info) {
        topology.check(&parse_selector(text)).map_err(|unknown| {
            Error::msg(format!("the service `{}` is for `{text}`: {unknown}", info.service_name()))
        })?;
    }
    Ok(())
}

fn selectors(info: &'static ServiceInfo) -> impl Iterator<Item = &'static str> {
    let methods = info.methods().iter().filter_map(|method| method.selector());
    info.selector().into_iter().chain(methods)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vote_needs_a_node_that_is_named_and_serves() {
        let topology = Topology::new().node("db@h1", ["db"]).unwrap();
        let notice = |name, serves| Notice::of(name, serves, &topology);
        assert_eq!(notice("db@h1", true), None);
        assert_eq!(notice("db@h1", false), Some(Notice::ServesNothing));
        assert_eq!(notice("web@h1", true), Some(Notice::NotNamed));
        assert_eq!(notice("web@h1", false), None);
    }
}
