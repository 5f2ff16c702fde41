//! From a seed to the addresses where it is now.
//!
//! What DNS says is a hint: whoever answers at an address must still prove the realm.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use rand::rngs::StdRng;
use tokio::time::{Instant, timeout, timeout_at};

use super::Seed;
use super::lookups::Lookups;
use super::seed::{DEFAULT_PORT, Place, named};
use super::srv::{SrvRecord, in_order};
use crate::limits::SEED_PLACES;
use crate::text::Safe;

/// How long all lookups for one seed may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of it is spent on records of services: some servers never answer what they do not know.
pub(super) const SERVICES: Duration = Duration::from_millis(2500);
/// How much of it is spent on the hosts that such records name, and how many are looked up at once:
/// each lookup may be a thread.
const HOSTS: Duration = Duration::from_millis(2400);
const HOSTS_AT_ONCE: usize = 8;

/// What a resolver says, when it does.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Asks for names; a test answers from a table.
pub(crate) trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of a host, of both families, best first.
    fn addresses<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a, Vec<SocketAddr>>;

    /// The records of a service such as `_macula._udp.example`; none if there are none, or if this
    /// resolver does not know how to ask.
    fn services<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<SrvRecord>>;

    /// Whether nobody has been asked for this host yet, because others are looked up before it.
    fn waits(&self, _host: &str) -> bool {
        false
    }
}

/// Why it is not known where a seed is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    #[error("its name was not found: {0}")]
    Failed(#[source] io::Error),
    #[error("its name has no address")]
    Nowhere,
    #[error("DNS says that there is no such service at that host")]
    NoService,
    #[error("DNS did not answer in time")]
    Slow,
    #[error("its name waits behind other lookups")]
    Behind,
}

/// The resolver of the system; services are asked for with the feature `dns` alone.
#[derive(Debug, Default)]
pub(crate) struct System(Lookups<Vec<SocketAddr>>);

impl Resolve for System {
    fn addresses<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a, Vec<SocketAddr>> {
        let asked = host.to_owned();
        // Seeds on several ports of a host share what is known of it.
        let lookup = async move { Ok(tokio::net::lookup_host((asked, 0)).await?.collect()) };
        Box::pin(async move {
            let mut found: Vec<SocketAddr> = self.0.run(host, lookup).await?;
            found.iter_mut().for_each(|addr| addr.set_port(port));
            Ok(found)
        })
    }

    fn waits(&self, host: &str) -> bool {
        self.0.waits(host)
    }

    #[cfg(feature = "dns")]
    fn services<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<SrvRecord>> {
        Box::pin(super::dns::services(name))
    }

    #[cfg(not(feature = "dns"))]
    fn services<'a>(&'a self, _: &'a str) -> Answer<'a, Vec<SrvRecord>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// Where a seed is.
#[derive(Debug)]
pub(crate) struct Found {
    /// Each once, in the order in which they are to be tried: 64 at most.
    pub(crate) addrs: Vec<SocketAddr>,
    /// Whether that is all, and not only what could be found out of several hosts.
    pub(crate) whole: bool,
}

impl Found {
    fn all(addrs: Vec<SocketAddr>) -> Self {
        Self { addrs, whole: true }
    }
}

/// The addresses of a seed.
pub(crate) async fn look_up(
    seed: &Seed,
    resolver: &dyn Resolve,
    rng: StdRng,
) -> Result<Found, LookupError> {
    let found = async {
        match seed.place() {
            Place::Address(addr) => Ok(Found::all(vec![*addr])),
            Place::Host { host, port } => addresses(resolver, host, *port).await.map(Found::all),
            Place::Service { service, host } => hosts(resolver, service, host, rng).await,
        }
    };
    let host = match seed.place() {
        Place::Address(_) => None,
        Place::Host { host, .. } | Place::Service { host, .. } => Some(host.as_str()),
    };
    let found = timeout(PATIENCE, found).await;
    let Found { addrs, whole } = found.map_err(|_| late(resolver, host))??;
    let mut seen = BTreeSet::new();
    let addrs = addrs.into_iter().filter(|addr| addr.port() > 0 && seen.insert(*addr));
    let addrs: Vec<_> = addrs.take(SEED_PLACES).collect();
    if addrs.is_empty() { Err(LookupError::Nowhere) } else { Ok(Found { addrs, whole }) }
}

async fn addresses(
    resolver: &dyn Resolve,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, LookupError> {
    resolver.addresses(host, port).await.map_err(LookupError::Failed)
}

/// Why nothing has been heard of these hosts.
fn late<'h>(resolver: &dyn Resolve, hosts: impl IntoIterator<Item = &'h str>) -> LookupError {
    let waits = hosts.into_iter().any(|host| resolver.waits(host));
    if waits { LookupError::Behind } else { LookupError::Slow }
}

/// The hosts that the records of the service name; where there are no records, or nobody who can be
/// asked for them, the host itself.
async fn hosts(
    resolver: &dyn Resolve,
    service: &str,
    host: &str,
    mut rng: StdRng,
) -> Result<Found, LookupError> {
    let name = format!("_{service}._udp.{host}");
    let asked = timeout(SERVICES, resolver.services(&name)).await;
    let asked = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let mut records = asked.unwrap_or_else(|error| {
        let error = error.to_string();
        tracing::debug!(%name, error = %Safe(&error), "the records of a service were not found");
        Vec::new()
    });
    if records.is_empty() {
        return addresses(resolver, host, DEFAULT_PORT).await.map(Found::all);
    }
    records.retain(|record| record.port > 0 && named(&record.target).is_some());
    if records.is_empty() {
        return Err(LookupError::NoService);
    }
    let mut records = in_order(records, &mut rng);
    records.truncate(SEED_PLACES);
    let lookup = |(at, record): (usize, SrvRecord)| async move {
        (at, addresses(resolver, &record.target, record.port).await)
    };
    let targets: Vec<_> = records.iter().map(|record| record.target.clone()).collect();
    let lookups: Vec<_> = records.into_iter().enumerate().map(lookup).collect();
    let mut lookups = pin!(stream::iter(lookups).buffer_unordered(HOSTS_AT_ONCE));
    let (mut found, mut fault) = (BTreeMap::new(), LookupError::Nowhere);
    let until = Instant::now() + HOSTS;
    loop {
        match timeout_at(until, lookups.next()).await {
            Ok(Some((at, Ok(addrs)))) => drop(found.insert(at, addrs)),
            Ok(Some((_, Err(error)))) => fault = error,
            Ok(None) => break,
            // What the others are is known: it is no reason to ask nobody that one is not.
            Err(_) => {
                fault = late(resolver, targets.iter().map(String::as_str));
                break;
            }
        }
    }
    let whole = found.len() == targets.len();
    let addrs: Vec<_> = found.into_values().flatten().collect();
    if addrs.is_empty() { Err(fault) } else { Ok(Found { addrs, whole }) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::future::join_all;
    use rand::SeedableRng;
    use tokio::sync::Semaphore;

    use super::super::table::Table;
    use super::*;
    use crate::limits::ASKED_AT_ONCE;

    #[tokio::test]
    async fn the_system_says_where_each_port_of_a_host_is() {
        let system = System::default();
        let (one, other) =
            tokio::join!(system.addresses("127.0.0.1", 7), system.addresses("127.0.0.1", 8));
        let here = |port| vec![SocketAddr::from(([127, 0, 0, 1], port))];
        assert_eq!((one.unwrap(), other.unwrap()), (here(7), here(8)));
    }

    async fn found(table: &dyn Resolve, seed: &str) -> Result<Vec<String>, String> {
        let seed = Seed::parse(seed, "").unwrap();
        let found = look_up(&seed, table, StdRng::seed_from_u64(1)).await;
        let shown = |found: Found| found.addrs.iter().map(ToString::to_string).collect();
        found.map(shown).map_err(|error| error.to_string())
    }

    /// Knows one host. Of all others it says nothing before it is let.
    #[derive(Debug)]
    struct Queue(Lookups<Vec<SocketAddr>>, Arc<Semaphore>);

    impl Resolve for Queue {
        fn addresses<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a, Vec<SocketAddr>> {
            let gate = if host == "good" { None } else { Some(Arc::clone(&self.1)) };
            let lookup = async move {
                if let Some(gate) = gate {
                    gate.acquire().await.map_err(io::Error::other)?.forget();
                }
                Ok(vec![SocketAddr::from(([10, 0, 0, 1], port))])
            };
            Box::pin(self.0.run(host, lookup))
        }

        fn services<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<SrvRecord>> {
            let record = |target: &str| SrvRecord {
                priority: 0,
                weight: 0,
                port: 7,
                target: target.to_owned(),
            };
            let all = if name == "_users._udp.site" { vec![record("good")] } else { Vec::new() };
            Box::pin(async { Ok(all) })
        }

        fn waits(&self, host: &str) -> bool {
            self.0.waits(host)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_behind_others_that_hang_is_found_when_its_turn_has_come() {
        let queue = Queue(Lookups::default(), Arc::new(Semaphore::new(0)));
        let silent: Vec<_> = (0..ASKED_AT_ONCE).map(|n| format!("silent{n}:1")).collect();
        let all = join_all(silent.iter().map(|seed| found(&queue, seed))).await;
        assert!(all.into_iter().all(|found| found.unwrap_err() == "DNS did not answer in time"));
        for seed in ["good:1", "good", "users@site"] {
            let behind = found(&queue, seed).await.unwrap_err();
            assert_eq!(behind, "its name waits behind other lookups", "{seed}");
        }
        queue.1.add_permits(1);
        tokio::time::sleep(PATIENCE).await;
        queue.1.add_permits(ASKED_AT_ONCE);
        let began = Instant::now();
        for seed in ["good:1", "silent0:1"] {
            assert_eq!(found(&queue, seed).await.unwrap(), ["10.0.0.1:1"]);
        }
        assert_eq!(began.elapsed(), Duration::ZERO, "it is known");
    }

    /// CL-1: the records of `_name._udp.host`, else the addresses of the host.
    #[tokio::test(start_paused = true)]
    async fn a_name_at_a_host_is_a_service_or_else_the_host() {
        let table = Table::default()
            .srv("_users._udp.site", 20, 1, 7001, "c.site")
            .srv("_users._udp.site", 10, 1, 7000, "b.site")
            .host("b.site", &["10.0.0.2", "2001:db8::2"])
            .host("c.site", &["10.0.0.3"])
            .host("site", &["10.0.0.1"]);
        let expected = ["10.0.0.2:7000", "[2001:db8::2]:7000", "10.0.0.3:7001"];
        assert_eq!(found(&table, "users@site").await.unwrap(), expected);
        assert_eq!(found(&table, "others@site").await.unwrap(), ["10.0.0.1:9443"]);
    }

    /// CL-2: a host alone is the service of the mesh there; CL-3: where DNS knows none, its
    /// addresses.
    #[tokio::test(start_paused = true)]
    async fn a_host_alone_is_the_service_of_the_mesh_or_else_its_addresses() {
        let table = Table::default()
            .srv("_macula._udp.site", 1, 1, 7000, "b.site.")
            .host("b.site.", &["10.0.0.2"])
            .host("site", &["10.0.0.1"])
            .host("plain", &["10.0.0.9", "2001:db8::9"]);
        assert_eq!(found(&table, "site").await.unwrap(), ["10.0.0.2:7000"]);
        assert_eq!(found(&table, "plain").await.unwrap(), ["10.0.0.9:9443", "[2001:db8::9]:9443"]);
        // With a port, it is the host and nothing else.
        assert_eq!(found(&table, "site:5").await.unwrap(), ["10.0.0.1:5"]);
        assert_eq!(found(&table, "[::1]:5").await.unwrap(), ["[::1]:5"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_ask_for_services_asks_for_the_host() {
        for table in [Table::default().srv_fails(), Table::default().srv_never()] {
            let table = table.host("site", &["10.0.0.1"]);
            assert_eq!(found(&table, "site").await.unwrap(), ["10.0.0.1:9443"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_dns_says_is_taken_for_what_it_is_worth() {
        // RFC 2782: the root as the only target says that there is no such service.
        let table =
            Table::default().srv("_macula._udp.site", 0, 0, 0, ".").host("site", &["1.1.1.1"]);
        let error = found(&table, "site").await.unwrap_err();
        assert_eq!(error, "DNS says that there is no such service at that host");

        let table = Table::default()
            .srv("_macula._udp.site", 0, 0, 7, "gone.site")
            .srv("_macula._udp.site", 0, 0, 7, "10.0.0.7")
            .srv("_macula._udp.site", 0, 0, 7, "a b")
            .srv("_macula._udp.site", 1, 0, 0, "b.site")
            .srv("_macula._udp.site", 2, 0, 7, "b.site")
            .srv("_macula._udp.site", 3, 0, 7, "b.site")
            .host("b.site", &["10.0.0.2"]);
        assert_eq!(found(&table, "site").await.unwrap(), ["10.0.0.2:7"], "once");

        let table = Table::default().srv("_macula._udp.site", 0, 0, 7, "gone.site");
        let error = found(&table, "site").await.unwrap_err();
        assert_eq!(error, "its name was not found: `gone.site` is not in the table");
        let table = Table::default().host("empty", &[]);
        assert_eq!(found(&table, "empty:1").await.unwrap_err(), "its name has no address");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_and_the_time_for_them_have_bounds() {
        let mut table = Table::default();
        for n in 0..200_u8 {
            let (target, addr) = (format!("h{n}.site"), format!("10.0.0.{n}"));
            table = table.srv("_macula._udp.site", 0, 0, 7, &target).host(&target, &[&addr]);
        }
        assert_eq!(found(&table, "site").await.unwrap().len(), 64);
        assert_eq!(table.most_at_once(), 8);
        // A host of which nothing is heard does not hide the others.
        let table = Table::default()
            .srv("_macula._udp.site", 0, 0, 7, "silent.site")
            .srv("_macula._udp.site", 1, 0, 7, "b.site")
            .host("b.site", &["10.0.0.2"])
            .silent("silent.site");
        assert_eq!(found(&table, "site").await.unwrap(), ["10.0.0.2:7"]);
        // It is known that this is not all.
        let rng = StdRng::seed_from_u64(1);
        let all = look_up(&Seed::parse("site", "").unwrap(), &table, rng).await.unwrap();
        assert!(!all.whole);
        let table = Table::default().never();
        assert_eq!(found(&table, "site:1").await.unwrap_err(), "DNS did not answer in time");
    }
}
