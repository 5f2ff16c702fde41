use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::ask::{ask_neighbour, ask_seed};
use super::attempt::{Asked, Attempts, Living, Places};
use super::list::SeedLists;
use super::local::LocalDirectory;
use super::resolve::Resolve;
use super::{Seed, SeedError};
use crate::identity::NodeId;
use crate::limits::ASKED_AT_ONCE;
use crate::mesh::Inner;
use crate::text::Safe;

/// How often the runtime directory is looked through, and it is seen who is due to be asked.
const ROUND: Duration = Duration::from_secs(1);
/// How often seed files are read.
const REREAD: Duration = Duration::from_secs(5);

/// Whether a node is part of a cluster, and what it tried to become one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Joining {
    /// The node has met a peer, or knows that there is nobody to meet: it has no seeds, and all
    /// nodes of this machine that it could see have been tried.
    pub joined: bool,
    /// Another node has been a member beside it, be it for a moment.
    pub met: bool,
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

/// Where a node looks for others.
#[derive(Debug)]
pub(crate) struct Ways {
    pub(crate) seeds: SeedLists,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) neighbours: Option<LocalDirectory>,
}

/// Begins to join and waits for it, at most `patience`. The tries go on for as long as the node
/// lives: a seed or a neighbour that is lost is found again.
pub(crate) async fn join(inner: &Arc<Inner>, ways: Ways, patience: Duration) {
    let joiner = Joiner {
        inner: inner.clone(),
        seeds: ways.seeds.seeds(),
        ways,
        read: Instant::now(),
        faults: Vec::new(),
        attempts: BTreeMap::new(),
        met: false,
    };
    inner.spawn(joiner.run());
    let mut joining = inner.joining.subscribe();
    // Not having joined in time is no error: calls say what was tried.
    let _ = timeout(patience, joining.wait_for(|joining| joining.joined)).await;
}

struct Joiner {
    inner: Arc<Inner>,
    ways: Ways,
    seeds: Vec<Seed>,
    /// When the files were read.
    read: Instant,
    /// What was wrong with them then.
    faults: Vec<String>,
    attempts: BTreeMap<Target, Attempts>,
    /// Somebody has come or gone.
    met: bool,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Target {
    Seed(Seed),
    Neighbour(NodeId),
}

impl Joiner {
    async fn run(mut self) {
        let mut members = self.inner.events.subscribe();
        let mut introduced: watch::Receiver<bool> = self.inner.introduced.subscribe();
        let mut asking = FuturesUnordered::new();
        loop {
            self.read_files().await;
            self.look();
            // Whoever is asked may take seconds not to answer; meanwhile others are.
            let round = tokio::time::sleep(ROUND);
            tokio::pin!(round);
            loop {
                for target in self.begin(ASKED_AT_ONCE.saturating_sub(asking.len())) {
                    asking.push(self.ask(target));
                }
                self.tell();
                // A member that comes or goes is worth a look at once; otherwise once a round.
                tokio::select! {
                    Some((target, asked)) = asking.next() => {
                        self.note(&target, asked);
                        while let Some(Some((target, asked))) = asking.next().now_or_never() {
                            self.note(&target, asked);
                        }
                    }
                    news = members.recv() => {
                        self.met |= !matches!(news, Err(RecvError::Closed));
                        break;
                    }
                    _ = introduced.changed() => break,
                    () = &mut round => break,
                }
            }
            // One look for all that have come or gone: it reads a file for each neighbour.
            while !matches!(members.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {
                self.met = true;
            }
        }
    }

    /// Reads the seed files again, if that is due. What is wrong with them is said once.
    async fn read_files(&mut self) {
        if !self.ways.seeds.has_files() || self.read.elapsed() < REREAD {
            return;
        }
        self.read = Instant::now();
        let lists = self.ways.seeds.clone();
        let read = tokio::task::spawn_blocking(move || lists.again()).await;
        let Ok((lists, faults)) = read else { return };
        let faults: Vec<String> = faults.iter().map(SeedError::to_string).collect();
        for error in faults.iter().filter(|fault| !self.faults.contains(fault)) {
            tracing::warn!(%error, "a seed file counts as it was");
        }
        self.faults = faults;
        self.seeds = lists.seeds();
        self.ways.seeds = lists;
    }

    /// Sees where there may be somebody.
    fn look(&mut self) {
        let now = Instant::now();
        let seeds = self.seeds.iter().map(|seed| (Target::Seed(seed.clone()), seed.literal()));
        let mut targets: BTreeMap<Target, Option<SocketAddr>> = seeds.collect();
        match self.ways.neighbours.as_ref().map(LocalDirectory::peers) {
            Some(Ok(peers)) => targets
                .extend(peers.into_iter().map(|(id, addr)| (Target::Neighbour(id), Some(addr)))),
            Some(Err(error)) => tracing::warn!(%error, "the runtime directory cannot be read"),
            None => {}
        }
        self.attempts.retain(|target, _| targets.contains_key(target));
        for (target, addr) in targets {
            let attempts = self.attempts.entry(target).or_insert_with_key(|target| match target {
                Target::Seed(seed) => Attempts::seed(seed.text().into(), addr.is_none(), now),
                Target::Neighbour(id) => {
                    let at = addr.map(|addr| addr.to_string()).unwrap_or_default();
                    Attempts::neighbour(format!("{at} on this machine"), *id, now)
                }
            });
            if let Some(addr) = addr {
                attempts.found_at(addr);
            }
        }
    }

    /// Chooses whom to ask now: so many at most, those that have been due for longest.
    fn begin(&mut self, most: usize) -> Vec<Target> {
        let now = Instant::now();
        let living = self.living();
        let due = self
            .attempts
            .iter()
            .filter_map(|(target, attempts)| Some((attempts.due(&living, now)?, target.clone())));
        let mut due: Vec<_> = due.collect();
        due.sort();
        let chosen: Vec<_> = due.into_iter().take(most).map(|(_, target)| target).collect();
        for target in &chosen {
            if let Some(attempts) = self.attempts.get_mut(target) {
                attempts.begin();
            }
        }
        chosen
    }

    /// Asks, with what is known now and whatever becomes of that.
    fn ask(&self, target: Target) -> impl Future<Output = (Target, Asked)> + use<> {
        let (inner, resolver) = (self.inner.clone(), self.ways.resolver.clone());
        let places = self.attempts.get(&target).map(|known| known.places().clone());
        let places: Places = places.unwrap_or_default();
        async move {
            let asked = match &target {
                Target::Seed(seed) => {
                    let rng = StdRng::seed_from_u64(rand::random());
                    ask_seed(&inner, seed, resolver.as_ref(), rng, places).await
                }
                Target::Neighbour(id) => ask_neighbour(&inner, *id, places).await,
            };
            (target, asked)
        }
    }

    fn note(&mut self, target: &Target, asked: Asked) {
        let living = self.living();
        let jitter = rand::rng().random_range(0.0..1.0);
        // A seed may have been taken out of its file meanwhile.
        let Some(attempts) = self.attempts.get_mut(target) else { return };
        if attempts.note(asked, &living, Instant::now(), jitter) {
            let (target, reason) = (attempts.name(), attempts.outcome().unwrap_or_default());
            tracing::warn!(%target, reason = %Safe(reason), "cannot join through it; trying on");
        }
    }

    fn living(&self) -> Living {
        self.inner.living(self.attempts.values().flat_map(Attempts::places))
    }

    fn tell(&self) {
        // Whoever was met has said whom else there is, and readers see it.
        let others = self.inner.view.load().nodes().len() > 1;
        let met = *self.inner.introduced.borrow() && others;
        let me = self.inner.me().id;
        let alone = self.attempts.iter().all(|(target, attempts)| match target {
            // A node that is its own only seed is the first of its cluster.
            Target::Seed(_) => attempts.is_only(me),
            // A neighbour that does not answer is none.
            Target::Neighbour(_) => attempts.outcome().is_some(),
        });
        let failed = self.attempts.values().filter_map(|attempts| {
            let outcome = attempts.outcome()?.to_owned();
            Some(Tried { target: attempts.name().to_owned(), outcome })
        });
        let tried: Vec<_> = failed.collect();
        self.inner.joining.send_if_modified(|joining| {
            // Once part of a cluster, a node that is left alone is a cluster of one.
            let joined = joining.joined || met || alone;
            let now = Joining { joined, met: joining.met || self.met || others, tried };
            let modified = *joining != now;
            *joining = now;
            modified
        });
    }
}
