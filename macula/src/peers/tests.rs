use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::*;
use crate::identity::Cookie;
use crate::rpc::admission::Gate;
use crate::rpc::{
    Answer, Executed, Fault, Handler, Headers, Incoming, Method, Request, Service, Term,
};
use crate::{MemoryNetwork, Mesh};

const MS: Duration = Duration::from_millis(1);
const KEY: [u8; 8] = *b"a shape!";
/// How long a datagram is on its way.
const WAY: Duration = Duration::from_millis(20);

/// Counts, and gives back what it got.
#[derive(Default)]
struct Echo(AtomicU64);

impl Handler for Echo {
    fn handle(
        &self,
        call: Incoming,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            // Some are done at once, some take their time.
            let time = call.body.first().map_or(0, |byte| u32::from(*byte));
            tokio::time::sleep(MS * time).await;
            Ok(call.body.into())
        })
    }
}

impl Echo {
    fn service(self: &Arc<Self>) -> Service {
        Service::new("Echo", [Method::new("echo", 1, KEY, Gate::new(64, 64))], self.clone())
    }
}

fn node(network: &MemoryNetwork, name: &str, host: u8) -> crate::MeshBuilder {
    let addr = SocketAddr::from(([10, 0, 0, host], 7000));
    let cookie = Cookie::new(&b"of a test"[..]).unwrap();
    Mesh::builder(name).realm("test").cookie(cookie).memory(network.clone(), addr)
}

async fn ask(mesh: &Mesh, node: NodeId, body: Vec<u8>) -> Result<Bytes, crate::rpc::Failure> {
    let request = Request {
        method: 1,
        key: KEY,
        body: body.into(),
        term: Term::fixed(Instant::now() + Duration::from_secs(20)),
        headers: Headers::new(),
        moved: None,
        sent: None,
        leave_if_silent: false,
    };
    mesh.call_to(node, request).await.result
}

#[tokio::test(start_paused = true)]
async fn whoever_is_wrongly_held_for_dead_is_told_what_did_not_run() {
    let network = MemoryNetwork::new(1);
    let echo = Arc::new(Echo::default());
    let server = node(&network, "server", 1).service(echo.service()).start().await.unwrap();
    let client = node(&network, "client", 2).seed(server.addr().to_string());
    let client = client.start().await.unwrap();
    network.delay(WAY);
    let member = loop {
        let known = server.0.state().alive.get(&client.id()).copied();
        match known {
            Some(member) => break member,
            None => tokio::time::sleep(MS).await,
        }
    };
    let (mut ran, mut refused) = (0, 0);
    // Calls are sent before the news and after it, short ones and such as travel alone.
    for round in 0..40_u32 {
        let length = if round % 2 == 0 { 10 } else { 50_000 };
        let first = [0, 0, 30, 200][round as usize / 2 % 4];
        // There is a link, and it is not the former one.
        while let Err(failure) = ask(&client, server.id(), vec![0; 10]).await {
            assert_eq!(failure.executed(), Executed::No, "{round}: {failure}");
            tokio::time::sleep(MS).await;
        }
        let before = echo.0.load(Ordering::SeqCst);
        let (client, id) = (client.clone(), server.id());
        let call = tokio::spawn(async move {
            tokio::time::sleep(MS * 2 * round).await;
            ask(&client, id, vec![first; length]).await
        });
        tokio::time::sleep(WAY * 2).await;
        server.0.on_membership(MembershipNews::Down(member));
        let result = call.await.unwrap();
        let began = echo.0.load(Ordering::SeqCst) - before;
        match result {
            Ok(_) => assert_eq!(began, 1, "{round}"),
            Err(failure) => {
                assert_eq!(failure.executed(), Executed::No, "{round}: {failure}");
                assert_eq!(began, 0, "{round}: {failure}");
                assert_ne!(failure, crate::rpc::Failure::Draining, "{round}: it is not");
                refused += 1;
            }
        }
        ran += began;
        server.0.on_membership(MembershipNews::Up(member));
    }
    assert!(ran >= 10 && refused >= 5, "{ran} ran, {refused} did not");
}

/// What is under way keeps the connection for a moment, and no other call begins on it then.
#[tokio::test(start_paused = true)]
async fn whoever_is_wrongly_held_for_dead_is_told_so() {
    let network = MemoryNetwork::new(1);
    let echo = Arc::new(Echo::default());
    let server = node(&network, "server", 1).service(echo.service()).start().await.unwrap();
    let client = node(&network, "client", 2).seed(server.addr().to_string());
    let client = client.start().await.unwrap();
    while ask(&client, server.id(), vec![0]).await.is_err() {
        tokio::time::sleep(MS).await;
    }
    let (first, id) = (client.clone(), server.id());
    let first = tokio::spawn(async move { ask(&first, id, vec![200]).await });
    tokio::time::sleep(50 * MS).await;
    let member = server.0.state().alive[&client.id()];
    server.0.on_membership(MembershipNews::Down(member));
    tokio::time::sleep(MS).await;
    for length in [1, 50_000] {
        let failure = ask(&client, server.id(), vec![0; length]).await.unwrap_err();
        assert_eq!(failure, crate::rpc::Failure::Parted { held_for_dead: true });
        assert_eq!(failure.executed(), Executed::No);
        assert!(failure.to_string().contains("held this one for dead"), "{failure}");
    }
    assert!(first.await.unwrap().is_ok());
    // As soon as the connection has ended, the next one is made.
    let began = Instant::now();
    while ask(&client, server.id(), vec![0]).await.is_err() {
        tokio::time::sleep(MS).await;
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ended_without_an_answer_is_not_said_not_to_have_run() {
    let network = MemoryNetwork::new(1);
    let echo = Arc::new(Echo::default());
    let server = node(&network, "server", 1).service(echo.service()).start().await.unwrap();
    let client = node(&network, "client", 2).seed(server.addr().to_string());
    let client = client.start().await.unwrap();
    while server.0.link(&client.id()).is_none() {
        tokio::time::sleep(MS).await;
    }
    let link = server.0.link(&client.id()).unwrap();
    let theirs = client.0.link(&server.id()).unwrap();
    link.leaves_unanswered(Instant::now() + 60_000 * MS);
    link.part(false);
    link.finish();
    theirs.closed.cancelled().await;
    assert!(!theirs.is_done());
}

/// Two nodes that met through a third one, which is gone, and then lost each other for a while:
/// nobody else could tell either that the other one lives.
#[tokio::test(start_paused = true)]
async fn the_last_two_find_each_other_again() {
    let network = MemoryNetwork::new(1);
    let gone = node(&network, "gone", 3).start().await.unwrap();
    let seed = gone.addr().to_string();
    let one = node(&network, "one", 1).seed(seed.clone()).start().await.unwrap();
    let other = node(&network, "other", 2).seed(seed).start().await.unwrap();
    let second = Duration::from_secs(1);
    let knows = |of: &Mesh, node: &Mesh| of.0.state().alive.contains_key(&node.id());
    while !knows(&one, &other) || !knows(&other, &one) {
        tokio::time::sleep(second).await;
    }
    gone.shutdown(second).await;
    tokio::time::sleep(10 * second).await;
    assert!(knows(&one, &other) && knows(&other, &one));
    network.partition(one.addr(), other.addr());
    for _ in 0..60 {
        tokio::time::sleep(second).await;
    }
    assert!(!knows(&one, &other) && !knows(&other, &one));
    network.heal();
    for _ in 0..300 {
        tokio::time::sleep(second).await;
        if knows(&one, &other) && knows(&other, &one) {
            return;
        }
    }
    panic!("each is alone for good");
}

/// A request counts from its first byte on, not only when it has arrived as a whole.
#[tokio::test(start_paused = true)]
async fn a_connection_on_which_a_long_request_arrives_is_in_use() {
    let network = MemoryNetwork::new(1);
    let echo = Arc::new(Echo::default());
    let limits = crate::Limits {
        kept_connections: 0,
        unused_connection_time: Duration::from_secs(3),
        ..crate::Limits::default()
    };
    let server =
        node(&network, "server", 1).limits(limits).service(echo.service()).start().await.unwrap();
    let client = node(&network, "client", 2).seed(server.addr().to_string());
    let client = client.start().await.unwrap();
    while ask(&client, server.id(), vec![0]).await.is_err() {
        tokio::time::sleep(MS).await;
    }
    // Some eight seconds, of the twenty that the call has.
    network.faults(|_| crate::Faults::none().delay(10 * MS).bandwidth(125_000));
    let began = Instant::now();
    let result = ask(&client, server.id(), vec![0; 1_000_000]).await;
    assert!(result.is_ok(), "after {:?}: {:?}", began.elapsed(), result.map(|body| body.len()));
}

/// Its caller may have minutes left when the connection is not needed any more. If it was told `Done`
/// then, it would take the call for one that did not run.
#[tokio::test(start_paused = true)]
async fn a_call_whose_reply_was_not_read_to_its_end_is_not_said_not_to_have_run() {
    let network = MemoryNetwork::new(1);
    let echo = Arc::new(Echo::default());
    let second = Duration::from_secs(1);
    let limits = |kept| crate::Limits {
        kept_connections: kept,
        idle_timeout: 120 * second,
        ..crate::Limits::default()
    };
    let server = node(&network, "server", 1).limits(limits(0)).service(echo.service());
    let server = server.start().await.unwrap();
    let client = node(&network, "client", 2).limits(limits(9)).seed(server.addr().to_string());
    let client = client.start().await.unwrap();
    let other = node(&network, "other", 3).limits(limits(9)).seed(server.addr().to_string());
    let other = other.start().await.unwrap();
    while ask(&client, server.id(), vec![0]).await.is_err() {
        tokio::time::sleep(MS).await;
    }
    tokio::time::sleep(2 * second).await;
    assert!(client.0.state().alive.contains_key(&other.id()));
    network.faults(|_| crate::Faults::none().delay(10 * MS));
    let request = Request {
        method: 1,
        key: KEY,
        body: vec![100; 1_000_000].into(),
        term: Term::fixed(Instant::now() + 300 * second),
        headers: Headers::new(),
        moved: None,
        sent: None,
        leave_if_silent: false,
    };
    let (caller, id) = (client.clone(), server.id());
    let call = tokio::spawn(async move { caller.call_to(id, request).await.result });
    while echo.0.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(MS).await;
    }
    // Its reply begins to come. The two lose each other for a while, but nobody takes the other for
    // dead, and the connection lasts.
    tokio::time::sleep(125 * MS).await;
    network.partition(server.addr(), client.addr());
    tokio::time::sleep(33 * second).await;
    network.heal();
    network.faults(|_| crate::Faults::none().delay(10 * MS));
    let result = call.await.unwrap();
    assert_eq!(echo.0.load(Ordering::SeqCst), 2, "it ran");
    match result {
        Ok(_) => panic!("the test does not lose the reply"),
        Err(failure) => assert_ne!(failure.executed(), Executed::No, "{failure}"),
    }
}

/// What an earlier life says at its end, on its own connection, is not the word of the life that is
/// known by now.
#[tokio::test(start_paused = true)]
async fn the_goodbye_of_an_earlier_life_does_not_end_the_present_one() {
    let network = MemoryNetwork::new(1);
    let server = node(&network, "server", 1).start().await.unwrap();
    let key = crate::identity::SecretKey::generate();
    let build = |host| node(&network, "client", host).identity(key.clone());
    let earlier = build(2).seed(server.addr().to_string()).start().await.unwrap();
    let id = earlier.id();
    let alive = || server.0.state().alive.get(&id).copied();
    while alive().is_none() || server.0.link(&id).is_none() {
        tokio::time::sleep(MS).await;
    }
    let (link, before) = (earlier.0.link(&server.id()).unwrap(), alive().unwrap());
    tokio::time::sleep(100 * MS).await;
    let _later = build(3).seed(server.addr().to_string()).start().await.unwrap();
    while alive().is_none_or(|now| now.generation == before.generation) {
        tokio::time::sleep(MS).await;
    }
    let now = alive().unwrap();
    link.lane.push(&Message::Goodbye).unwrap();
    for _ in 0..200 {
        tokio::time::sleep(MS).await;
        assert_eq!(alive().map(|member| member.generation), Some(now.generation));
    }
}
