//! Calls by name, in JSON.

use std::future::pending;
use std::sync::{Arc, Mutex};

use nebula::Executed;
use nebula::plugin::{Hooks, Inbound, Plugin, Refusal};
use nebula::prelude::*;
use nebula::testing::{Cluster, TestNode};
use nebula::{Node, Service};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::site::{Lines, MS, SECOND, Store, UsersClient, ZERO, user};

async fn pair(cluster: &mut Cluster) -> (TestNode, TestNode, Store) {
    let store = Store::new("db");
    let db = cluster.node("db").serve(store.clone()).start().await;
    // It knows no contract at all.
    let tool = cluster.node("tool").start().await;
    cluster.settle().await;
    (db, tool, store)
}

async fn raw(node: &Node, method: &str, args: Value) -> Result<Value, CallError<Value>> {
    node.call_raw("Users", method, args).await
}

/// Values, none, structs, a method's own error: as serde has them, on the own node and elsewhere.
#[tokio::test(start_paused = true)]
async fn arguments_and_results_are_json() {
    let mut cluster = Cluster::new(1);
    let (db, tool, store) = pair(&mut cluster).await;
    for (node, id) in [(&tool, 1), (&db, 2)] {
        let ada = json!({ "id": id, "name": "Ada" });
        assert_eq!(raw(node, "find", json!([id])).await.unwrap(), Value::Null);
        assert_eq!(raw(node, "put", json!([ada])).await.unwrap(), json!(id));
        assert_eq!(raw(node, "find", json!([id])).await.unwrap(), ada);
        let taken = raw(node, "put", json!([{ "id": id, "name": "Bob" }])).await.unwrap_err();
        assert_eq!(taken, CallError::App(json!({ "Taken": { "by": "Ada" } })));
        assert_eq!(raw(node, "fail", json!([1, 2])).await.unwrap(), json!(1));
        assert_eq!(raw(node, "whoami", json!([])).await.unwrap(), json!("db"));
        // Others see the same.
        let found = UsersClient::new(&db).find(id).await.unwrap();
        assert_eq!(found, Some(user(id, "Ada")));
    }
    assert_eq!(store.users(), 2);
    // What is served to its own node only can be asked there.
    db.serve(Lines::default()).await.unwrap();
    cluster.settle().await;
    assert_eq!(db.call_raw("Diary", "write", json!(["x"])).await.unwrap(), json!(1));
    let alone = tool.call_raw("Diary", "write", json!(["x"])).await.unwrap_err();
    assert!(matches!(alone, CallError::NoProvider(_)), "{alone:?}");
}

/// Arguments that the method does not take, and methods that nobody has: nothing runs.
#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_refused() {
    let mut cluster = Cluster::new(1);
    let (db, tool, store) = pair(&mut cluster).await;
    for node in [&tool, &db] {
        for (args, said) in [
            (json!(["one"]), "invalid type: string \"one\", expected u64"),
            (json!([]), "db does not take these arguments, and the method did not run: it takes 1"),
            (json!([1, 2]), ": it takes 1 argument and was given 2"),
            (json!([-1]), "expected u64"),
            (json!({ "id": 1 }), "as a JSON array of one value for each"),
            (json!(1), "as a JSON array"),
        ] {
            let error = raw(node, "find", args.clone()).await.unwrap_err();
            assert!(matches!(error, CallError::Protocol(_)), "{args}: {error:?}");
            assert_eq!(error.executed(), Executed::No, "{args}");
            assert!(error.to_string().contains(said), "{args}: {error}");
            assert!(!error.to_string().contains("same release"), "{args}: {error}");
        }
        let some = raw(node, "whoami", json!([1])).await.unwrap_err();
        assert!(matches!(some, CallError::Protocol(_)), "{some:?}");
        for (service, method, meant) in [
            ("Users", "fly", None),
            ("users", "find", Some("`users.find` (did you mean `Users.find`?)")),
            ("Users", "fnd", Some("`Users.fnd` (did you mean `Users.find`?)")),
            ("", "", None),
        ] {
            let nobody = node.call_raw(service, method, json!([])).await.unwrap_err();
            assert!(matches!(nobody, CallError::NoProvider(_)), "{service}.{method}: {nobody:?}");
            assert!(nobody.to_string().contains(meant.unwrap_or_default()), "{nobody}");
            assert_eq!(nobody.to_string().contains("did you mean"), meant.is_some(), "{nobody}");
        }
        let panicked = raw(node, "fail", json!([2, 1])).await.unwrap_err();
        let CallError::Panicked { message, .. } = &panicked else { panic!("{panicked:?}") };
        assert_eq!(&**message, "2 is more than 1");
    }
    let long = json!([{ "id": 1, "name": "x".repeat(64 << 20) }]);
    let huge = raw(&tool, "put", long).await.unwrap_err();
    assert!(matches!(huge, CallError::TooLarge { .. }), "{huge:?}");
    assert_eq!(store.users(), 0);
}

/// The time limit of a call by name, and what it leaves behind.
#[tokio::test(start_paused = true)]
async fn it_ends_in_time() {
    let mut cluster = Cluster::new(1);
    let (db, tool, store) = pair(&mut cluster).await;
    for (node, begun) in [(&tool, 1), (&db, 2)] {
        let began = Instant::now();
        let call = node.call_raw("Users", "slow", json!([60_000])).timeout(2 * SECOND);
        assert!(format!("{call:?}").contains("slow"));
        let late = call.await.unwrap_err();
        assert!(matches!(late, CallError::Deadline(_)), "{late:?}");
        assert!(began.elapsed() < 2 * SECOND + 100 * MS, "{:?}", began.elapsed());
        sleep(120 * SECOND).await;
        assert_eq!(store.slow_calls(), (begun, 0), "nothing goes on");
        let zero = node.call_raw("Users", "slow", json!([1])).timeout(ZERO).await;
        assert!(matches!(zero, Err(CallError::Deadline(_))));
    }
}

/// Who is asked: the own node first, then whoever has room; a selector or an identity narrows that.
#[tokio::test(start_paused = true)]
async fn it_goes_where_other_calls_go() {
    let mut cluster = Cluster::new(1);
    let (db, tool, store) = pair(&mut cluster).await;
    let other = Store::new("other");
    let node = cluster.node("other").tag("new").serve(other.clone()).start().await;
    let web = cluster.node("web").start().await;
    let _knows = UsersClient::new(&web);
    cluster.settle().await;
    // Connections to both.
    for of in [&tool, &web] {
        for to in [&db, &node] {
            of.call_raw("Users", "whoami", json!([])).to(to.id()).await.unwrap();
        }
    }
    assert_eq!(raw(&db, "whoami", json!([])).await.unwrap(), json!("db"));
    let there = db.call_raw("Users", "whoami", json!([])).to(node.id()).await;
    assert_eq!(there.unwrap(), json!("other"));
    let there = tool.call_raw("Users", "whoami", json!([])).on(tag("new")).await;
    assert_eq!(there.unwrap(), json!("other"));
    let nobody = tool.call_raw("Users", "whoami", json!([])).on(tag("old")).await.unwrap_err();
    assert!(format!("{nobody:#}").contains("db: lacks &old"), "{nobody:#}");

    let holding = db.clone();
    let holding = tokio::spawn(async move { raw(&holding, "alone", json!([3000])).await });
    sleep(SECOND).await;
    assert_eq!(raw(&db, "alone", json!([1])).await.unwrap(), json!(1), "of the other one");
    assert_eq!((store.slow_calls(), other.slow_calls()), ((1, 0), (1, 1)));
    assert_eq!(holding.await.unwrap().unwrap(), json!(1));

    cluster.kill(&node);
    // Before anybody has noticed. One that knows that the method may run twice goes on to the next.
    for _ in 0..6 {
        let known = web.call_raw("Users", "find", json!([1])).timeout(30 * SECOND).await;
        assert_eq!(known.unwrap(), Value::Null);
        match tool.call_raw("Users", "find", json!([1])).timeout(30 * SECOND).await {
            Ok(found) => assert_eq!(found, Value::Null),
            Err(error) => assert_eq!(error.executed(), Executed::Unknown, "{error:?}"),
        }
    }
    cluster.settle().await;
    assert_eq!(raw(&tool, "whoami", json!([])).await.unwrap(), json!("db"));
    db.service("Users").unwrap().pause("night").await.unwrap();
    let paused = raw(&db, "whoami", json!([])).await.unwrap_err();
    assert!(matches!(paused, CallError::NoProvider(_)), "{paused:?}");
    cluster.shutdown(&tool).await.unwrap();
    let stopped = raw(&tool, "whoami", json!([])).await.unwrap_err();
    assert!(stopped.to_string().contains("has been shut down"), "{stopped}");
}

/// Lets nothing through but questions.
struct ReadOnly;

impl Plugin for ReadOnly {
    const HOOKS: Hooks = Hooks::BEFORE;

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        if let Some((id,)) = call.args::<(u64,)>() {
            *id += 1;
        }
        match call.method() {
            "put" => Err(Refusal::denied("read only")),
            _ => Ok(()),
        }
    }
}

/// Plugins see the arguments as the method has them, and refuse such calls as any other.
#[tokio::test(start_paused = true)]
async fn plugins_are_passed() {
    let mut cluster = Cluster::new(1);
    let db = cluster.node("db").start().await;
    let tool = cluster.node("tool").start().await;
    let store = Store::new("db");
    UsersClient::local(store.clone()).put(user(2, "Ada")).await.unwrap();
    Service::new(store).plugin(ReadOnly).start_on(&db).await.unwrap();
    cluster.settle().await;
    for node in [&tool, &db] {
        assert_eq!(raw(node, "find", json!([1])).await.unwrap()["name"], json!("Ada"));
        let error = raw(node, "put", json!([{ "id": 1, "name": "Bob" }])).await.unwrap_err();
        assert!(error.denial().unwrap().to_string().contains("read only"), "{error:?}");
    }
}

/// A contract that the tool has a client of, and another one of its names, which is served.
#[service(global, name = "Ledger")]
trait Known {
    #[api(idempotent)]
    async fn book(&self, amount: u64) -> u64;
}

#[service(global, name = "Ledger")]
trait Served {
    #[api]
    async fn book(&self, amount: u32) -> u64;
}

/// Notes where it runs, and never comes to an end.
struct Books(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Served for Books {
    async fn book(&self, _: u32) -> u64 {
        self.1.lock().unwrap().push(self.0);
        pending().await
    }
}

/// That a method may run twice is believed of the method that is served, and of no other of its
/// names.
#[tokio::test(start_paused = true)]
async fn it_runs_once_whatever_another_contract_says() {
    let mut cluster = Cluster::new(1);
    let run = Arc::<Mutex<Vec<_>>>::default();
    let mut servers = Vec::new();
    for name in ["one", "two"] {
        let server = cluster.node(name).serve(Books(name, run.clone())).start().await;
        servers.push(server);
    }
    let tool = cluster.node("tool").start().await;
    let known = KnownClient::new(&tool);
    cluster.settle().await;
    assert!(known.book(1).available_nodes().is_empty(), "another shape");
    let call = tokio::spawn({
        let tool = Node::clone(&tool);
        async move { tool.call_raw("Ledger", "book", json!([1])).timeout(60 * SECOND).await }
    });
    sleep(SECOND).await;
    let [ran] = *run.lock().unwrap().clone() else { panic!("it runs in one place") };
    // Whoever has it is gone, and the other could be asked.
    cluster.kill(servers.iter().find(|server| server.name() == ran).unwrap());
    let lost = call.await.unwrap().unwrap_err();
    assert!(matches!(lost, CallError::Disconnected(_)), "{lost}");
    assert_eq!((lost.executed(), run.lock().unwrap().len()), (Executed::Unknown, 1));
}
