//! Peers that know the cookie, and break everything else.

use std::time::Duration;

use macula::directory::NodeRecord;
use macula::identity::SecretKey;
use macula::rpc::{Failure, Headers, Phase, Request, Term};
use tokio::time::{Instant, sleep};

pub(crate) use crate::frames::*;
use crate::rude::{Rude, tag};
use crate::victim::{ECHO, HANG, KEY, REALM, Victim};

/// The code for whoever breaks the protocol.
const VIOLATION: u64 = 2;

#[tokio::test(start_paused = true)]
async fn frames_that_mean_nothing_end_the_connection() {
    let victim = Victim::new().await;
    let overlong = [&[REPLY][..], &[0xff; 11]].concat();
    let mut too_often = request(1, ECHO, KEY, 9, b"");
    too_often.pop();
    too_often.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x1f]);
    // A request that says something of headers, and ends there.
    let headers = |block: &[u8]| {
        let plain = request(1, ECHO, KEY, 9, b"");
        [&[14][..], &plain[1..], &[block.len() as u8], block].concat()
    };
    let frames: &[&[u8]] = &[
        b"",
        &[0],
        &[13, 1, 2, 3],
        &[14],
        &[16],
        &headers(&[]),
        &headers(&[1, 1, 0, b'K', b'v']),
        &headers(&[0, 0, 0]),
        &[EXTEND, 1],
        &[EXTEND, 1, 2, 3],
        &too_often,
        &[255; 100],
        &[REQUEST],
        &[REQUEST, 0x80],
        &request(1, ECHO, KEY, 9, b"")[..17],
        &[REPLY, 1, 0, 0, 99],
        &overlong,
        &[PING, 1, 1],
        &[PULL, 1, 2, 3],
    ];
    for (host, frame) in (10..).zip(frames) {
        let (rude, mut lane) = Rude::member(&victim, host).await;
        still_listens(&mut lane).await;
        lane.say(frame).await;
        assert_eq!(rude.closed().await, VIOLATION, "{frame:?}");
    }
    victim.is_well(0).await;
}

/// A reply with headers that are too many, too long or none at all ends the connection before anything
/// is made of it; as many and as long as they may be, they do no harm where nobody waits for them.
#[tokio::test(start_paused = true)]
async fn headers_of_replies_have_bounds() {
    let victim = Victim::new().await;
    let reply = |block: &[u8]| {
        let length = [block.len() as u8 & 0x7f | 0x80, (block.len() >> 7) as u8];
        [&[15, 9, 0, 0, 0][..], &length, block, b"it"].concat()
    };
    let some = |count: u8, value: usize| {
        let one = |n: u8| {
            let head = [2, (value & 0x7f) as u8, (value >> 7) as u8, b'a' + n / 26, b'a' + n % 26];
            [&head[..], &vec![b'v'; value]].concat()
        };
        (0..count).flat_map(one).collect::<Vec<_>>()
    };
    let wrong = [some(33, 0), some(5, 1000), some(1, 1025), b"\x01\x01\0Kv".to_vec(), vec![1, 9]];
    for (host, block) in (10..).zip(&wrong) {
        let (rude, mut lane) = Rude::member(&victim, host).await;
        still_listens(&mut lane).await;
        lane.say(&reply(block)).await;
        assert_eq!(rude.closed().await, VIOLATION, "{} bytes", block.len());
    }
    let (_rude, mut lane) = Rude::member(&victim, 30).await;
    for block in [some(32, 0), some(32, 123), some(3, 1024)] {
        lane.say(&reply(&block)).await;
        still_listens(&mut lane).await;
    }
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn noise_in_frames_and_without_does_no_harm() {
    let victim = Victim::new().await;
    for seed in 0..24_u8 {
        let (rude, mut lane) = Rude::member(&victim, 10 + seed).await;
        for round in 0..64 {
            let content = noise(u32::from(seed) << 8 | round, usize::from(seed) * 7 + 1);
            match seed % 2 {
                0 => lane.say(&content).await,
                _ => drop(lane.send.write_all(&content).await),
            }
        }
        if seed % 2 == 1 {
            assert_eq!(rude.closed().await, VIOLATION, "{seed}");
        }
    }
    sleep(Duration::from_secs(1)).await;
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_over_the_limit_is_not_read() {
    let victim = Victim::new().await;
    for (host, length) in [(10, u32::MAX), (11, (128 << 10) + 1)] {
        let (rude, mut lane) = Rude::member(&victim, host).await;
        lane.send.write_all(&length.to_le_bytes()).await.unwrap();
        assert_eq!(rude.closed().await, VIOLATION);
    }
    // Nor on a stream of its own, unless it is a call that can be refused.
    let (rude, _lane) = Rude::member(&victim, 12).await;
    let mut alone = rude.connection.open_uni().await.unwrap();
    let _ = alone.write_all(&[&u32::MAX.to_le_bytes()[..], &[RECORD; 100]].concat()).await;
    assert_eq!(rude.closed().await, VIOLATION);

    let (rude, mut lane) = Rude::member(&victim, 13).await;
    let mut alone = rude.connection.open_uni().await.unwrap();
    let head = request(5, ECHO, KEY, 100, &[0; 100]);
    alone.write_all(&[&u32::MAX.to_le_bytes()[..], &head].concat()).await.unwrap();
    let reply = lane.frame_of(REPLY).await;
    assert_eq!((reply[1], reply[4]), (5, 8), "too large: {reply:?}");
    still_listens(&mut lane).await;
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn streams_that_end_early_are_forgotten() {
    let victim = Victim::new().await;
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    let call = request(5, ECHO, KEY, 100, &[0; 40_000]);
    for cut in [0, 2, 4, 20, 30_000] {
        let whole = [&(call.len() as u32).to_le_bytes()[..], &call].concat();
        let mut alone = rude.connection.open_uni().await.unwrap();
        alone.write_all(&whole[..cut]).await.unwrap();
        match cut % 4 {
            0 => alone.finish().unwrap(),
            _ => alone.reset(9_u32.into()).unwrap(),
        }
    }
    still_listens(&mut lane).await;
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_cannot_be_are_refused_and_run_nothing() {
    let victim = Victim::new().await;
    let (_rude, mut lane) = Rude::member(&victim, 10).await;
    let calls = [
        (request(1, 99, KEY, 100, b""), 2, "an unknown method"),
        (request(2, ECHO, [0; 8], 100, b""), 3, "another shape"),
        (request(3, ECHO, KEY, 0, b""), 5, "no time left"),
    ];
    for (call, status, what) in calls {
        lane.say(&call).await;
        let reply = lane.frame_of(REPLY).await;
        assert_eq!((reply[1], reply[4]), (call[1], status), "{what}");
    }
    // Answers to questions that nobody asked, and the end of calls that nobody made.
    for id in 0..100 {
        lane.say(&[REPLY, id, 0, 0, 0, 1, 2, 3]).await;
        lane.say(&[3, id]).await;
    }
    still_listens(&mut lane).await;
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_number_used_twice_ends_the_connection_and_its_calls() {
    let victim = Victim::new().await;
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    lane.say(&patient(7, HANG)).await;
    still_listens(&mut lane).await;
    assert_eq!(victim.mesh.serving(), 1);
    lane.say(&patient(7, HANG)).await;
    assert_eq!(rude.closed().await, VIOLATION);
    victim.idle().await;
    // The second is noticed when it has begun.
    victim.is_well(2).await;
    assert_eq!(victim.mesh.serving(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_member_gets_the_room_of_a_member() {
    let victim = Victim::with(|limits| limits.max_calls_per_peer = 3).await;
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    for id in 0..10 {
        lane.say(&patient(id, HANG)).await;
    }
    for id in 3..10 {
        let reply = lane.frame_of(REPLY).await;
        assert_eq!((reply[1], reply[4]), (id, 1), "overloaded: {reply:?}");
    }
    assert_eq!(victim.mesh.serving(), 3);
    rude.connection.close(0_u32.into(), b"");
    victim.idle().await;
    victim.is_well(3).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_speaks_for_another() {
    let victim = Victim::new().await;
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    lane.say(&[&[PULL][..], victim.honest.id().as_bytes()].concat()).await;
    let honest = loop {
        let frame = lane.frame_of(RECORD).await;
        if frame[1..33] == *victim.honest.id().as_bytes() {
            break frame;
        }
    };
    let view = victim.mesh.view();
    let known = view.node(&victim.honest.id()).unwrap().record.clone().unwrap();

    // Every byte of it counts.
    for at in 1..honest.len() {
        let mut forged = honest.clone();
        forged[at] ^= 1;
        lane.say(&forged).await;
    }
    // A newer one of its own making, signed with the wrong key, or for another realm.
    let mut newer = NodeRecord::clone(&known);
    newer.version += 9;
    newer.name = "forged".into();
    lane.say(&sealed(&newer, &rude.key, REALM)).await;
    let mut mine = newer.clone();
    mine.node = rude.key.id();
    lane.say(&sealed(&mine, &rude.key, "elsewhere")).await;
    // The victim's own record, from outside.
    let own = view.node(&victim.mesh.id()).unwrap().record.clone().unwrap();
    let mut own = NodeRecord::clone(&own);
    own.version += 9;
    own.services.clear();
    lane.say(&sealed(&own, &rude.key, REALM)).await;
    for length in [0, 1, 31, 32, 33, 96, 97, 1000] {
        for kind in [RECORD, DIGEST, MEMBERS] {
            lane.say(&[&[kind][..], &noise(length, length as usize)].concat()).await;
        }
    }
    still_listens(&mut lane).await;
    sleep(Duration::from_secs(3)).await;
    for mesh in [&victim.mesh, &victim.honest] {
        let view = mesh.view();
        let names: Vec<_> = view.nodes().iter().filter_map(|node| node.record.as_ref()).collect();
        let names: Vec<_> = names.iter().map(|record| record.name.as_str()).collect();
        assert!(names.contains(&"honest") && names.contains(&"victim"), "{names:?}");
        assert!(!names.contains(&"forged"), "{names:?}");
    }
    victim.is_well(0).await;
    // Of itself it may say what it likes.
    mine.name = "rude".into();
    lane.say(&sealed(&mine, &rude.key, REALM)).await;
    still_listens(&mut lane).await;
    let view = victim.mesh.view();
    let told = view.node(&rude.key.id()).unwrap().record.as_ref().unwrap();
    assert_eq!(told.name, "rude");
}

pub(crate) fn sealed(record: &NodeRecord, key: &SecretKey, realm: &str) -> Vec<u8> {
    let bytes = postcard::to_allocvec(record).unwrap();
    let message = [&b"macula directory record v2"[..], &tag(realm), &bytes].concat();
    [&[RECORD][..], &bytes, &key.sign(&message)].concat()
}

#[tokio::test(start_paused = true)]
async fn datagrams_of_any_content_are_borne() {
    let victim = Victim::new().await;
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    for seed in 0..1000_u32 {
        let length = seed as usize % 1100;
        let mut datagram = noise(seed, length);
        if let Some(kind) = datagram.first_mut() {
            *kind = [0, 1, 2, 255][seed as usize / 4 % 4];
        }
        rude.connection.send_datagram(datagram.into()).unwrap();
        if seed % 50 == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    }
    still_listens(&mut lane).await;
    let began = Instant::now();
    sleep(Duration::from_secs(3)).await;
    victim.is_well(0).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    let view = victim.mesh.view();
    assert!(view.nodes().len() <= 3, "nobody was invented: {view:?}");
}

#[tokio::test(start_paused = true)]
async fn who_says_goodbye_and_stays_is_gone() {
    let victim = Victim::new().await;
    let (_rude, mut lane) = Rude::member(&victim, 10).await;
    still_listens(&mut lane).await;
    for _ in 0..10 {
        lane.say(&[11]).await;
    }
    sleep(Duration::from_secs(3)).await;
    assert_eq!(victim.mesh.view().nodes().len(), 2);
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_held_longer_than_the_caller_allows() {
    const MS: Duration = Duration::from_millis(1);
    let victim = Victim::new().await;
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    still_listens(&mut lane).await;
    // (room, extensions) and by when the call must be over.
    for (room, extensions, over) in [(600, 2, 900), (6000, 3, 1200), (600, 0, 300), (0, 9, 300)] {
        let began = Instant::now();
        let (mesh, id) = (victim.mesh.clone(), rude.key.id());
        let call = tokio::spawn(async move {
            let term = Term::new(began + 300 * MS, room * MS, extensions);
            let (method, key, body) = (ECHO, KEY, b"".as_slice().into());
            let request = Request {
                method,
                key,
                body,
                term,
                headers: Headers::new(),
                moved: None,
                sent: None,
                leave_if_silent: false,
            };
            mesh.call_to(id, request).await
        });
        let number = lane.frame_of(REQUEST).await[1];
        // 300 ms, a thousand times; and once as much as can be said, for a call that is not there.
        for _ in 0..1000 {
            lane.say(&[EXTEND, number, 0xe0, 0xa7, 0x12]).await;
        }
        lane.say(&[&[EXTEND, 127][..], &FOREVER].concat()).await;
        let response = call.await.unwrap();
        assert_eq!(response.result, Err(Failure::Deadline { phase: Phase::Run }));
        let took = began.elapsed();
        assert!(took >= over * MS && took < (over + 5) * MS, "{took:?}, not {over} ms");
        assert_eq!(response.term.deadline(), began + over * MS);
    }
    still_listens(&mut lane).await;
    victim.is_well(0).await;
}
