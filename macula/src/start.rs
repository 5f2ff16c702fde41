//! How a node comes to life, and how it ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::Rng as _;

use crate::StartError;
use crate::config::{Identity, MeshBuilder};
use crate::directory::NodeStatus;
use crate::directory::record::{NodeRecord, SealedRecord};
use crate::identity::cookie::default_config_dir;
use crate::identity::tls::TlsIdentity;
use crate::identity::{Cookie, Realm, SecretKey, next_generation};
use crate::io::{Io, IoThread};
use crate::join::list::{SEEDS_VARIABLE, SeedLists};
use crate::join::local::LocalDirectory;
use crate::join::{Seed, Ways};
use crate::membership::{Member, Membership, MembershipInput};
use crate::mesh::{Inner, Mesh, Parts, lock};
use crate::rpc::Service;
use crate::rpc::services::{Services, Table};
use crate::text::Safe;
use crate::transport::endpoint::{Endpoint, Listen};
use crate::wire::Message;

/// How long the last packets of closed connections may take to leave.
const LAST_PACKETS: Duration = Duration::from_millis(100);

/// The environment variable that holds the cookie.
const COOKIE_VARIABLE: &str = "MACULA_COOKIE";

pub(crate) async fn start(builder: MeshBuilder) -> Result<Arc<Inner>, StartError> {
    // What the environment says is of real networks.
    let env = (builder.memory.is_none() && builder.seeds_from_env)
        .then(|| std::env::var_os(SEEDS_VARIABLE))
        .flatten();
    let lists = SeedLists::read(&builder.seeds, env, builder.seed_files)?;
    let seeds = lists.seeds();
    let config_dir = builder.config_dir.clone().or_else(default_config_dir);
    let env = std::env::var(COOKIE_VARIABLE).ok();
    let cookie = Cookie::resolve(builder.cookie, &builder.realm, env, config_dir.as_deref())?;
    if cookie.is_short() {
        tracing::warn!(
            realm = %Safe(&builder.realm),
            "the cookie has fewer than 16 bytes: a peer that this node dials can guess it; take a \
             random one, or give none to have one made"
        );
    }
    let realm = Realm::new(builder.realm, cookie)?;
    let (key, generation) = identity(builder.identity)?;
    let mut services = builder.services;
    services.iter_mut().for_each(dated);
    let services: Vec<_> = services.into_iter().map(Arc::new).collect();
    let services = Services::new(Table::new(&services)?);

    let tls =
        TlsIdentity::new(&key).map_err(|error| StartError::Crypto { reason: error.to_string() })?;
    let local = builder.memory.is_none() && builder.local_discovery;
    let (listen, otherwise) =
        builder.listen.map_or_else(|| default_listen(&lists), |listen| (listen, None));
    let place = |addr| match &builder.memory {
        Some(network) => Listen::Memory(network.clone(), addr),
        None => Listen::Udp(addr),
    };
    let io = match (&place(listen), builder.io) {
        (Listen::Udp(_), Io::Thread) => Some(IoThread::start()?),
        _ => None,
    };
    let bind = |addr| {
        // The runtime that the endpoint is made in is the one that drives it.
        let _entered = io.as_ref().map(|thread| thread.handle.enter());
        Endpoint::bind(&place(addr), &tls, &builder.limits)
    };
    let endpoint = bind(listen).or_else(|error| bind(otherwise.ok_or(error)?))?;
    let bound = endpoint.local_addr().map_err(|source| StartError::Bind {
        addr: builder.listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        source,
    })?;
    let addr =
        builder.advertise.unwrap_or_else(|| reachable(bound, &seeds, builder.listen.is_some()));
    let me = Member { id: key.id(), addr, generation };
    let record = NodeRecord {
        node: me.id,
        incarnation: generation,
        version: 1,
        name: builder.name.clone(),
        tags: builder.tags.into_iter().collect(),
        addrs: vec![addr],
        status: NodeStatus::Serving,
        services: services.load().records(),
        topology: builder.topology,
    };
    let own = SealedRecord::seal(record, realm.tag(), |bytes| key.sign(bytes))?;
    let parts = Parts {
        name: builder.name,
        key,
        realm,
        limits: builder.limits,
        io,
        endpoint,
        services,
        me,
        own,
    };
    let neighbours = local.then(|| {
        let directory = LocalDirectory::open(builder.runtime_dir, parts.realm.name())?;
        let published = directory.publish(me.id, me.addr)?;
        Ok::<_, StartError>((directory, published))
    });
    let (neighbours, published) = neighbours.transpose()?.unzip();
    let mut start = Start { inner: launch(parts), done: false };
    *lock(&start.inner.published) = published;
    let ways = Ways { seeds: lists, resolver: builder.resolver, neighbours };
    crate::join::join(&start.inner, ways, builder.join_timeout).await;
    start.done = true;
    Ok(start.inner.clone())
}

/// A node that stops at once if its start is given up.
struct Start {
    inner: Arc<Inner>,
    done: bool,
}

impl Drop for Start {
    fn drop(&mut self) {
        if !self.done {
            self.inner.abort();
        }
    }
}

/// Starts the tasks that live as long as the node.
fn launch(parts: Parts) -> Arc<Inner> {
    let (me, max_members) = (parts.me, parts.limits.max_members);
    let mut membership_task = None;
    let inner = Arc::new_cyclic(|weak: &std::sync::Weak<Inner>| {
        let (news_weak, weak) = (weak.clone(), weak.clone());
        let seed = rand::rng().next_u64();
        let (membership, task) = Membership::new(me, seed, max_members, move |news| {
            if let Some(inner) = news_weak.upgrade() {
                inner.on_membership(news);
            }
        });
        membership_task = Some(task);
        Inner::new(parts, membership, weak)
    });
    if let Some(thread) = &inner.io {
        thread.follow_caller(Arc::downgrade(&inner), inner.stop.clone());
    }
    inner.publish();
    inner.announce();
    if let Some(task) = membership_task {
        inner.spawn(task);
    }
    inner.spawn(inner.clone().accept_peers());
    inner.spawn(inner.clone().keep_directory());
    inner.spawn(inner.clone().keep_published());
    inner.spawn(inner.clone().watch_health());
    inner
}

impl Mesh {
    /// Stops at once: no drain, no goodbye, and what runs here for others is dropped at its next
    /// await. Connected peers still see their connections closed, unless the network is gone first:
    /// for the crash of a node in a test, [`MemoryNetwork::unplug`](crate::MemoryNetwork::unplug)
    /// its address, then abort.
    pub fn abort(&self) {
        self.0.abort();
    }
}

impl Inner {
    /// Runs a task until it is done or the node has stopped.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let task = async move {
            tokio::select! {
                () = task => {}
                () = stop.cancelled() => {}
            }
        };
        match &self.io {
            Some(thread) => drop(self.tasks.spawn_on(task, &thread.handle)),
            None => drop(self.tasks.spawn(task)),
        }
    }

    /// Stops everything, and tells nobody in the cluster.
    pub(crate) fn abort(&self) {
        lock(&self.published).take();
        self.draining.store(true, Ordering::SeqCst);
        self.stop.cancel();
        self.tasks.close();
        self.endpoint.close();
        if let Some(thread) = &self.io {
            let endpoint = self.endpoint.clone();
            thread.quit_after(async move {
                let _ = tokio::time::timeout(LAST_PACKETS, endpoint.drained()).await;
            });
        }
    }

    /// Tells the others goodbye, and stops everything.
    pub(crate) async fn leave(&self, patience: Duration) {
        lock(&self.published).take();
        let (told, news) = tokio::sync::oneshot::channel();
        self.membership.tell(MembershipInput::Leave(told)).await;
        // If the membership has stopped, this node has left before.
        let _ = news.await;
        let links = self.all_links();
        for link in &links {
            // The peers end the links, once their last calls have been answered.
            let _ = link.lane.push(&Message::Goodbye);
        }
        let closed = async {
            for link in &links {
                link.closed.cancelled().await;
            }
        };
        let _ = tokio::time::timeout(patience, closed).await;
        self.stop.cancel();
        self.tasks.close();
        self.endpoint.close();
        // The peers have our goodbye; this is for those that were only just connecting.
        let _ = tokio::time::timeout(LAST_PACKETS, self.endpoint.drained()).await;
        let _ = tokio::time::timeout(patience, self.tasks.wait()).await;
        if let Some(thread) = &self.io {
            thread.end(patience).await;
        }
    }
}

fn identity(identity: Identity) -> Result<(SecretKey, u64), StartError> {
    let now = now_ms();
    Ok(match identity {
        Identity::Ephemeral => (SecretKey::generate(), now),
        Identity::Key(key, generation) => (*key, generation.unwrap_or(now)),
        Identity::File(path) => (SecretKey::load_or_create(&path)?, next_generation(&path, now)?),
    })
}

/// A service of which it is not said when it started starts now.
pub(crate) fn dated(service: &mut Service) {
    if service.started == 0 {
        service.started = now_ms();
    }
}

/// Milliseconds since the Unix epoch.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// With no word on it, a node is reached from its own machine only, unless a seed is elsewhere or
/// may come to be, as in a file: where to listen, and where else if that is not to be had.
fn default_listen(lists: &SeedLists) -> (SocketAddr, Option<SocketAddr>) {
    let any = |ip: IpAddr| SocketAddr::new(ip, 0);
    let (seeds, may_change) = (lists.seeds(), lists.has_files());
    let all = |six: bool| {
        let family = |addr: SocketAddr| addr.is_ipv6() == six;
        !seeds.is_empty() && seeds.iter().all(|seed| seed.literal().is_some_and(family))
    };
    if !may_change && seeds.iter().all(Seed::is_local) {
        let local = if all(true) { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
        return (any(local), None);
    }
    let four = any(Ipv4Addr::UNSPECIFIED.into());
    // A name may stand for addresses of either family.
    if !may_change && all(false) {
        (four, None)
    } else {
        (any(Ipv6Addr::UNSPECIFIED.into()), Some(four))
    }
}

/// The address to tell others. A node that listens on all addresses tells the one that the
/// system would use towards its seeds, or else towards the world; asking sends nothing. Unless it was
/// said that it shall listen so, some seed is on another machine or may come to be, and that of the own
/// machine is no answer as long as there is another.
fn reachable(bound: SocketAddr, seeds: &[Seed], said: bool) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    let loopback: IpAddr = match bound {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    // TEST-NET-1 of RFC 5737 and its like of RFC 3849: routed like any other address, and nobody's.
    let world: [IpAddr; 2] =
        [Ipv4Addr::new(192, 0, 2, 1).into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()];
    let world = world.map(|ip| SocketAddr::new(ip, 9));
    let towards = seeds.iter().filter_map(Seed::literal).chain(world);
    // Who listens on all addresses of IPv6 hears those of IPv4 too.
    let source = towards
        .filter(|target| bound.is_ipv6() || target.is_ipv4())
        .filter_map(source_towards)
        .filter(|ip| said || !ip.is_loopback())
        .find(|ip| !ip.is_unspecified() && !is_of_one_link(*ip));
    SocketAddr::new(source.unwrap_or(loopback), bound.port())
}

/// Such an address says nothing on another machine.
fn is_of_one_link(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

fn source_towards(target: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(target).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn without_a_word_it_listens_where_its_seeds_can_be_dialled_from() {
        let listens_with = |seeds: &[&str], files: &[&Path]| {
            let seeds: Vec<_> = seeds.iter().map(|seed| (*seed).to_owned()).collect();
            let files = files.iter().map(|file| file.to_path_buf()).collect();
            let lists = SeedLists::read(&seeds, None, files).unwrap();
            let (listen, otherwise) = default_listen(&lists);
            let otherwise = otherwise.map(|addr| format!(" or {addr}")).unwrap_or_default();
            format!("{listen}{otherwise}")
        };
        let listens = |seeds: &[&str]| listens_with(seeds, &[]);
        assert_eq!(listens(&[]), "127.0.0.1:0");
        assert_eq!(listens(&["127.0.0.1:1", "localhost:1"]), "127.0.0.1:0");
        assert_eq!(listens(&["[::1]:1"]), "[::1]:0");
        assert_eq!(listens(&["[::1]:1", "127.0.0.1:1"]), "127.0.0.1:0");
        assert_eq!(listens(&["10.0.0.1:1", "127.0.0.1:1"]), "0.0.0.0:0");
        for seed in ["[2001:db8::1]:1", "site:1", "site", "users@site"] {
            assert_eq!(listens(&["10.0.0.1:1", seed]), "[::]:0 or 0.0.0.0:0", "{seed}");
        }
        // Whatever a file names today, it may name another machine tomorrow.
        let file = tempfile::NamedTempFile::new().unwrap();
        for seeds in [&[][..], &["127.0.0.1:1"], &["10.0.0.1:1"]] {
            assert_eq!(listens_with(seeds, &[file.path()]), "[::]:0 or 0.0.0.0:0", "{seeds:?}");
        }
    }

    #[test]
    fn it_tells_an_address_of_a_family_that_it_hears() {
        let bound: SocketAddr = "127.0.0.1:7".parse().unwrap();
        assert_eq!(reachable(bound, &[], true), bound);
        let far = |text: &str| Seed::parse(text, "").unwrap();
        let four =
            reachable("0.0.0.0:7".parse().unwrap(), &[far("[::1]:9"), far("127.0.0.1:9")], true);
        assert_eq!(four, bound);
        let six = reachable("[::]:7".parse().unwrap(), &[far("127.0.0.1:9")], true);
        assert_eq!(six, bound);
        // Seeds of the own machine do not count where another one is meant.
        let all = "0.0.0.0:7".parse().unwrap();
        assert_eq!(reachable(all, &[far("127.0.0.1:9")], false), reachable(all, &[], false));
        assert!(is_of_one_link("fe80::1".parse().unwrap()));
        assert!(!is_of_one_link("fd00::1".parse().unwrap()));
    }
}
