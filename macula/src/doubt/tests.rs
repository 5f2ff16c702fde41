use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::{advance, sleep};

use super::*;
use crate::identity::Cookie;
use crate::transport::link::Link;
use crate::{MemoryNetwork, Mesh};

const MS: Duration = Duration::from_millis(1);
/// How long a datagram is on its way: answers come between two looks.
const WAY: Duration = Duration::from_millis(18);

async fn node(network: &MemoryNetwork, host: u8, seed: Option<&Mesh>) -> Mesh {
    let addr = SocketAddr::from(([10, 0, 0, host], 7000));
    let cookie = Cookie::new(&b"of a test"[..]).unwrap();
    let builder = Mesh::builder("n").realm("test").cookie(cookie).memory(network.clone(), addr);
    match seed {
        Some(seed) => builder.seed(seed.addr().to_string()).start().await.unwrap(),
        None => builder.start().await.unwrap(),
    }
}

/// Two nodes, and the link to the second.
async fn two() -> (Mesh, Mesh, Arc<Link>) {
    let network = MemoryNetwork::new(1);
    let one = node(&network, 1, None).await;
    let other = node(&network, 2, Some(&one)).await;
    network.delay(WAY);
    loop {
        if let Some(link) = one.0.link(&other.id()) {
            sleep(Duration::from_secs(1)).await;
            return (one, other, link);
        }
        sleep(MS).await;
    }
}

/// Whether calls still have an answer is asked by a `Ping` as well, whose `Pong` comes behind.
#[tokio::test(start_paused = true)]
async fn an_answer_is_not_lost_to_that_of_another_question() {
    let (one, other, link) = two().await;
    let asks = tokio::spawn(async move {
        let mut asks = interval(AGAIN);
        loop {
            asks.tick().await;
            sleep(2 * MS).await;
            link.lane.push(&Message::Ping(0)).unwrap();
        }
    });
    let answers = one.0.answers(&other.id(), ANSWER).await;
    asks.abort();
    assert!(answers, "it answered each time");
}

/// Suspicions of our own and what others say may be found out about at once: the answers come
/// together then, and each is asked for again a few times only.
#[tokio::test(start_paused = true)]
async fn each_question_has_its_answer() {
    let (one, other, _link) = two().await;
    let id = other.id();
    let answers = join_all((0..8).map(|_| one.0.answers(&id, ANSWER))).await;
    assert_eq!(answers, [true; 8], "it answered each");
}

/// The time in which this process stood still is none in which others could answer.
#[tokio::test(start_paused = true)]
async fn a_pause_of_our_own_is_no_silence_of_others() {
    let (one, other, _link) = two().await;
    let asking = tokio::spawn(async move { one.0.answers(&other.id(), LAST_WORD).await });
    sleep(MS).await;
    advance(Duration::from_secs(5)).await;
    assert!(asking.await.unwrap(), "it answers as soon as it is heard");
}

/// Nor does it end under a question, by this side; and the end of it in good order, by the other, is as
/// good as an answer.
#[tokio::test(start_paused = true)]
async fn a_connection_on_which_a_question_is_open_is_in_use() {
    let network = MemoryNetwork::new(1);
    let limits = crate::Limits {
        kept_connections: 0,
        unused_connection_time: Duration::from_secs(3),
        ..crate::Limits::default()
    };
    let build = |host: u8| {
        let addr = SocketAddr::from(([10, 0, 0, host], 7000));
        let cookie = Cookie::new(&b"of a test"[..]).unwrap();
        let builder = Mesh::builder("n").realm("test").cookie(cookie);
        builder.limits(limits.clone()).memory(network.clone(), addr)
    };
    let one = build(1).start().await.unwrap();
    let other = build(2).seed(one.addr().to_string()).start().await.unwrap();
    network.delay(WAY);
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for round in 0..60_u32 {
        let (ends, later) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let link = loop {
            match one.0.link_to(other.id(), other.addr()).await {
                Ok(link) if link.is_open() => break link,
                _ => sleep(MS).await,
            }
        };
        // It ends while the question, or its answer, is on its way.
        loop {
            match ends.0.link(&later.id()) {
                Some(ending) if ending.unused() < Duration::from_secs(3) => sleep(MS).await,
                _ => break,
            }
        }
        if one.0.link(&other.id()).is_some_and(|now| Arc::ptr_eq(&now, &link)) {
            asked += 1;
            let ending = async {
                sleep(2 * MS * (round / 2)).await;
                ends.0.end_unused();
            };
            let (id, asking) = (other.id(), &one.0);
            let (answers, ()) = tokio::join!(asking.answers(&id, LAST_WORD), ending);
            if !answers {
                wrong.push(round);
            }
        }
        sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(wrong, [0; 0], "of {asked}: it is alive all along, and reachable");
}
