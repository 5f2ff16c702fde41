//! Members that open, reset and cancel without end: what stays of it, and who waits for it.

use std::time::Duration;

use tokio::time::Instant;

use crate::frames::{REQUEST, patient, still_listens};
use crate::rude::Rude;
use crate::victim::{HANG, Victim};
use crate::{alone, in_use, many};

/// What may stay on the heap of all that, at both ends of the connection.
const REMAINS: isize = 32 << 10;
/// How long the calls of others may take meanwhile. They need no time of the paused clock.
const OTHERS: Duration = Duration::from_millis(5);

async fn others_are_served(victim: &Victim) {
    let asked = Instant::now();
    victim.is_well(0).await;
    assert!(asked.elapsed() < OTHERS, "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn streams_without_end_leave_nothing_and_delay_nobody() {
    let _alone = alone().await;
    let victim = Victim::new().await;
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    let streams = many(10_000);
    let mut before = 0;
    for round in 0..2 * streams {
        if round == streams {
            // The tables of the connection have their size by now.
            still_listens(&mut lane).await;
            before = in_use();
        }
        let mut one = rude.connection.open_uni().await.unwrap();
        let head = [&40_000_u32.to_le_bytes()[..], &[REQUEST, 5]].concat();
        one.write_all(&head[..round % 7]).await.unwrap();
        match round % 3 {
            0 => one.finish().unwrap(),
            1 => one.reset(9_u32.into()).unwrap(),
            _ => drop(one),
        }
        if round % 500 == 0 {
            others_are_served(&victim).await;
            still_listens(&mut lane).await;
        }
    }
    still_listens(&mut lane).await;
    let left = in_use() - before;
    println!("{streams} streams leave {left} bytes");
    assert!(left < REMAINS, "{left} bytes");
    others_are_served(&victim).await;
    assert!(rude.connection.close_reason().is_none(), "it is slow, and no fault");
}

#[tokio::test(start_paused = true)]
async fn cancellations_without_end_leave_nothing_and_delay_nobody() {
    let _alone = alone().await;
    let victim = Victim::new().await;
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    let cancels = many(20_000);
    let (mut before, mut id) = (0, 0_u8);
    for round in 0..2 * cancels {
        if round == cancels {
            still_listens(&mut lane).await;
            victim.idle().await;
            before = in_use();
        }
        id = (id + 1) % 128;
        // A call and its end, or an end of what never was, by numbers of either kind.
        if round % 4 == 1 && id % 2 == 0 {
            lane.say(&patient(id, HANG)).await;
        }
        lane.say(&[3, id]).await;
        if round % 1000 == 0 {
            still_listens(&mut lane).await;
            victim.idle().await;
            assert_eq!(victim.mesh.serving(), 0);
        }
    }
    still_listens(&mut lane).await;
    victim.idle().await;
    let left = in_use() - before;
    println!("{cancels} cancellations leave {left} bytes");
    assert!(left < REMAINS, "{left} bytes");
    let asked = Instant::now();
    let began = victim.began();
    victim.is_well(began).await;
    assert!(asked.elapsed() < OTHERS, "{:?}", asked.elapsed());
    assert!(began > 0 && rude.connection.close_reason().is_none());
}
