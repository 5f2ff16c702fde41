use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::Seed;
use super::local::LocalDirectory;
use crate::identity::NodeId;
use crate::mesh::Inner;
use crate::text::Safe;
use crate::transport::DialError;

/// How often the runtime directory is looked through, and the first pause between tries of a
/// seed.
const ROUND: Duration = Duration::from_secs(1);
/// The longest pause between tries of one seed, or of one neighbour that does not answer.
const LONGEST: Duration = Duration::from_secs(15);

/// Whether a node is part of a cluster, and what it tried to become one.
#[derive(Clone, Debug, Default)]
pub struct Joining {
    /// The node has met a peer, or knows that there is nobody to meet: it has no seeds, and all
    /// nodes of this machine that it could see have been tried.
    pub joined: bool,
    /// The last outcome of each try that failed.
    pub tried: Vec<Tried>,
}

/// A try to join that failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tried {
    /// The seed, or the neighbour on this machine.
    pub target: String,
    /// What happened.
    pub outcome: String,
}

/// Begins to join and waits for it, at most `patience`. The tries go on for as long as the node
/// lives: a seed or a neighbour that is lost is found again.
pub(crate) async fn join(
    inner: &Arc<Inner>,
    seeds: Vec<Seed>,
    neighbours: Option<LocalDirectory>,
    patience: Duration,
) {
    let joiner = Joiner { inner: inner.clone(), seeds, neighbours, tries: BTreeMap::new() };
    inner.spawn(joiner.run());
    let mut joining = inner.joining.subscribe();
    // Not having joined in time is no error: calls say what was tried.
    let _ = timeout(patience, joining.wait_for(|joining| joining.joined)).await;
}

struct Joiner {
    inner: Arc<Inner>,
    seeds: Vec<Seed>,
    neighbours: Option<LocalDirectory>,
    tries: BTreeMap<Target, Try>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Target {
    Seed(usize),
    Neighbour(NodeId),
}

/// What is known of a target.
#[derive(Debug)]
struct Try {
    name: String,
    /// Who answered there.
    node: Option<NodeId>,
    failures: u32,
    due: Instant,
    outcome: Option<String>,
    /// That it does not answer has been said.
    said: bool,
}

impl Joiner {
    async fn run(mut self) {
        let mut members = self.inner.events.subscribe();
        let mut introduced = self.inner.introduced.subscribe();
        loop {
            let due = self.due();
            let outcomes = self.attempt_all(&due, &mut introduced).await;
            for ((target, _), outcome) in due.into_iter().zip(outcomes) {
                self.note(&target, outcome);
            }
            self.tell();
            // A member that comes or goes is worth a look at once; otherwise once a round.
            tokio::select! {
                _ = members.recv() => {}
                _ = introduced.changed() => {}
                () = tokio::time::sleep(ROUND) => {}
            }
            // One look for all that have come or gone: it reads a file for each neighbour.
            while !matches!(members.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
        }
    }

    /// The targets to try now, with the addresses of those that need no resolving.
    fn due(&mut self) -> Vec<(Target, Option<SocketAddr>)> {
        let now = Instant::now();
        let mut targets: Vec<(Target, Option<SocketAddr>, String)> = Vec::new();
        for (index, seed) in self.seeds.iter().enumerate() {
            targets.push((Target::Seed(index), None, seed.text().to_owned()));
        }
        match self.neighbours.as_ref().map(LocalDirectory::peers) {
            Some(Ok(peers)) => targets.extend(peers.into_iter().map(|(id, addr)| {
                (Target::Neighbour(id), Some(addr), format!("{addr} on this machine"))
            })),
            Some(Err(error)) => tracing::warn!(%error, "the runtime directory cannot be read"),
            None => {}
        }
        self.tries.retain(|target, _| targets.iter().any(|(known, ..)| known == target));
        let me = self.inner.me().id;
        let state = self.inner.state();
        let mut due = Vec::new();
        for (target, addr, name) in targets {
            let node = match &target {
                Target::Neighbour(id) => Some(*id),
                Target::Seed(_) => None,
            };
            let entry = self.tries.entry(target.clone()).or_insert_with(|| Try {
                name,
                node,
                failures: 0,
                due: now,
                outcome: None,
                said: false,
            });
            let met = entry.node.is_some_and(|id| id == me || state.alive.contains_key(&id));
            if !met && entry.due <= now {
                due.push((target, addr));
            }
        }
        due
    }

    /// Tries all at once. Who has met somebody meanwhile has joined, whatever becomes of the other
    /// tries: a seed that is down is waited for in vain for seconds.
    async fn attempt_all(
        &self,
        due: &[(Target, Option<SocketAddr>)],
        introduced: &mut watch::Receiver<bool>,
    ) -> Vec<Result<NodeId, String>> {
        let tries = due.iter().map(|(target, addrs)| self.attempt(target, addrs));
        let mut tries = pin!(join_all(tries));
        loop {
            tokio::select! {
                biased;
                outcomes = &mut tries => return outcomes,
                Ok(()) = introduced.changed() => self.tell(),
            }
        }
    }

    async fn attempt(&self, target: &Target, addr: &Option<SocketAddr>) -> Result<NodeId, String> {
        let peer = match (target, addr) {
            (Target::Neighbour(id), Some(addr)) => {
                self.inner.link_to(*id, *addr).await.map_err(|error| error.to_string())?
            }
            (Target::Seed(index), _) => {
                let seed = self.seeds.get(*index).ok_or_else(String::new)?;
                let addrs = seed.resolve().await.map_err(|error| error.to_string())?;
                return self.any_of(addrs).await;
            }
            (Target::Neighbour(_), None) => return Err("it has no address".into()),
        };
        Ok(peer.peer.id)
    }

    async fn any_of(&self, addrs: Vec<SocketAddr>) -> Result<NodeId, String> {
        let mut last = "its name has no address".into();
        for addr in addrs {
            match self.inner.dial(addr, None).await {
                Ok(link) => return Ok(link.peer.id),
                Err(DialError::Myself) => return Ok(self.inner.me().id),
                Err(error) => last = error.to_string(),
            }
        }
        Err(last)
    }

    fn note(&mut self, target: &Target, outcome: Result<NodeId, String>) {
        let Some(entry) = self.tries.get_mut(target) else { return };
        match outcome {
            Ok(node) => {
                entry.node = Some(node);
                entry.failures = 0;
                entry.outcome = None;
                entry.said = false;
                entry.due = Instant::now() + ROUND;
            }
            Err(reason) => {
                let pause = ROUND.saturating_mul(1 << entry.failures.min(8)).min(LONGEST);
                entry.failures = entry.failures.saturating_add(1);
                entry.due = Instant::now() + pause;
                if !std::mem::replace(&mut entry.said, true) {
                    let target = &entry.name;
                    tracing::warn!(%target, reason = %Safe(&reason), "cannot join through it; trying on");
                }
                entry.outcome = Some(reason);
            }
        }
    }

    fn tell(&self) {
        // Whoever was met has said whom else there is, and readers see it.
        let met = *self.inner.introduced.borrow() && self.inner.view.load().nodes().len() > 1;
        let me = self.inner.me().id;
        let alone = self.tries.iter().all(|(target, entry)| match target {
            // A node that is its own only seed is the first of its cluster.
            Target::Seed(_) => entry.node == Some(me),
            // A neighbour that does not answer is none.
            Target::Neighbour(_) => entry.outcome.is_some(),
        });
        let failed = self.tries.values().filter_map(|entry| {
            Some(Tried { target: entry.name.clone(), outcome: entry.outcome.clone()? })
        });
        let tried: Vec<_> = failed.collect();
        self.inner.joining.send_if_modified(|joining| {
            // Once part of a cluster, a node that is left alone is a cluster of one.
            let joined = joining.joined || met || alone;
            let modified = joining.joined != joined || joining.tried != tried;
            joining.joined = joined;
            joining.tried = tried;
            modified
        });
    }
}
