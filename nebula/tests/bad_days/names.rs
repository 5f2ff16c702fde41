//! Names that are there twice.

use nebula::call::QuorumError;
use nebula::nodes::Topology;
use nebula::prelude::*;

use crate::desk::{Clerk, DeskClient, Mood};
use crate::site::{Site, met};

#[test]
fn a_topology_declares_a_name_once() {
    let twice = Topology::new().node("db@h1", ["db"]).unwrap().node("db@h1", ["db"]);
    assert_eq!(twice.unwrap_err().to_string(), "the node `db@h1` is declared twice");
    let error = Topology::from_toml("[nodes]\n\"db@h1\" = \"db\"\n\"db@h1\" = \"web\"\n");
    let error = error.unwrap_err().to_string();
    assert!(error.contains("line 3") && error.contains("db@h1"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn two_living_nodes_of_one_name_have_one_vote() {
    let site = Site::new();
    let [one, two, other] = ["one", "two", "other"].map(|label| Clerk::new(label, Mood::Answer));
    let first = site.serve("db", &one).await;
    let second = site.serve("db", &two).await;
    let client = site.client().await;
    met(&[&first, &second, &client]).await;
    let desk = DeskClient::new(&client);

    let error = desk.write().quorum(at_least(2)).await.unwrap_err();
    assert!(
        matches!(error, QuorumError::Unreachable { workers: 1, required: 2 }),
        "two nodes, one name: {error:?}"
    );
    assert_eq!(one.count().began + two.count().began, 0, "refused before any call");
    let votes = desk.write().quorum(majority()).await.unwrap();
    assert_eq!((votes.required(), votes.len()), (1, 1));

    let third = site.serve("web", &other).await;
    met(&[&first, &second, &third, &client]).await;
    let votes = desk.write().quorum(majority()).await.unwrap();
    let mut names: Vec<_> = votes.successes().iter().map(|reply| &*reply.node.name).collect();
    names.sort_unstable();
    assert_eq!((votes.required(), names), (2, vec!["db", "web"]));

    // A fan-out is no vote: it reaches both.
    assert_eq!(desk.write().all().await.unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_topology_counts_an_impostor_once_too() {
    let site = Site::new();
    let clerk = Clerk::new("clerk", Mood::Answer);
    let topology = ["db-1", "db-2", "db-3"];
    let topology =
        topology.iter().fold(Topology::new(), |all, name| all.node(*name, ["db"]).unwrap());
    let first = site.serve("db-1", &clerk).await;
    let twin = site.serve("db-1", &clerk).await;
    let foreign = site.serve("db-9", &clerk).await;
    let client = site.node("client").topology(topology).start().await.unwrap();
    met(&[&first, &twin, &foreign, &client]).await;
    let error = DeskClient::new(&client).write().quorum(majority()).await.unwrap_err();
    assert!(
        matches!(error, QuorumError::Unreachable { workers: 1, required: 2 }),
        "one of three configured nodes is there: {error:?}"
    );
    assert_eq!(clerk.count().began, 0);
}

#[tokio::test(start_paused = true)]
async fn two_services_of_one_name_do_not_start_on_one_node() {
    let site = Site::new();
    let clerk = Clerk::new("clerk", Mood::Answer);
    let twice = site.node("db").serve(clerk.clone()).serve(clerk.clone()).start().await;
    let error = twice.unwrap_err().to_string();
    assert!(error.starts_with("two services named `Desk` on one node, `db`"), "{error}");
}

/// Fails with what its node chose to say.
#[service(global)]
trait Rude {
    #[api]
    async fn speak(&self);
}

struct Swearing;

impl Rude for Swearing {
    async fn speak(&self) {
        panic!("\u{1b}]0;owned\u{7}\nnebula: all is well")
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_says_cannot_steer_a_terminal() {
    let site = Site::new();
    let rude = site.node("rude").serve(Swearing).start().await.unwrap();
    let client = site.client().await;
    met(&[&rude, &client]).await;
    let error = RudeClient::new(&client).speak().await.unwrap_err();
    for shown in [format!("{error}"), format!("{error:#}")] {
        let told = r"the method panicked on rude: \u{1b}]0;owned\u{7}\nnebula: all is well; mend";
        assert!(shown.starts_with(told), "{shown:?}");
    }
    // A name that could is refused, by the mesh itself: no record of a node has it.
    let name = "db\u{1b}[2J\r\nroot@prod";
    let network = site.network.clone();
    let cookie = macula::identity::Cookie::new(b"any").unwrap();
    let mesh = macula::Mesh::builder(name).cookie(cookie).memory(network, site.addr());
    let refused = mesh.start().await.unwrap_err().to_string();
    assert_eq!(refused, "a node name has the character \\u{1b}, which is not seen: leave it out");
    let refused = site.node(name).start().await.unwrap_err().to_string();
    assert!(
        refused.starts_with(r"a node cannot be called `db\u{1b}[2J\r\nroot@prod`: "),
        "{refused}"
    );
}
