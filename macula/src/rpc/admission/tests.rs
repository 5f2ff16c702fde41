mod waits;

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
