//! Peers that have proved nothing.

use std::time::Duration;

use macula::identity::{Cookie, SecretKey};
use tokio::time::{Instant, sleep, timeout};

use crate::rude::{Rude, hello};
use crate::victim::{ADMISSION, COOKIE, PATIENCE, REALM, Victim, member};

/// The code with which whoever is not admitted is sent away.
const REFUSED: u64 = 1;

#[tokio::test(start_paused = true)]
async fn without_a_key_nobody_gets_as_far_as_a_stream() {
    let victim = Victim::new().await;
    let key = SecretKey::generate();
    if let Ok(rude) = Rude::try_connect(&victim, 9, key, false).await {
        let end = timeout(PATIENCE, rude.connection.closed()).await.unwrap();
        assert!(matches!(end, quinn::ConnectionError::ConnectionClosed(_)), "{end:?}");
        assert!(rude.connection.open_bi().await.is_err());
    }
    let reason = victim.refusal(crate::victim::address(9)).await;
    assert!(reason.starts_with("the connection failed"), "{reason}");
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn silence_has_its_time() {
    let victim = Victim::new().await;
    let began = Instant::now();
    let rude = Rude::connect(&victim, 9).await;
    assert_eq!(rude.closed().await, REFUSED);
    let took = began.elapsed();
    assert!((ADMISSION..ADMISSION + ADMISSION / 2).contains(&took), "{took:?}");
    assert_eq!(victim.refusal(rude.addr).await, "it took too long to prove itself");
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_proof_in_drops_takes_too_long_as_well() {
    let victim = Victim::new().await;
    let began = Instant::now();
    let rude = Rude::connect(&victim, 9).await;
    let mut lane = rude.open().await;
    let hello = hello(REALM, &rude.proof(1, COOKIE));
    for byte in [&50_u32.to_le_bytes()[..], &hello].concat() {
        if lane.send.write_all(&[byte]).await.is_err() {
            break;
        }
        sleep(ADMISSION / 5).await;
    }
    assert_eq!(rude.closed().await, REFUSED);
    assert!(began.elapsed() < 2 * ADMISSION, "{:?}", began.elapsed());
    assert_eq!(victim.refusal(rude.addr).await, "it took too long to prove itself");
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_hello_is_the_end() {
    let victim = Victim::new().await;
    let frame = |length: u32, content: &[u8]| [&length.to_le_bytes()[..], content].concat();
    let attacks = [
        (frame(50, &[0xaa; 50]), "this is not the macula protocol"),
        (frame(50, &[&b"macula"[..], &[0; 44]].concat()), "it belongs to another realm"),
        (frame(0, b""), "a message ends before its last field"),
        (frame(6, b"macula"), "a message ends before its last field"),
        (frame(51, &[0; 51]), "a frame of 51 bytes is longer than the limit of 50"),
        (frame(u32::MAX, b""), "a frame of 4294967295 bytes is longer"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "a frame of 542393671 bytes is longer"),
    ];
    for (host, (bytes, expected)) in (10..).zip(attacks) {
        let rude = Rude::connect(&victim, host).await;
        let mut lane = rude.open().await;
        let began = Instant::now();
        let _ = lane.send.write_all(&bytes).await;
        assert_eq!(rude.closed().await, REFUSED);
        assert!(began.elapsed() < ADMISSION / 2, "it is not waited for");
        let reason = victim.refusal(rude.addr).await;
        assert!(reason.contains(expected), "{reason}");
        assert!(lane.frame().await.is_none(), "nothing is answered");
    }
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_proof_that_does_not_hold_is_answered_with_nothing() {
    let victim = Victim::new().await;
    let other = Rude::connect(&victim, 9).await;
    for host in 10..15 {
        let rude = Rude::connect(&victim, host).await;
        let mut lane = rude.open().await;
        let (said, expected) = match host {
            10 => (hello(REALM, &[0; 32]), "its cookie is not that of this realm"),
            11 => (hello(REALM, &rude.proof(1, b"a guess")), "its cookie is not"),
            // The right cookie, but for another connection, or in the listener's name.
            12 => (hello(REALM, &other.proof(1, COOKIE)), "its cookie is not"),
            13 => (hello(REALM, &rude.proof(2, COOKIE)), "its cookie is not"),
            _ => (hello("elsewhere", &rude.proof(1, COOKIE)), "it belongs to another realm"),
        };
        lane.say(&said).await;
        assert_eq!(rude.closed().await, REFUSED);
        assert!(victim.refusal(rude.addr).await.starts_with(expected));
        assert!(lane.frame().await.is_none(), "nothing is answered");
    }
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn another_version_or_a_false_name_does_not_get_in() {
    let victim = Victim::new().await;
    let rude = Rude::connect(&victim, 9).await;
    let mut said = hello(REALM, &rude.proof(1, COOKIE));
    said[6..10].copy_from_slice(&[7, 0, 9, 0]);
    rude.open().await.say(&said).await;
    assert_eq!(rude.closed().await, REFUSED);
    let reason = victim.refusal(rude.addr).await;
    assert!(reason.starts_with("it speaks versions 7 to 9"), "{reason}");

    let rude = Rude::connect(&victim, 10).await;
    let mut lane = rude.hello(&rude.proof(1, COOKIE)).await;
    lane.say(&rude.introduction(victim.honest.id())).await;
    assert_eq!(rude.closed().await, REFUSED);
    let reason = victim.refusal(rude.addr).await;
    assert!(reason.starts_with("it introduced itself as"), "{reason}");
    victim.is_well(0).await;
    assert_eq!(victim.mesh.view().nodes().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_has_one_stream_and_little_room() {
    let victim = Victim::new().await;
    let rude = Rude::connect(&victim, 9).await;
    let mut lane = rude.open().await;
    let soon = ADMISSION / 4;
    assert!(timeout(soon, rude.connection.open_bi()).await.is_err(), "a second stream");
    assert!(timeout(soon, rude.connection.open_uni()).await.is_err(), "a stream for bodies");
    for kind in 0..=255 {
        let _ = rude.connection.send_datagram(vec![kind; 64].into());
    }
    // A frame that is announced and does not come.
    lane.send.write_all(&50_u32.to_le_bytes()).await.unwrap();
    assert_eq!(rude.closed().await, REFUSED);
    assert_eq!(victim.refusal(rude.addr).await, "it took too long to prove itself");
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_strangers_keeps_nobody_out_for_long() {
    let victim = Victim::with(|limits| limits.max_admissions = 4).await;
    let mut crowd = Vec::new();
    for host in 10..14 {
        crowd.push(Rude::connect(&victim, host).await);
    }
    let late = Rude::try_connect(&victim, 14, SecretKey::generate(), true).await;
    assert!(late.is_err(), "there is no place for a fifth");
    assert_eq!(victim.refusal(crate::victim::address(14)).await, "too many peers at once");
    // Whoever is a member already notices nothing.
    victim.is_well(0).await;
    let began = Instant::now();
    let newcomer = member(&victim.network, "newcomer", 20).seed(victim.mesh.addr().to_string());
    let newcomer = newcomer.join_timeout(PATIENCE).start().await.unwrap();
    assert!(newcomer.joining().borrow().joined);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    for rude in crowd {
        assert_eq!(rude.closed().await, REFUSED);
    }
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_whole_node_with_another_cookie_is_a_stranger() {
    let victim = Victim::new().await;
    let stranger = member(&victim.network, "stranger", 9).cookie(Cookie::generate());
    let stranger = stranger.seed(victim.mesh.addr().to_string()).join_timeout(ADMISSION);
    let stranger = stranger.start().await.unwrap();
    let reason = victim.refusal(stranger.addr()).await;
    assert_eq!(reason, "its cookie is not that of this realm");
    victim.is_well(0).await;
    assert_eq!(victim.mesh.view().nodes().len(), 2);
}
