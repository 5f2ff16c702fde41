//! A client that says which versions it takes.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use nebula::prelude::*;
use nebula::testing::Cluster;
use nebula::{Service, VersionRequirement};

use crate::site::{SECOND, Store, UsersClient, names};

async fn serving(cluster: &mut Cluster, name: &str, version: &str) -> nebula::testing::TestNode {
    let node = cluster.node(name).start().await;
    let service = Service::new(Store::new(name)).version(version).start_on(&node).await.unwrap();
    assert_eq!(service.info().version, version);
    node
}

async fn asked(users: &UsersClient) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..20 {
        let name = users.whoami().policy(Policy::Random).await.unwrap();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort();
    names
}

/// What is written to the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whoever gives a service a version that nobody can ask for hears of it.
#[tokio::test(start_paused = true)]
async fn a_version_that_is_none_is_told() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(log.finish());
    let mut cluster = Cluster::new(1);
    for (name, version) in [("a", "1.1.9"), ("b", ""), ("c", "2.0.0-rc.1"), ("d", "1.2")] {
        serving(&mut cluster, name, version).await;
    }
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let told: Vec<_> = text.lines().filter(|line| line.contains("not three numbers")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("WARN") && told[0].contains("version=1.2"), "{told:?}");
}

/// Only those of the version are asked, of the others and of the own node, whatever the way of
/// asking; an error says of each node why it was not.
#[tokio::test(start_paused = true)]
async fn only_the_versions_that_are_required_are_asked() {
    let mut cluster = Cluster::new(1);
    let old = serving(&mut cluster, "old", "1.1.9").await;
    let new = serving(&mut cluster, "new", "1.2.0").await;
    let newer = serving(&mut cluster, "newer", "2.0.0").await;
    let odd = serving(&mut cluster, "odd", "tuesday").await;
    let none = serving(&mut cluster, "none", "").await;
    let web = cluster.node("web").start().await;
    cluster.settle().await;
    let users = UsersClient::new(&web);
    assert_eq!(asked(&users).await, ["new", "newer", "none", "odd", "old"]);
    let recent = users.version(">=1.2").unwrap();
    assert_eq!(asked(&recent).await, ["new", "newer"]);
    assert_eq!(asked(&users.version("^1.2").unwrap()).await, ["new"]);
    assert_eq!(asked(&users.version("*").unwrap()).await, ["new", "newer", "old"]);
    let required: VersionRequirement = "<1.2".parse().unwrap();
    assert_eq!(asked(&users.with(|options| options.version(required))).await, ["old"]);
    assert_eq!(asked(&users).await.len(), 5, "the client that it was made of asks as before");

    let all = recent.whoami().all().await.unwrap();
    assert_eq!(all.ok().count(), 2);
    let one = recent.whoami().hedge().await.unwrap();
    assert!(one.starts_with("new"), "{one}");
    let available = recent.whoami().available_nodes();
    assert_eq!(available.iter().map(|node| &*node.name).collect::<Vec<_>>(), ["new", "newer"]);
    let requirement: VersionRequirement = ">=1.2".parse().unwrap();
    let instances = web.instances("Users").into_iter();
    let met: Vec<_> = instances.filter(|instance| instance.meets(&requirement)).collect();
    assert_eq!(names(&met), ["new", "newer"]);

    let error = users.version(">=3").unwrap().whoami().timeout(SECOND).await.unwrap_err();
    let CallError::NoProvider(why) = &error else { panic!("{error:?}") };
    let why: Vec<_> = why.nodes().collect();
    assert_eq!(
        why,
        [
            ("new", "serves version 1.2.0, and `>=3` is required"),
            ("newer", "serves version 2.0.0, and `>=3` is required"),
            ("none", "serves no version of it, and `>=3` is required"),
            (
                "odd",
                "serves version `tuesday`, which is none with three numbers, and `>=3` is required"
            ),
            ("old", "serves version 1.1.9, and `>=3` is required"),
            ("web", "does not serve it"),
        ]
    );
    // One that is named all the same is not asked either.
    let error = recent.whoami().to(old.id()).await.unwrap_err();
    assert!(format!("{error:#}").contains("old: serves version 1.1.9"), "{error:#}");
    drop((new, newer, odd, none));
}

/// The service of the own node is no exception, and is preferred where it will do.
#[tokio::test(start_paused = true)]
async fn the_own_service_must_be_of_the_version_too() {
    let mut cluster = Cluster::new(1);
    let here = serving(&mut cluster, "here", "1.0.0").await;
    let there = serving(&mut cluster, "there", "2.0.0").await;
    cluster.settle().await;
    let users = UsersClient::new(&here);
    assert_eq!(users.whoami().await.unwrap(), "here");
    assert_eq!(users.version("1").unwrap().whoami().await.unwrap(), "here");
    let two = users.version("2").unwrap();
    assert_eq!(two.whoami().await.unwrap(), "there");
    assert_eq!(two.whoami().all().await.unwrap().ok().count(), 1);
    // Nor is it asked when it alone is left, or named.
    let error = two.whoami().to(here.id()).await.unwrap_err();
    let said = "here: serves version 1.0.0, and `^2` is required";
    assert!(format!("{error:#}").contains(said), "{error:#}");
    cluster.shutdown(&there).await.unwrap();
    cluster.settle().await;
    let error = two.whoami().timeout(SECOND).await.unwrap_err();
    assert!(matches!(error, CallError::NoProvider(_)), "{error:?}");
    assert_eq!(two.count().why().askable(), 0);

    // A busy one hands the call on to those of the version alone.
    let busy = users.version("1").unwrap();
    let holding = busy.clone();
    let holding = tokio::spawn(async move { holding.alone(5000).await });
    tokio::task::yield_now().await;
    let late = serving(&mut cluster, "late", "2.0.0").await;
    let same = serving(&mut cluster, "same", "1.0.7").await;
    cluster.settle().await;
    assert!(!holding.is_finished());
    assert_eq!(busy.alone(1).await.unwrap(), 1, "the first of `same`");
    holding.abort();
    drop((late, same));
}

/// A text that is none is refused where it is written. Without a node there is nothing to choose.
#[tokio::test(start_paused = true)]
async fn a_requirement_is_read_where_it_is_written() {
    let users = UsersClient::local(Store::new("mock"));
    let error: nebula::Error = users.version(">=x").unwrap_err().into();
    assert!(error.to_string().starts_with("`>=x` is no version requirement"), "{error}");
    assert_eq!(users.version(">=9").unwrap().whoami().await.unwrap(), "mock");
}
