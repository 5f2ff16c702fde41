//! Keeps what a node knows of the others ready to read: the snapshot, the callers, and the nodes
//! that a majority counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use macula::Mesh;
use macula::directory::{NodeRecord, NodeStatus, View};
use macula::identity::NodeId;
use macula::text::Safe;

use super::callers::{Callers, caller};
use super::conflict::{Spoken, conflicts};
use super::sample::Sampler;
use super::trouble::Trouble;
use super::{NodeFacts, NodeInfo, Nodes, Runtime, Selector};
use crate::context::Caller;
use crate::service::slot::Slots;

/// How often the node looks at its own machine and at the news of the others.
const PERIOD: Duration = Duration::from_secs(1);
/// How long the node rests after it has taken news in, for each node of the cluster: more than ten times
/// as long as that took.
const REST: Duration = Duration::from_micros(20);
/// How many nodes are remembered that were seen once.
const REMEMBERED: usize = 16_384;

/// What is known of the nodes, always ready.
#[derive(Debug)]
pub(crate) struct Live {
    nodes: ArcSwap<Nodes>,
    /// Held by who takes the news in.
    taken: Mutex<Taken>,
    /// Changes with each snapshot.
    #[cfg(feature = "testing")]
    pub(crate) refreshed: tokio::sync::watch::Sender<()>,
    /// Nodes that failed calls of this one.
    trouble: Trouble,
    seen: Mutex<BTreeMap<String, Seen>>,
    /// Names that several living nodes bear, which has been said.
    shared_names: Mutex<BTreeSet<String>>,
    /// Nodes that go by another topology, which has been said.
    conflicts: Mutex<Spoken>,
}

/// A node that served something and has not said goodbye, the latest of its name.
#[derive(Clone, Debug)]
struct Seen {
    record: Arc<NodeRecord>,
    methods: BTreeSet<u64>,
}

/// What has been taken in.
#[derive(Debug, Default)]
struct Taken {
    view: Arc<View>,
    /// Made from these records.
    callers: BTreeMap<NodeId, (Arc<NodeRecord>, Arc<Caller>)>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            nodes: ArcSwap::from_pointee(Nodes::new(Vec::new())),
            taken: Mutex::default(),
            #[cfg(feature = "testing")]
            refreshed: tokio::sync::watch::Sender::new(()),
            trouble: Trouble::default(),
            seen: Mutex::default(),
            shared_names: Mutex::default(),
            conflicts: Mutex::default(),
        }
    }

    /// The newest snapshot.
    pub(crate) fn nodes(&self) -> Nodes {
        Nodes::clone(&self.nodes.load())
    }

    /// The nodes that failed calls of this one.
    pub(crate) fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// How many nodes, by name, have been seen to serve the method and match the selector, and
    /// did not leave in good order since: the living and the crashed.
    pub(crate) fn seen_serving(
        &self,
        mesh: &Mesh,
        method: u64,
        selector: Option<&Selector>,
    ) -> usize {
        self.remember(mesh, &mesh.view());
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = |(name, seen): &(&String, &Seen)| {
            seen.methods.contains(&method)
                && selector.is_none_or(|selector| selector.matches(name, &seen.record.tags))
        };
        seen.iter().filter(counts).count()
    }

    /// What each node of a name that `wanted` takes has been seen to serve, by wire id: the
    /// living, and those that are gone without a goodbye.
    pub(crate) fn seen(
        &self,
        mesh: &Mesh,
        wanted: impl Fn(&str) -> bool,
    ) -> BTreeMap<String, BTreeSet<u64>> {
        self.remember(mesh, &mesh.view());
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.iter().filter(|(name, _)| wanted(name));
        seen.map(|(name, seen)| (name.clone(), seen.methods.clone())).collect()
    }

    /// Takes in what the mesh knows now.
    pub(crate) fn refresh(&self, mesh: &Mesh, callers: &Callers) {
        let view = mesh.view();
        let facts = mesh.facts(view.nodes().iter().map(|node| node.id));
        let known = view.nodes().iter().zip(facts).filter_map(|(node, fact)| {
            let record = node.record.as_ref()?;
            Some(NodeInfo::new(info(mesh, record, fact)))
        });
        self.nodes.store(Arc::new(Nodes::new(known.collect())));
        #[cfg(feature = "testing")]
        self.refreshed.send_replace(());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&taken.view, &view) {
            // Samples are all that is new, and last words of nodes that have gone.
            return self.forget_departed(mesh, &view);
        }
        self.trouble.retain(|node| view.node(node).is_some());
        self.remember(mesh, &view);
        self.warn_of_shared_names(&view);
        self.warn_of_conflicts(&view, &mesh.id());
        let before = std::mem::take(&mut taken.callers);
        let records = view.nodes().iter().filter_map(|node| node.record.clone());
        let known = |record: Arc<NodeRecord>| {
            let known = before.get(&record.node).filter(|(known, _)| Arc::ptr_eq(known, &record));
            let caller = known.map_or_else(|| caller(&record), |(_, caller)| caller.clone());
            (record.node, (record, caller))
        };
        taken.callers = records.map(known).collect();
        let shown = taken.callers.iter().map(|(node, (_, caller))| (*node, caller.clone()));
        callers.store(shown.collect());
        taken.view = view;
    }

    /// Selectors mean all nodes of a name, and a vote counts a name once: worth a word when a name
    /// begins to be shared.
    fn warn_of_shared_names(&self, view: &View) {
        let mut names = BTreeSet::new();
        let records = view.nodes().iter().filter_map(|node| node.record.as_deref());
        let shared: BTreeSet<_> = records
            .filter(|record| !names.insert(record.name.as_str()))
            .map(|record| record.name.clone())
            .collect();
        let mut said = self.shared_names.lock().unwrap_or_else(PoisonError::into_inner);
        for name in shared.difference(&said) {
            let name = Safe(name);
            tracing::warn!(%name, "several living nodes have this name; a vote counts it once");
        }
        *said = shared;
    }

    fn warn_of_conflicts(&self, view: &View, itself: &NodeId) {
        let found = conflicts(view, itself);
        let mut spoken = self.conflicts.lock().unwrap_or_else(PoisonError::into_inner);
        // One that has come back is listed before its record is here.
        let known = |node: &NodeId| {
            let record = view.node(node).and_then(|node| node.record.as_ref());
            record.is_some_and(|record| record.status == NodeStatus::Serving)
        };
        for conflict in spoken.news(&found, known) {
            tracing::warn!(
                id = %conflict.node.id,
                "{conflict}: majorities among nodes that differ are refused; give all nodes the \
                 same topology, when they start or by `Node::reload_topology`"
            );
        }
    }

    fn remember(&self, mesh: &Mesh, view: &View) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for record in view.nodes().iter().filter_map(|node| node.record.as_ref()) {
            let known = seen.get(&record.name);
            if known.is_some_and(|seen| Arc::ptr_eq(&seen.record, record)) {
                continue;
            }
            if record.status != NodeStatus::Serving {
                if known.is_some_and(|seen| seen.record.node == record.node) {
                    seen.remove(&record.name);
                }
            } else if seen.len() < REMEMBERED || known.is_some() {
                let methods = record.services.iter().flat_map(|service| &service.methods);
                let methods = methods.map(|method| method.id).collect();
                seen.insert(record.name.clone(), Seen { record: record.clone(), methods });
            }
        }
        forget_departed(&mut seen, view, |node| mesh.record(node));
    }

    fn forget_departed(&self, mesh: &Mesh, view: &View) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        forget_departed(&mut seen, view, |node| mesh.record(node));
    }
}

/// Removes those that are gone and said so: their `last` words may have come together with the news
/// that they are gone.
fn forget_departed(
    seen: &mut BTreeMap<String, Seen>,
    view: &View,
    last: impl Fn(&NodeId) -> Option<Arc<NodeRecord>>,
) {
    seen.retain(|_, seen| {
        let node = &seen.record.node;
        view.node(node).is_some()
            || last(node).is_none_or(|last| last.status == NodeStatus::Serving)
    });
}

/// Follows the mesh, and shares samples of this machine, for as long as the node lives.
pub(crate) async fn follow(
    live: Arc<Live>,
    mesh: Mesh,
    callers: Callers,
    slots: Arc<Slots>,
    #[cfg(feature = "metrics")] mut gauges: super::measures::Gauges,
) {
    let mut changed = mesh.watch_view();
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut sampler = Sampler::new();
    loop {
        tokio::select! {
            news = changed.changed() => {
                if news.is_err() {
                    return;
                }
            }
            _ = period.tick() => {
                #[cfg(feature = "metrics")]
                gauges.refresh(&mesh, &slots);
                let serving = u32::try_from(mesh.serving()).unwrap_or(u32::MAX);
                let queued: usize = slots.all().iter().map(|served| served.queued()).sum();
                let queued = u32::try_from(queued).unwrap_or(u32::MAX);
                let sample = sampler.sample(serving, queued);
                if mesh.share_fact(sample.encode().into()).is_err() {
                    tracing::error!("the sample of this machine is too long to be shared");
                }
            }
        }
        live.refresh(&mesh, &callers);
        // In a large cluster that takes a while: of news that comes at once it is done once.
        let pause = REST * u32::try_from(mesh.view().nodes().len()).unwrap_or(u32::MAX);
        if pause >= Duration::from_millis(1) {
            tokio::time::sleep(pause.min(PERIOD)).await;
        }
    }
}

/// What a record and a fact say of a node.
pub(crate) fn info(
    mesh: &Mesh,
    record: &NodeRecord,
    fact: Option<(bytes::Bytes, Duration)>,
) -> NodeFacts {
    let mut facts = NodeFacts::new(record.node, record.name.clone());
    facts.is_self = record.node == mesh.id();
    facts.tags = record.tags.clone();
    facts.draining = record.status != NodeStatus::Serving;
    facts.services = record.services.iter().map(|service| service.name.clone()).collect();
    if let Some((bytes, age)) = fact {
        facts.runtime = Runtime::decode(&bytes);
        facts.last_seen = Some(age);
    }
    if facts.is_self {
        facts.load = Some(u16::try_from(mesh.serving()).unwrap_or(u16::MAX));
    } else {
        let peer = mesh.peer(&record.node);
        facts.connected = !peer.suspect;
        facts.load = peer.connected.then_some(peer.load);
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cold_read_finds_nothing_and_writes_nothing() {
        // NOD-07
        let live = Live::new();
        assert!(live.nodes().is_empty() && live.nodes().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_that_was_lost_is_made_again() {
        // NOD-05
        let builder = crate::Node::builder("a").cookie("of this test");
        let network = macula::MemoryNetwork::new(1);
        let node = builder.memory(network, "10.0.0.1:1".parse().unwrap()).start().await.unwrap();
        for _ in 0..2 {
            assert_eq!(node.nodes().len(), 1);
            node.live().nodes.store(Arc::new(Nodes::new(Vec::new())));
            assert!(node.nodes().is_empty(), "a read refreshes nothing");
            tokio::time::sleep(PERIOD + Duration::from_millis(1)).await;
        }
        assert_eq!(node.nodes().len(), 1);
    }

    #[test]
    fn only_last_words_tell_a_departure_from_a_crash() {
        let id = |number| NodeId::from_bytes([number; 32]);
        let names = ["left", "crashed", "long gone"];
        let record = |node: &NodeId, status| NodeRecord {
            node: *node,
            incarnation: 1,
            version: 1,
            name: "any".into(),
            tags: [].into(),
            addrs: Vec::new(),
            status,
            services: Vec::new(),
            topology: None,
        };
        let seen = |number| {
            let record = record(&id(number), NodeStatus::Serving).into();
            Seen { record, methods: [7].into() }
        };
        let mut all = names.into_iter().zip(1..).map(|(name, n)| (name.into(), seen(n))).collect();
        forget_departed(&mut all, &View::default(), |node| match *node {
            node if node == id(1) => Some(record(&node, NodeStatus::Draining).into()),
            node if node == id(2) => Some(record(&node, NodeStatus::Serving).into()),
            _ => None,
        });
        assert_eq!(all.into_keys().collect::<Vec<_>>(), ["crashed", "long gone"]);
    }
}
