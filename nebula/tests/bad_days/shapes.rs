//! Contracts of one name that are not the same.

use nebula::call::{ApiKey, CallError, Executed};
use nebula::prelude::*;

use crate::site::{Site, met};

mod ours {
    use super::*;

    #[service(global, name = "Till")]
    pub trait Till {
        #[api(idempotent)]
        async fn total(&self, day: u32) -> u64;
        #[api(idempotent)]
        async fn count(&self) -> u32;
        #[api(idempotent)]
        async fn added(&self) -> u8;
    }

    pub(super) struct Drawer;
    impl Till for Drawer {
        async fn total(&self, day: u32) -> u64 {
            day.into()
        }
        async fn count(&self) -> u32 {
            1
        }
        async fn added(&self) -> u8 {
            1
        }
    }
}

/// Another argument, another version, and one method less.
mod theirs {
    use super::*;

    #[service(global, name = "Till")]
    pub trait Till {
        #[api(idempotent)]
        async fn total(&self, day: String) -> u64;
        #[api(idempotent, version = 2)]
        async fn count(&self) -> u32;
    }

    pub(super) struct Drawer;
    impl Till for Drawer {
        async fn total(&self, day: String) -> u64 {
            panic!("ran for {day}")
        }
        async fn count(&self) -> u32 {
            panic!("ran")
        }
    }
}

fn keys<T: std::fmt::Debug>(answer: Result<T, CallError>) -> (ApiKey, ApiKey) {
    let error = answer.unwrap_err();
    assert_eq!(error.executed(), Executed::No);
    let CallError::Incompatible { ours, theirs, .. } = &error else { panic!("{error:?}") };
    let text = error.to_string();
    assert!(text.contains(&ours.to_string()) && text.contains(&theirs.to_string()), "{text}");
    assert!(text.contains("build both sides from the same contract"), "{text}");
    let named = format!("{} serves another shape of this method", error.attempts()[0].name);
    assert!(text.starts_with(&named), "{text}");
    assert_eq!(format!("{error:#}").lines().count(), 2, "{error:#}");
    (*ours, *theirs)
}

#[tokio::test(start_paused = true)]
async fn another_shape_or_version_is_incompatible_and_both_keys_are_told() {
    let site = Site::new();
    let other = site.node("other").serve(theirs::Drawer).start().await.unwrap();
    let client = site.client().await;
    met(&[&other, &client]).await;
    let ours = ours::TillClient::new(&client);
    let theirs = theirs::TillClient::new(&client);
    let (our_total, their_total) = keys(ours.total(1).await);
    let (our_count, their_count) = keys(ours.count().to(other.id()).await);
    let all = [our_total, their_total, our_count, their_count];
    assert!(all.iter().enumerate().all(|(at, key)| !all[..at].contains(key)), "{all:?}");

    // The way back is told apart just as well, by the same keys.
    let mine = site.node("mine").serve(ours::Drawer).start().await.unwrap();
    met(&[&other, &client, &mine]).await;
    assert_eq!(keys(theirs.total("x".into()).to(mine.id()).await), (their_total, our_total));
    // A method that only one side has is missing there, not of another shape.
    let error = ours.added().to(other.id()).await.unwrap_err();
    assert!(matches!(error, CallError::NoProvider(_)), "{error:?}");
    assert!(error.to_string().contains("does not serve it"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_node_with_the_right_shape_is_found_among_others() {
    let site = Site::new();
    let other = site.node("other").serve(theirs::Drawer).start().await.unwrap();
    let mine = site.node("mine").tag("db").serve(ours::Drawer).start().await.unwrap();
    let client = site.client().await;
    met(&[&other, &mine, &client]).await;
    let till = ours::TillClient::new(&client);
    for day in 0..8 {
        assert_eq!(till.total(day).await, Ok(day.into()));
    }
    let asked = till.total(7).all().await.unwrap();
    assert_eq!((asked.len(), asked.all_ok()), (1, true));
}

#[tokio::test(start_paused = true)]
async fn a_shape_elsewhere_is_no_reason_where_the_selector_is() {
    let site = Site::new();
    let other = site.node("other").serve(theirs::Drawer).start().await.unwrap();
    let mine = site.node("mine").tag("db").serve(ours::Drawer).start().await.unwrap();
    let client = site.client().await;
    met(&[&other, &mine, &client]).await;
    let error = ours::TillClient::new(&client).total(7).on(tag("web")).await.unwrap_err();
    assert!(matches!(error, CallError::NoProvider(_)), "{error:?}");
    assert!(error.to_string().contains("mine (lacks &web)"), "{error}");
    keys(ours::TillClient::new(&client).total(7).on(!tag("db")).await);
}

mod narrow {
    use super::*;

    #[service(global, name = "Gate")]
    pub trait Gate {
        #[api(max_concurrent = 1, queue = 1)]
        async fn pass(&self);
    }

    pub(super) struct Shut;
    impl Gate for Shut {
        async fn pass(&self) {
            std::future::pending().await
        }
    }
}

mod wide {
    use super::*;

    #[service(global, name = "Gate")]
    pub trait Gate {
        #[api]
        async fn pass(&self, width: u8);
    }

    pub(super) struct Open;
    impl Gate for Open {
        async fn pass(&self, _width: u8) {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_shape_elsewhere_is_no_way_out_of_a_full_node() {
    let site = Site::new();
    let full = site.node("full").serve(narrow::Shut).start().await.unwrap();
    let other = site.node("other").serve(wide::Open).start().await.unwrap();
    met(&[&full, &other]).await;
    let gate = narrow::GateClient::new(&full);
    let (mut first, mut second) = (gate.pass().into_future(), gate.pass().into_future());
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    let error = gate.pass().await.unwrap_err();
    assert!(matches!(error, CallError::Overloaded { .. }), "{error:?}");
}
