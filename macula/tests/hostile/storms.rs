//! Members that send too much: streams, cancellations, questions about the directory, and frames
//! that were once valid.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::members::{REPLY, REQUEST, noise, patient, request, still_listens};
use crate::rude::Rude;
use crate::victim::{ECHO, HANG, KEY, Victim};

const SUMMARY: u8 = 7;
const DIGEST: u8 = 8;
const PULL: u8 = 9;

#[tokio::test(start_paused = true)]
async fn streams_that_are_opened_and_reset_cost_nothing() {
    let victim = Victim::new().await;
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    let began = Instant::now();
    for round in 0..3000_u32 {
        let mut alone = rude.connection.open_uni().await.unwrap();
        let head = [&40_000_u32.to_le_bytes()[..], &[REQUEST, 5]].concat();
        alone.write_all(&head[..round as usize % 7]).await.unwrap();
        alone.reset(9_u32.into()).unwrap();
        if round % 500 == 0 {
            victim.is_well(0).await;
        }
    }
    still_listens(&mut lane).await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_held_open_are_its_own_and_end() {
    let victim = Victim::new().await;
    let (rude, _lane) = Rude::member(&victim, 10).await;
    let mut held = Vec::new();
    for _ in 0..64 {
        let mut alone = rude.connection.open_uni().await.unwrap();
        alone.write_all(&[0; 3]).await.unwrap();
        held.push(alone);
    }
    let more = rude.connection.open_uni();
    let more = tokio::time::timeout(Duration::from_secs(2), more).await;
    assert!(more.is_err(), "a 65th stream");
    victim.is_well(0).await;
    // Who does nothing but that is dropped with all of it: it answers no probes.
    sleep(Duration::from_secs(30)).await;
    assert!(rude.connection.close_reason().is_some());
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_given_up_at_once_leave_nothing() {
    let victim = Victim::new().await;
    let (_rude, mut lane) = Rude::member(&victim, 10).await;
    let mut seen = 0;
    for round in 0..40 {
        for id in 0..100 {
            // Sometimes the end comes before the beginning, which is heeded for odd numbers.
            let call = patient(id, HANG);
            match id % 6 {
                3 => {
                    lane.say(&[3, id]).await;
                    lane.say(&call).await;
                }
                _ => {
                    lane.say(&call).await;
                    lane.say(&[3, id]).await;
                }
            }
        }
        if round % 10 == 0 {
            still_listens(&mut lane).await;
            victim.idle().await;
            assert_eq!(victim.mesh.serving(), 0);
        }
        seen += 100;
    }
    still_listens(&mut lane).await;
    victim.idle().await;
    assert_eq!((victim.mesh.serving(), seen), (0, 4000));
    // All permits are back.
    for id in 0..16 {
        lane.say(&patient(id + 100, HANG)).await;
    }
    still_listens(&mut lane).await;
    assert_eq!(victim.mesh.serving(), 16);
}

/// Requests that travel alone may be overtaken by their own end.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_call_that_comes_first_is_not_crowded_out_by_others() {
    let victim = Victim::new().await;
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    lane.say(&[3, 101]).await;
    // Others are answered, and given up when it is too late.
    let rounds = 100;
    for _ in 0..rounds {
        for id in (2..100).step_by(2) {
            lane.say(&request(id, ECHO, KEY, 100, b"short")).await;
            lane.say(&[3, id]).await;
        }
        still_listens(&mut lane).await;
    }
    for (id, method) in [(101, HANG), (103, ECHO)] {
        let mut call = patient(id, method);
        call.extend_from_slice(&[0; 40_000]);
        let mut alone = rude.connection.open_uni().await.unwrap();
        let whole = [&(call.len() as u32).to_le_bytes()[..], &call].concat();
        alone.write_all(&whole).await.unwrap();
        alone.finish().unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    still_listens(&mut lane).await;
    victim.is_well(rounds * 49 + 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_number_says_whether_its_request_travels_alone() {
    let victim = Victim::new().await;
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    still_listens(&mut lane).await;
    for round in 0..3 {
        for length in [40_000, 10] {
            let (mesh, node) = (victim.mesh.clone(), rude.key.id());
            let call = tokio::spawn(async move {
                let term = macula::rpc::Term::fixed(Instant::now() + Duration::from_secs(1));
                let body = vec![0; length].into();
                let (method, key, moved, sent) = (ECHO, KEY, None, None);
                let (headers, leave_if_silent) = (macula::rpc::Headers::new(), false);
                let request = macula::rpc::Request {
                    method,
                    key,
                    body,
                    headers,
                    term,
                    moved,
                    sent,
                    leave_if_silent,
                };
                mesh.call_to(node, request).await
            });
            let number = if length > 1000 {
                let mut alone = rude.connection.accept_uni().await.unwrap();
                let mut head = [0; 6];
                alone.read_exact(&mut head).await.unwrap();
                assert_eq!((head[4], head[5] % 2), (REQUEST, 1), "{round}");
                head[5]
            } else {
                let frame = lane.frame_of(REQUEST).await;
                assert_eq!(frame[1] % 2, 0, "{round}");
                frame[1]
            };
            call.abort();
            assert_eq!(lane.frame_of(3).await, [3, number]);
        }
    }
}

/// It asks for everything again and again, and reads nothing of it.
#[tokio::test(start_paused = true)]
async fn who_asks_for_the_directory_and_does_not_read_waits_for_itself() {
    let victim = Victim::new().await;
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    still_listens(&mut lane).await;
    let ids = [*victim.mesh.id().as_bytes(), *victim.honest.id().as_bytes()].concat();
    for round in 0..6000_u64 {
        match round % 3 {
            0 => lane.say(&[&[SUMMARY][..], &round.to_le_bytes()].concat()).await,
            1 => lane.say(&[DIGEST, 0]).await,
            _ => lane.say(&[&[PULL][..], &ids].concat()).await,
        }
        if round % 1000 == 0 {
            victim.is_well(0).await;
        }
        if rude.connection.close_reason().is_some() {
            break;
        }
    }
    victim.is_well(0).await;
}

/// Frames of an honest conversation, each a little wrong.
#[tokio::test(start_paused = true)]
async fn frames_that_were_valid_once_are_borne() {
    let victim = Victim::new().await;
    let (_rude, mut lane) = Rude::member(&victim, 9).await;
    lane.say(&request(1, ECHO, KEY, 100, b"a body")).await;
    lane.say(&[SUMMARY, 1, 2, 3, 4, 5, 6, 7, 8]).await;
    let mut recorded = vec![request(1, ECHO, KEY, 100, b""), patient(2, HANG)];
    let mut kinds = std::collections::BTreeSet::new();
    while kinds.len() < 4 {
        let frame = lane.frame().await.unwrap();
        kinds.insert(frame[0]);
        recorded.push(frame);
    }
    assert!(kinds.contains(&REPLY) && kinds.contains(&DIGEST), "{kinds:?}");
    for seed in 0..60_u32 {
        let (rude, mut lane) = Rude::member(&victim, 10 + seed as u8).await;
        for (at, frame) in (0..).zip(&recorded) {
            let chance = noise(seed << 8 | at, 8);
            let mut frame = frame.clone();
            match chance[0] % 4 {
                0 => frame.truncate(usize::from(chance[1]) % frame.len()),
                1 => {
                    let place = usize::from(chance[1]) % frame.len();
                    frame[place] ^= 1 << (chance[2] % 8);
                }
                2 => frame.extend_from_slice(&chance),
                _ => {
                    let place = usize::from(chance[1]) % frame.len();
                    frame.splice(place..place, [0xff; 4]);
                }
            }
            // Nothing of it may run a method, which a change of its arguments would.
            if frame.first() == Some(&REQUEST) {
                frame.truncate(17);
            }
            lane.say(&frame).await;
            if rude.connection.close_reason().is_some() {
                break;
            }
        }
    }
    victim.is_well(1).await;
}

/// The same before admission: a `Hello` of this very connection, each a little wrong.
#[tokio::test(start_paused = true)]
async fn a_hello_with_one_byte_changed_is_no_hello() {
    let victim = Victim::new().await;
    for at in 0..54_u8 {
        let rude = Rude::connect(&victim, 10 + at).await;
        let hello = crate::rude::hello(crate::victim::REALM, &rude.proof(1, crate::victim::COOKIE));
        let mut frame = [&50_u32.to_le_bytes()[..], &hello].concat();
        frame[usize::from(at)] ^= 1 << (at % 8);
        // A newer version at the end of the range is a version all the same.
        if (12..14).contains(&at) || (14..16).contains(&at) {
            continue;
        }
        let mut lane = rude.open().await;
        let _ = lane.send.write_all(&frame).await;
        let _ = lane.send.finish();
        assert_eq!(rude.closed().await, 1, "{at}");
        assert!(lane.frame().await.is_none(), "{at}: it is answered");
    }
    victim.is_well(0).await;
}
