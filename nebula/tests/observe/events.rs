//! What happens, as a stream.

use std::time::Duration;

use futures_util::StreamExt;
use nebula::{Admin, Events, NodeEvent, Running, ServiceEvent};
use tokio::time::timeout;

use crate::site::Site;
use crate::world::{InnerClient, Seeing};

/// So long nothing else happens.
const MOMENT: Duration = Duration::from_micros(100);

async fn of_service(events: &mut Events) -> ServiceEvent {
    loop {
        match events.next().await {
            Some(NodeEvent::Service(event)) => return event,
            Some(_) => {}
            None => panic!("it has ended"),
        }
    }
}

/// LC-19: each change of each service is told once, in order, to all readers, until the node stops.
#[tokio::test(start_paused = true)]
async fn each_change_is_told() {
    let mut site = Site::new();
    let node = site.node("first").await;
    let (mut events, stream) = (node.events(), node.events().into_stream());
    let service = node.serve::<InnerClient>(Seeing).await.unwrap();
    service.pause("night").await.unwrap();
    let mut before = None;
    loop {
        let ServiceEvent { service, old, new, at, .. } = of_service(&mut events).await;
        assert_eq!(&*service, "Inner");
        assert_ne!(old, new);
        assert!(at >= new.since);
        if let Some(before) = before.replace(new.clone()) {
            assert_eq!(old, before, "nothing between is left out");
        } else {
            assert_eq!((old.admin, old.running), (Admin::Inactive, Running::Stopped));
        }
        if new.running == Running::Paused {
            assert_eq!(&*new.reason, "night");
            break;
        }
    }
    node.shutdown().await.unwrap();
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    let Some(NodeEvent::Service(last)) = last else { panic!("{last:?}") };
    assert_eq!(last.new.running, Running::Stopped);
    assert!(last.to_string().starts_with("Inner: stopped"), "{last}");
    let all: Vec<_> = stream.collect().await;
    assert!(all.len() >= 4, "{all:?}");
    assert!(node.events().next().await.is_none(), "of a node that has stopped");
}

/// Nodes that come and go are told, too.
#[tokio::test(start_paused = true)]
async fn members_come_and_go() {
    let mut site = Site::new();
    let first = site.node("first").await;
    let mut events = first.events();
    let second = site.node("second").await;
    assert!(matches!(events.next().await, Some(NodeEvent::Up(node)) if node == second.id()));
    second.shutdown().await.unwrap();
    assert!(matches!(events.next().await, Some(NodeEvent::Down(node)) if node == second.id()));
}

/// A reader that is too slow is told how many it has missed, and sees the rest.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_what_it_missed() {
    let mut site = Site::new();
    let node = site.node("first").await;
    let service = node.serve::<InnerClient>(Seeing).await.unwrap();
    let (mut slow, mut quick) = (node.events(), node.events());
    let mut told = 0;
    for turn in 0..200 {
        match turn % 2 {
            0 => service.pause("day").await.unwrap(),
            _ => service.activate("night").await.unwrap(),
        }
        while let Ok(event) = timeout(MOMENT, quick.next()).await {
            assert!(matches!(event, Some(NodeEvent::Service(_))), "{event:?}");
            told += 1;
        }
    }
    assert!(told > 300, "{told}");
    let Some(NodeEvent::Missed(missed)) = slow.next().await else { panic!("it missed some") };
    let mut left = 0;
    while let Ok(event) = timeout(MOMENT, slow.next()).await {
        assert!(matches!(event, Some(NodeEvent::Service(_))), "{event:?}");
        left += 1;
    }
    assert_eq!((missed + left, left), (told, 256));
}
