//! Who may call what.

use nebula::plugins::{Authorize, Rule, Who};
use nebula::prelude::*;
use nebula::{Executed, Status};

use crate::both::{Both, refused};
use crate::site::SumsClient;

/// What a call that is not let in is told.
async fn denied(client: &SumsClient) -> Status {
    let denied = client.add(1.0, 2.0).await.unwrap_err();
    assert!(matches!(denied, CallError::Denied(_)), "{denied:?}");
    assert_eq!(denied.executed(), Executed::No);
    denied.denial().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn the_first_rule_that_fits_decides() {
    let add = Rule::deny(Who::name("call*")).method("add");
    let authorize = Authorize::new().rule(add).allow_tag("web");
    let both = Both::of(|service| service.plugin(authorize)).await;
    assert_eq!(both.near.add(1.0, 2.0).await.unwrap(), 3.0, "its own node is not asked about");
    assert_eq!(both.far.divide(1.0, 2.0).await.unwrap(), 0.5);
    both.notes.take();
    let status = denied(&both.far).await;
    assert_eq!(status.code(), "forbidden");
    let (name, id) = (both.nodes[1].name(), both.nodes[1].id());
    assert_eq!(
        status.message(),
        format!("the node `{name}` ({id:?}) may not call `Sums/add`: rule 1, `deny @call*: add`")
    );
    assert!(both.notes.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_is_known_by_its_id() {
    let both = Both::of(|service| service.plugin(Authorize::new())).await;
    assert!(denied(&both.far).await.message().ends_with("`Sums/add`: no rule allows it"));
    let allow = |node: &Node| {
        let rule = Rule::allow(Who::Node(node.id()));
        format!("plugins.access.rules = ['{rule}', 'deny @caller']")
    };
    both.service.reconfigure(allow(&both.nodes[1])).await.unwrap();
    assert_eq!(both.far.add(1.0, 2.0).await.unwrap(), 3.0);
    both.service.reconfigure(allow(&both.nodes[0])).await.unwrap();
    assert!(denied(&both.far).await.message().ends_with("rule 2, `deny @caller`"));
    both.service.reconfigure("plugins.access.rules = []").await.unwrap();
    both.service.reconfigure("plugins.access.others = 'allow'").await.unwrap();
    assert_eq!(both.far.add(1.0, 2.0).await.unwrap(), 3.0);
}

#[tokio::test(start_paused = true)]
async fn its_own_node_is_judged_if_it_shall_be() {
    let authorize = Authorize::new().judge_this_node().deny_name("server").allow_others();
    let both = Both::of(|service| service.plugin(authorize)).await;
    assert!(denied(&both.near).await.message().ends_with("rule 1, `deny @server`"));
    assert_eq!(both.far.add(1.0, 2.0).await.unwrap(), 3.0);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_rule_changes_nothing() {
    let both = Both::of(|service| service.plugin(Authorize::new().allow_name("caller"))).await;
    for (rules, why) in [
        ("['allow web']", "`allow web` is no rule: who is `*`"),
        ("['allow *: ad']", "there is no method `ad` in `Sums`"),
    ] {
        let change = format!("plugins.access.rules = {rules}");
        let refused = both.service.reconfigure(change).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    assert_eq!(both.far.add(1.0, 2.0).await.unwrap(), 3.0);
    let typo = Authorize::new().rule(Rule::deny(Who::Anyone).method("ad"));
    let refused = refused(|service| service.plugin(typo)).await;
    assert!(refused.contains("there is no method `ad`"), "{refused}");
}
