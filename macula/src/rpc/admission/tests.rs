use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::poll;
use rand::{RngExt, SeedableRng};

use super::*;

fn admitted(gate: &Arc<Gate>) -> Permit {
    match gate.enter() {
        Entry::Admitted(permit) => permit,
        other => panic!("{other:?}"),
    }
}

fn queued(gate: &Arc<Gate>) -> BoxFuture<'static, Permit> {
    match gate.enter() {
        Entry::Queued(waiting) => waiting,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn places_then_the_queue_in_order_then_refusal() {
    let gate = Gate::new(1, 2);
    let running = admitted(&gate);
    let (mut first, mut second) = (queued(&gate), queued(&gate));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    assert!(matches!(gate.enter(), Entry::Refused { .. }));
    assert_eq!((gate.running(), gate.queued()), (1, 2));
    drop(running);
    assert!(poll!(&mut second).is_pending());
    let running = first.await;
    assert_eq!((gate.running(), gate.queued()), (1, 1));
    drop(running);
    drop(second.await);
    assert_eq!((gate.running(), gate.queued()), (0, 0));
}

#[tokio::test]
async fn leaving_the_queue_frees_the_place() {
    let gate = Gate::new(1, 1);
    let running = admitted(&gate);
    let mut left = queued(&gate);
    assert!(poll!(&mut left).is_pending());
    drop(left);
    let mut next = queued(&gate);
    // Polled or not, what is dropped neither takes nor loses a place.
    drop(queued_after(&gate, &mut next).await);
    drop(running);
    drop(next.await);
    drop(admitted(&gate));
}

async fn queued_after(gate: &Arc<Gate>, waiting: &mut BoxFuture<'static, Permit>) -> Entry {
    assert!(poll!(waiting).is_pending());
    let entry = gate.enter();
    assert!(matches!(entry, Entry::Refused { .. }));
    entry
}

#[tokio::test(start_paused = true)]
async fn the_advice_follows_the_time_that_calls_take() {
    let gate = Gate::new(1, 0);
    let refused = |gate: &Arc<Gate>| match gate.enter() {
        Entry::Refused { retry_after } => retry_after,
        other => panic!("{other:?}"),
    };
    let running = admitted(&gate);
    assert_eq!(refused(&gate), in_time::UNMEASURED);
    tokio::time::advance(Duration::from_secs(2)).await;
    drop(running);
    let running = admitted(&gate);
    assert_eq!(refused(&gate), Duration::from_secs(2));
    drop(running);
}

#[tokio::test]
async fn behind_another_gate_a_call_needs_a_place_in_both() {
    let service = Gate::new(2, 1);
    let (find, put) = (Gate::within(&service, 2, 1), Gate::within(&service, 1, 1));
    let (one, two) = (admitted(&find), admitted(&put));
    assert_eq!((service.running(), find.running(), put.running()), (2, 1, 1));
    // `find` has a place left, the service has none.
    let mut third = queued(&find);
    assert!(poll!(&mut third).is_pending());
    assert_eq!((service.queued(), find.queued()), (1, 0));
    assert!(matches!(service.enter(), Entry::Refused { .. }));
    // `put` is full: its next call waits there, and then, anyway, for the service.
    let mut fourth = queued(&put);
    assert!(poll!(&mut fourth).is_pending());
    drop(two);
    let third = third.await;
    assert!(poll!(&mut fourth).is_pending());
    assert_eq!((service.queued(), put.queued()), (1, 0));
    drop((one, third));
    drop(fourth.await);
    for gate in [&service, &find, &put] {
        assert_eq!((gate.running(), gate.queued()), (0, 0));
    }
}

#[tokio::test]
async fn whoever_leaves_a_queue_of_two_gates_leaves_nothing_behind() {
    let service = Gate::new(1, 4);
    let method = Gate::within(&service, 1, 4);
    let running = admitted(&service);
    // One holds the place of its method and waits for the service, one waits for its method.
    let mut behind_service = queued(&method);
    let mut behind_method = queued(&method);
    assert!(poll!(&mut behind_service).is_pending() && poll!(&mut behind_method).is_pending());
    drop(behind_service);
    assert!(poll!(&mut behind_method).is_pending());
    assert_eq!((service.queued(), method.queued()), (1, 0));
    drop(behind_method);
    // The first refusal of the service gives the place of the method back, too.
    let full = Gate::new(1, 0);
    let within = Gate::within(&full, 1, 0);
    let last = admitted(&full);
    for _ in 0..3 {
        assert!(matches!(within.enter(), Entry::Refused { .. }));
    }
    drop((running, last));
    drop((admitted(&method), admitted(&within)));
    for gate in [&service, &method, &full, &within] {
        assert_eq!((gate.running(), gate.queued()), (0, 0));
        let kept_by = if gate.outer.is_some() { 1 } else { 2 };
        assert_eq!(Arc::strong_count(gate), kept_by);
    }
}

#[tokio::test]
async fn idle_waits_for_the_last_call() {
    let gate = Gate::new(3, 1);
    let (one, two) = (admitted(&gate), admitted(&gate));
    {
        let idle = gate.idle();
        tokio::pin!(idle);
        assert!(poll!(&mut idle).is_pending());
        drop(one);
        assert!(poll!(&mut idle).is_pending());
        drop(two);
        idle.await;
    }
    drop(admitted(&gate));
}

#[tokio::test]
async fn a_turn_that_nobody_takes_goes_to_the_next() {
    let gate = Gate::new(1, 3);
    let running = admitted(&gate);
    let (mut gone, mut next) = (queued(&gate), queued(&gate));
    assert!(poll!(&mut gone).is_pending() && poll!(&mut next).is_pending());
    drop(running);
    // The turn of the first has come, and it leaves without having looked.
    drop(gone);
    let running = next.await;
    assert_eq!((gate.running(), gate.queued()), (1, 0));
    drop(running);
    assert_eq!((gate.running(), gate.queued()), (0, 0));
}

/// Calls that come, wait, leave and end on several threads at once: never too many run, and in the
/// end none is counted any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_calls_come_and_go_the_counts_hold() {
    const MOST: usize = 3;
    let service = Gate::new(MOST, 64);
    let gates = [Gate::within(&service, 2, 8), Gate::within(&service, 2, 8), service.clone()];
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..8_usize)
        .map(|task| {
            let (gates, inside) = (gates.clone(), Arc::clone(&inside));
            tokio::spawn(async move {
                for round in 0..2000_usize {
                    let step = task.wrapping_mul(31).wrapping_add(round.wrapping_mul(7));
                    let permit = match gates[step % 3].enter() {
                        Entry::Admitted(permit) => permit,
                        Entry::Queued(mut waiting) => {
                            if step % 5 == 0 {
                                let _ = poll!(&mut waiting);
                                tokio::task::yield_now().await;
                                continue;
                            }
                            waiting.await
                        }
                        Entry::Refused { .. } => {
                            tokio::task::yield_now().await;
                            continue;
                        }
                    };
                    assert!(inside.fetch_add(1, SeqCst) < MOST);
                    if step % 3 == 0 {
                        tokio::task::yield_now().await;
                    }
                    inside.fetch_sub(1, SeqCst);
                    drop(permit);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for gate in &gates {
        gate.idle().await;
        assert_eq!((gate.running(), gate.queued()), (0, 0));
    }
    let all: Vec<_> = (0..MOST).map(|_| admitted(&service)).collect();
    assert!(matches!(service.enter(), Entry::Queued(_)));
    drop(all);
}

/// What a gate with a queue is, said plainly: who runs, and who waits in which order.
#[derive(Default)]
struct Plain {
    running: Vec<u64>,
    waiting: Vec<u64>,
}

impl Plain {
    fn ends(&mut self, call: u64) {
        self.running.retain(|running| *running != call);
        if !self.waiting.is_empty() {
            self.running.push(self.waiting.remove(0));
        }
    }
}

/// 100 000 steps at random against that: calls come, take their turn, give up and end.
#[test]
fn a_gate_is_places_and_a_line() {
    const PLACES: usize = 4;
    const QUEUE: usize = 6;
    let mut rng = rand::rngs::StdRng::seed_from_u64(20);
    let (gate, mut plain) = (Gate::new(PLACES, QUEUE), Plain::default());
    let mut permits = std::collections::BTreeMap::new();
    let mut line = std::collections::BTreeMap::new();
    for call in 0..100_000_u64 {
        let pick = |of: &[u64], draw: usize| of.get(draw % of.len().max(1)).copied();
        let draw = rng.random_range(0..1000_usize);
        match rng.random_range(0..10) {
            0..5 => match gate.enter() {
                Entry::Admitted(permit) => {
                    assert!(plain.running.len() < PLACES && plain.waiting.is_empty());
                    plain.running.push(call);
                    permits.insert(call, permit);
                }
                Entry::Queued(waiting) => {
                    assert!(plain.running.len() == PLACES && plain.waiting.len() < QUEUE);
                    plain.waiting.push(call);
                    line.insert(call, waiting);
                }
                Entry::Refused { .. } => {
                    assert_eq!((plain.running.len(), plain.waiting.len()), (PLACES, QUEUE));
                }
            },
            5 => match gate.pass() {
                Some(pass) => {
                    assert!(plain.running.len() < PLACES);
                    plain.running.push(call);
                    permits.insert(call, pass.keep());
                }
                None => assert_eq!(plain.running.len(), PLACES),
            },
            // A call that runs ends; or one whose turn has come without its looking is given up.
            6..9 => {
                if let Some(ends) = pick(&plain.running, draw) {
                    plain.ends(ends);
                    let (permit, unseen) = (permits.remove(&ends), line.remove(&ends));
                    assert!(permit.is_some() != unseen.is_some(), "{ends} is in one place");
                }
            }
            _ => {
                if let Some(gone) = pick(&plain.waiting, draw) {
                    plain.waiting.retain(|waiting| *waiting != gone);
                    drop(line.remove(&gone));
                }
            }
        }
        if draw % 2 == 0 {
            for (number, mut waiting) in std::mem::take(&mut line) {
                match (&mut waiting).now_or_never() {
                    Some(permit) => {
                        assert!(plain.running.contains(&number));
                        permits.insert(number, permit);
                    }
                    None => {
                        assert!(plain.waiting.contains(&number));
                        line.insert(number, waiting);
                    }
                }
            }
        }
        let counts = (plain.running.len(), plain.waiting.len());
        assert_eq!((gate.running(), gate.queued()), counts, "step {call}");
    }
    drop((permits, line));
    assert_eq!((gate.running(), gate.queued()), (0, 0));
    assert_eq!(Arc::strong_count(&gate), 1);
}

/// So many calls as a new gate samples hold their places for so long, one after the other.
async fn taught(gate: &Arc<Gate>, held: Duration) {
    for _ in SAMPLED_FROM..=255 {
        let running = admitted(gate);
        tokio::time::advance(held).await;
        drop(running);
    }
}

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn who_cannot_be_done_in_time_does_not_wait() {
    let gate = Gate::new(1, 100);
    taught(&gate, 100 * MS).await;
    // Whoever has a place at once is let in, and not asked how much time it has.
    let Entry::Admitted(running) = gate.enter_for(|| unreachable!("it does not wait")) else {
        panic!("a place is free");
    };
    let enters = |left: Duration| gate.enter_for(move || left);
    let retry_after = |entry: Entry| match entry {
        Entry::Refused { retry_after } => retry_after,
        other => panic!("{other:?}"),
    };
    // 100 ms for the one that runs, a quarter more, and 100 ms for itself.
    assert_eq!(retry_after(enters(224 * MS)), 100 * MS);
    let Entry::Queued(first) = enters(225 * MS) else { panic!("225 ms are enough") };
    assert_eq!(retry_after(enters(349 * MS)), 200 * MS);
    let Entry::Queued(second) = enters(350 * MS) else { panic!("350 ms are enough") };
    // If calls usually take longer than there is time, their handlers move deadlines: then a
    // turn in time is enough, and without it nothing is.
    assert_eq!(retry_after(enters(99 * MS)), 300 * MS);
    let Entry::Queued(late) = enters(Duration::ZERO) else { panic!("its caller will notice") };
    let Entry::Queued(patient) = gate.enter() else { panic!("it waits as long as it takes") };
    assert_eq!(gate.queued(), 4);
    drop((first, second, late, patient, running));
    let wide = Gate::new(10, 100);
    taught(&wide, 100 * MS).await;
    let running: Vec<_> = (0..10).map(|_| admitted(&wide)).collect();
    assert!(matches!(wide.enter_for(|| 12 * MS), Entry::Refused { .. }));
    assert!(matches!(wide.enter_for(|| 13 * MS), Entry::Queued(_)));
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_few_samples_send_nobody_away_and_come_soon_if_they_are_needed() {
    let gate = Gate::new(1, 100);
    for calls in 0..8 {
        let running = admitted(&gate);
        let entry = gate.enter_for(|| 150 * MS);
        assert!(matches!(entry, Entry::Queued(_)), "{calls} calls have ended");
        drop(entry);
        tokio::time::advance(100 * MS).await;
        drop(running);
    }
    // The next who asks is sent away, or some calls later; after many it is too long ago again.
    for calls in 0..3 * u32::from(in_time::STALE_AFTER) {
        let running = admitted(&gate);
        tokio::time::advance(100 * MS).await;
        if [1, 20, 50].contains(&calls) {
            assert!(matches!(gate.enter_for(|| 150 * MS), Entry::Refused { .. }), "{calls} more");
        }
        drop(running);
    }
    // The first of these began before anybody had to know.
    for calls in 0..=8 {
        let running = admitted(&gate);
        assert!(matches!(gate.enter_for(|| 150 * MS), Entry::Queued(_)), "{calls} later");
        tokio::time::advance(MS).await;
        drop(running);
    }
    // What was known then is forgotten.
    let running = admitted(&gate);
    assert!(matches!(gate.enter_for(|| 3 * MS), Entry::Queued(_)));
    assert!(matches!(gate.enter_for(|| 2 * MS), Entry::Refused { .. }));
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_slow_spell_is_forgotten() {
    let gate = Gate::new(1, 100);
    taught(&gate, 30_000 * MS).await;
    let mut refused = 0;
    for call in 0.. {
        let running = admitted(&gate);
        // Several ask meanwhile, which must not keep the one that runs from being timed.
        let sent_away =
            (0..3).filter(|_| matches!(gate.enter_for(|| 1000 * MS), Entry::Refused { .. }));
        let sent_away = sent_away.count();
        tokio::time::advance(10 * MS).await;
        drop(running);
        if sent_away == 0 {
            break;
        }
        refused = call;
    }
    assert!((8..100).contains(&refused), "{refused} calls until it knew");
}

#[tokio::test(start_paused = true)]
async fn behind_another_gate_both_waits_count() {
    let service = Gate::new(1, 100);
    let (slow, quick) = (Gate::within(&service, 1, 100), Gate::within(&service, 1, 100));
    taught(&slow, 100 * MS).await;
    taught(&quick, 10 * MS).await;
    taught(&service, 100 * MS).await;
    // The quick ones went through it, too.
    (0..1000).for_each(|_| service.held.add(100 * MS));
    let waits = |gate: &Arc<Gate>, left: Duration| match gate.enter_for(move || left) {
        Entry::Queued(waiting) => Some(waiting),
        Entry::Refused { .. } => None,
        Entry::Admitted(_) => panic!("a place is free"),
    };
    let running = admitted(&service);
    // The service is full, the method is not: the wait is one at the service, and the call as
    // long as those of its method.
    assert!(waits(&quick, 134 * MS).is_none());
    assert_eq!((service.running(), quick.running()), (1, 0));
    let one = waits(&quick, 135 * MS).unwrap();
    assert_eq!((service.queued(), quick.running()), (1, 1));
    // Now the method is full, too. Each of its calls waits for two others at the service: 200 ms,
    // and then runs for 10 ms. This one waits for one of them, then for the same again.
    assert!(waits(&quick, 522 * MS).is_none());
    let two = waits(&quick, 523 * MS).unwrap();
    assert_eq!((service.queued(), quick.queued()), (1, 1));
    drop((running, one, two));
    for gate in [&service, &slow, &quick] {
        assert_eq!((gate.running(), gate.queued()), (0, 0));
    }
}

/// 100 000 steps: calls of always the same time come with more or less time left. Who waits in a
/// line for one place is done in time; who is sent away would not have been, but for a
/// quarter of its wait; whoever finds a place free, or came to a gate that knows too little, is
/// neither asked nor sent away.
#[tokio::test(start_paused = true)]
async fn who_waits_is_done_in_time_and_who_is_sent_away_would_not_be() {
    const HELD: Duration = MS.saturating_mul(10);
    let mut rng = rand::rngs::StdRng::seed_from_u64(21);
    let gate = Gate::new(1, 30);
    taught(&gate, HELD).await;
    // Who runs and until when; who waits, with their deadlines.
    let mut running: Option<(Instant, Permit)> = None;
    let mut line = std::collections::VecDeque::<(Instant, BoxFuture<'static, Permit>)>::new();
    let (mut waited, mut sent_away, mut full) = (0, 0, 0);
    for step in 0..100_000 {
        let now = Instant::now();
        if let Some((until, _)) = &running
            && *until <= now
        {
            assert_eq!(*until, now, "step {step}");
            running = None;
            if let Some((deadline, turn)) = line.pop_front() {
                assert!(now + HELD <= deadline, "step {step}: it began in vain");
                running = Some((now + HELD, turn.now_or_never().unwrap()));
                waited += 1;
            }
        }
        for _ in 0..rng.random_range(0..3) {
            let left = rng.random_range(10..600) * MS;
            match (gate.enter_for(|| left), &running) {
                (Entry::Admitted(permit), None) => running = Some((now + HELD, permit)),
                (Entry::Queued(waiting), Some(_)) => line.push_back((now + left, waiting)),
                (Entry::Refused { .. }, Some(_)) if line.len() == 30 => full += 1,
                (Entry::Refused { .. }, Some((until, _))) => {
                    let wait = *until - now + HELD * line.len() as u32;
                    // The one that runs counts in full.
                    assert!((wait + HELD) * 5 / 4 + HELD > left, "step {step}");
                    sent_away += 1;
                }
                (other, _) => panic!("step {step}: {other:?}"),
            }
        }
        // Now and then one of them goes.
        if rng.random_range(0..20) == 0 && !line.is_empty() {
            drop(line.remove(rng.random_range(0..line.len())));
        }
        assert_eq!((gate.running(), gate.queued()), (running.iter().count(), line.len()));
        let next = running.as_ref().map_or(MS, |(until, _)| (*until - now).min(5 * MS));
        tokio::time::advance(next.max(MS)).await;
    }
    assert!(waited > 10_000 && sent_away > 1000 && full > 10, "{waited}, {sent_away}, {full}");
    drop((running, line));
    assert_eq!((gate.running(), gate.queued()), (0, 0));
}
