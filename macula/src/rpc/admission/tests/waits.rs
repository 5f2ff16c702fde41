//! Who waits only if its turn comes in time.

use super::*;

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
