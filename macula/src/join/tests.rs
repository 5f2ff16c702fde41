//! Nodes that join through names and files, on a network in memory and in virtual time.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::table::Table;
use crate::identity::{Cookie, NodeId};
use crate::membership::{Machine, Member, MembershipInput, MembershipNews};
use crate::{Limits, MemoryNetwork, Mesh, MeshBuilder};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// How long a test waits for what must come; only a failure takes that long.
const PATIENCE: Duration = Duration::from_secs(120);

fn addr(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 9443))
}

struct Site {
    network: MemoryNetwork,
    names: Arc<Table>,
}

impl Site {
    fn new(names: Table) -> Self {
        Self { network: MemoryNetwork::new(1), names: Arc::new(names) }
    }

    fn at(&self, addr: SocketAddr) -> MeshBuilder {
        let cookie = Cookie::new(&b"of a test"[..]).unwrap();
        let name = format!("n{addr}");
        let mut builder = Mesh::builder(name).realm("test").cookie(cookie);
        builder.resolver = self.names.clone();
        builder.memory(self.network.clone(), addr)
    }

    fn node(&self, host: u8) -> MeshBuilder {
        self.at(addr(host))
    }

    async fn start(&self, host: u8, seeds: &[&str]) -> Mesh {
        seeds.iter().fold(self.node(host), |node, seed| node.seed(*seed)).start().await.unwrap()
    }

    /// Cuts the nodes of these hosts off from those of those.
    fn cut(&self, these: &[u8], those: &[u8]) {
        for (one, other) in these.iter().flat_map(|one| those.iter().map(move |other| (one, other)))
        {
            self.network.partition(addr(*one), addr(*other));
        }
    }
}

fn size(mesh: &Mesh) -> usize {
    mesh.view().nodes().len()
}

/// Waits until each of the nodes knows so many; gives how long that took.
async fn reach(nodes: &[&Mesh], count: usize) -> Duration {
    let began = Instant::now();
    for node in nodes {
        let mut news = node.watch_view();
        let wait = async {
            while size(node) != count {
                news.changed().await.unwrap();
            }
        };
        let reached = timeout(PATIENCE, wait).await;
        assert!(reached.is_ok(), "{node:?} knows {} and not {count}", size(node));
    }
    began.elapsed()
}

fn dials(mesh: &Mesh) -> u64 {
    mesh.0.traffic.dials.load(Ordering::Relaxed)
}

fn tried(mesh: &Mesh) -> Vec<(String, String)> {
    let tried = mesh.joining().borrow().tried.clone();
    tried.into_iter().map(|tried| (tried.target, tried.outcome)).collect()
}

/// CL-1: the hosts that the records of `name@host` give, each of which is met in the end, though
/// they know nothing of each other.
#[tokio::test(start_paused = true)]
async fn a_name_at_a_host_connects_to_each_host_of_its_service() {
    let site = Site::new(
        Table::default()
            .srv("_users._udp.site", 2, 0, 9443, "b.site")
            .srv("_users._udp.site", 1, 0, 9443, "a.site")
            .srv("_users._udp.site", 0, 0, 9443, "down.site")
            .host("a.site", &["10.0.0.1"])
            .host("b.site", &["10.0.0.2"])
            .host("down.site", &["10.0.0.99"]),
    );
    let (a, b) = (site.start(1, &[]).await, site.start(2, &[]).await);
    let began = Instant::now();
    let c = site.start(3, &["users@site"]).await;
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert_eq!(size(&c), 2, "the first one that answered");
    assert!(c.view().nodes().iter().any(|node| node.id == a.id()));
    reach(&[&a, &b, &c], 3).await;
}

/// CL-2: a host alone is the service of the mesh there. CL-3: where there are no records, it is the
/// addresses of that host.
#[tokio::test(start_paused = true)]
async fn a_host_alone_is_a_service_or_else_an_address() {
    let site = Site::new(
        Table::default()
            .srv("_macula._udp.site", 1, 1, 9443, "a.site")
            .host("a.site", &["10.0.0.1"])
            .host("plain", &["10.0.0.1"]),
    );
    let a = site.start(1, &[]).await;
    let (b, c) = (site.start(2, &["site"]).await, site.start(3, &["plain"]).await);
    reach(&[&a, &b, &c], 3).await;
}

#[tokio::test(start_paused = true)]
async fn each_address_of_a_host_is_tried_and_a_silent_one_holds_nobody_up() {
    let down = ["10.0.0.97", "10.0.0.98", "2001:db8::99", "10.0.0.1"];
    let site = Site::new(Table::default().host("site", &down));
    let a = site.start(1, &[]).await;
    let began = Instant::now();
    let b = site.start(2, &["site:9443"]).await;
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    reach(&[&a, &b], 2).await;

    site.names.set("down", &down[..3]);
    let alone = site.node(3).seed("down").join_timeout(10 * SECOND).start().await.unwrap();
    let [(target, outcome)] = &tried(&alone)[..] else { panic!("{:?}", tried(&alone)) };
    assert_eq!(target, "down");
    for addr in ["10.0.0.97:9443: no answer within 3s", "[2001:db8::99]:9443: "] {
        assert!(outcome.contains(addr), "{outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_anew_at_each_try() {
    let site = Site::new(Table::default());
    let a = site.start(1, &[]).await;
    let b = site.node(2).seed("site:9443").join_timeout(SECOND).start().await.unwrap();
    assert!(!b.has_joined());
    let not_found = "its name was not found: `site` is not in the table";
    assert_eq!(tried(&b), [("site:9443".to_owned(), not_found.to_owned())]);
    tokio::time::sleep(600 * SECOND).await;
    // Ten minutes of pauses that grow to 15 s at most, and are 8 s at least then.
    let asked = site.names.asked("site");
    assert!((40..90).contains(&asked), "{asked}");
    site.names.set("site", &["10.0.0.1"]);
    assert!(reach(&[&a, &b], 2).await < 20 * SECOND);
    tokio::time::sleep(SECOND).await;
    assert!(b.has_joined() && tried(&b).is_empty());

    // It moves, and who knew it follows.
    a.abort();
    site.names.set("site", &["10.0.0.5"]);
    let moved = site.start(5, &[]).await;
    reach(&[&moved, &b], 2).await;
}

/// CL-5: members are not asked again, unreachable seeds and unknown names are no errors, and no
/// seeds are well.
#[tokio::test(start_paused = true)]
async fn members_are_not_dialled_and_the_unreachable_are_no_error() {
    let site = Site::new(Table::default().host("site", &["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
    let a = site.start(1, &[]).await;
    assert!(a.has_joined());
    let b = site.start(2, &["10.0.0.1:9443"]).await;
    let seeds =
        ["10.0.0.1:9443", "10.0.0.1", "10.0.0.2:9443", "site", "site:9443", "10.0.0.3:9443"];
    let c = site.start(3, &seeds).await;
    reach(&[&a, &b, &c], 3).await;
    // In the second round each name finds that one of its addresses is the node's own.
    tokio::time::sleep(60 * SECOND).await;
    let (before, asked) = (dials(&c), site.names.asked("site"));
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(dials(&c), before);
    // Two seeds of that name, every 15 to 30 s.
    let asked = site.names.asked("site") - asked;
    assert!((38..=82).contains(&asked), "{asked}");
    assert!(tried(&c).is_empty(), "{:?}", tried(&c));

    let limits = Limits { dial_timeout: SECOND / 2, ..Limits::default() };
    let d = site.node(4).limits(limits).seed("10.0.0.99:9443").seed("nowhere").seed("site");
    let d = d.start().await.unwrap();
    reach(&[&a, &b, &c, &d], 4).await;
    tokio::time::sleep(5 * SECOND).await;
    let tried = tried(&d);
    let targets: Vec<_> = tried.iter().map(|(target, _)| target.as_str()).collect();
    assert_eq!(targets, ["10.0.0.99:9443", "nowhere"], "{tried:?}");
}

/// CL-4: halves that know nothing of each other, as after a cut that lasted longer than lost members
/// are remembered, meet through a name at which each of them knows somebody already.
#[tokio::test(start_paused = true)]
async fn halves_that_know_nothing_of_each_other_meet_through_a_name() {
    let all = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
    let site = Site::new(Table::default().host("site", &all));
    site.cut(&[1, 2], &[3, 4]);
    let [a, b] = [site.start(1, &["site"]).await, site.start(2, &["site"]).await];
    let [c, d] = [site.start(3, &["site"]).await, site.start(4, &["site"]).await];
    let nodes = [&a, &b, &c, &d];
    reach(&nodes, 2).await;
    tokio::time::sleep(HOUR / 12).await;
    assert_eq!(nodes.map(size), [2; 4]);
    // That half of a seed is out of reach is no failure to join.
    assert!(nodes.iter().all(|node| tried(node).is_empty()));
    site.network.heal();
    let took = reach(&nodes, 4).await;
    assert!(took < 60 * SECOND, "{took:?}");
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(nodes.map(size), [4; 4]);
}

/// A member that answers, at an address that it does not tell, does not keep the next from being
/// dialled: who is there may know nothing of the cluster.
#[tokio::test(start_paused = true)]
async fn a_member_that_answers_is_not_who_was_looked_for() {
    let site = Site::new(Table::default());
    let a = site.node(1).advertise(addr(9)).start().await.unwrap();
    let c = site.start(3, &[]).await;
    let b = site.start(2, &["10.0.0.1:9443", "site"]).await;
    reach(&[&a, &b], 2).await;
    site.names.set("site", &["10.0.0.1", "10.0.0.3"]);
    let took = reach(&[&b, &c], 3).await;
    assert!(took < 10 * SECOND, "{took:?}");
}

/// CL-4, and its limit: nodes that know nothing of each other and have no seeds stay alone, until
/// there are some.
#[tokio::test(start_paused = true)]
async fn a_file_of_seeds_counts_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seeds");
    fs::write(&path, "").unwrap();
    let site = Site::new(Table::default());
    let a = site.start(1, &[]).await;
    let b = site.node(2).seed_file(&path).start().await.unwrap();
    assert!(b.has_joined(), "there is nobody to be met");
    tokio::time::sleep(HOUR / 4).await;
    assert_eq!((size(&a), size(&b)), (1, 1), "nobody knows whom to ask");
    write(&path, "# of a test\n10.0.0.1:9443\n");
    assert!(reach(&[&a, &b], 2).await < 10 * SECOND);

    // What is wrong changes nothing.
    write(&path, "10.0.0.");
    tokio::time::sleep(10 * SECOND).await;
    site.cut(&[1], &[2]);
    reach(&[&a, &b], 1).await;
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(tried(&b).len(), 1);
    // One that is taken out is not asked any more.
    write(&path, "");
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(tried(&b), []);
}

/// Who comes and goes between two looks of a node at its members is one that it has met.
#[tokio::test(start_paused = true)]
async fn who_was_a_member_for_a_moment_was_met() {
    let alone = Site::new(Table::default()).start(1, &[]).await;
    tokio::time::sleep(10 * SECOND).await;
    assert!(!alone.joining().borrow().met);
    let (mut events, mut joining) = (alone.watch_members(), alone.joining());
    let other = Member { id: NodeId::from_bytes([2; 32]), addr: addr(2), generation: 1 };
    alone.0.on_membership(MembershipNews::Up(other));
    alone.0.on_membership(MembershipNews::Down(other));
    alone.0.publish();
    assert_eq!(size(&alone), 1);
    assert!(matches!(events.try_recv(), Ok(crate::MemberEvent::Up(id)) if id == other.id));
    let met = timeout(PATIENCE, joining.wait_for(|joining| joining.met)).await;
    assert!(met.is_ok());
}

/// Why parts need seeds: lost members are looked for, but for a day only.
#[tokio::test(start_paused = true)]
async fn a_lost_member_is_forgotten_after_a_day() {
    let member = |n: u8| Member { id: NodeId::from_bytes([n; 32]), addr: addr(n), generation: 1 };
    let mut machine = Machine::new(member(1), 1, 100);
    let (mut down, mut sought) = (None, None);
    let began = Instant::now();
    let mut now = began;
    let mut inputs = vec![MembershipInput::Alive(member(2))];
    while now - began < 30 * HOUR {
        let mut news = Vec::new();
        machine.fire(now);
        for input in inputs.drain(..) {
            machine.take(input, now, &mut |said| news.push(said));
        }
        machine.flush(now, &mut |said| news.push(said));
        for said in news {
            match said {
                MembershipNews::Down(_) => down = Some(now),
                MembershipNews::Seek(_) => sought = Some(now),
                MembershipNews::Doubt { said, .. } => {
                    inputs.push(MembershipInput::Settled(said, true));
                }
                _ => {}
            }
        }
        match machine.due() {
            _ if !inputs.is_empty() => {}
            Some(due) => now = due,
            None => break,
        }
    }
    let lasted = sought.unwrap() - down.unwrap();
    assert!((23 * HOUR..25 * HOUR).contains(&lasted), "{lasted:?}");
}

/// Others see a file whole or not at all.
fn write(path: &Path, content: &str) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_at_fault_keeps_a_node_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seeds");
    let site = Site::new(Table::default());
    let start = || async { site.node(1).seed_file(&path).start().await.unwrap_err().to_string() };
    assert!(start().await.starts_with("cannot read the seed file"));
    fs::write(&path, "a\nb:0\n").unwrap();
    let error = start().await;
    assert!(error.contains("seeds:2: `b:0` is not a seed: write"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn seeds_and_nodes_may_have_addresses_of_ipv6() {
    let at = |host: u16| SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, host], 9443));
    let site = Site::new(Table::default().host("site", &["fd00::99", "fd00::2"]));
    let a = site.at(at(1)).start().await.unwrap();
    let b = site.at(at(2)).seed("[fd00::1]:9443").start().await.unwrap();
    let c = site.at(at(3)).seed("site").start().await.unwrap();
    reach(&[&a, &b, &c], 3).await;
}

/// On sockets: by default a node listens where its seeds can be dialled from.
#[tokio::test]
async fn a_node_listens_where_its_seeds_are_reached_from() {
    let cookie = Cookie::generate();
    let node = |name: &str| {
        let node = Mesh::builder(name).realm("test").cookie(cookie.clone());
        node.local_discovery(false).seeds_from_env(false)
    };
    let here = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0));
    if std::net::UdpSocket::bind(here).is_err() {
        eprintln!("this machine has no IPv6");
        return;
    }
    let a = node("a").listen(here).start().await.unwrap();
    let b = node("b").seed(a.addr().to_string()).start().await.unwrap();
    assert!(b.addr().is_ipv6() && b.addr().ip().is_loopback(), "{}", b.addr());
    // All addresses are those of both families.
    let all = SocketAddr::from(([0; 8], 0));
    let c = node("c").listen(all).seed(a.addr().to_string()).start().await.unwrap();
    let d = node("d").seed(format!("127.0.0.1:{}", c.addr().port())).start().await.unwrap();
    assert!(d.addr().is_ipv4(), "{}", d.addr());
    let met = async {
        while size(&b) < 3 || d.refusals().len() + size(&d) < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), met).await.unwrap();
    for node in [a, b, c, d] {
        node.abort();
    }
}
