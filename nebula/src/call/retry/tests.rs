use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::*;

const LONG: Duration = Duration::from_secs(60);

fn rng() -> SmallRng {
    SmallRng::seed_from_u64(7)
}

fn failed(executed: Executed) -> Failed {
    Failed { executed, again: true, busy: None }
}

/// A node that is overloaded, and asks to be spared for so long.
fn busy(time: Duration) -> Failed {
    Failed { executed: Executed::No, again: false, busy: Some(time) }
}

/// A node that will not change its mind.
fn never() -> Failed {
    Failed { executed: Executed::No, again: false, busy: None }
}

fn plenty() -> RetryBudget {
    RetryBudget::new(TOKEN, 1_000_000)
}

/// It starts over after what it was told, and up to so many milliseconds more.
fn assert_waits(step: Step, told: Duration, jitter_ms: u64) {
    let Step::StartOver { after } = step else { panic!("{step:?}") };
    assert!((told..=told + Duration::from_millis(jitter_ms)).contains(&after), "{after:?}");
}

#[test]
fn the_rule() {
    use Executed::{No, Unknown, Yes};
    let table = [
        (No, false, Step::TryNext),
        (No, true, Step::TryNext),
        (Unknown, false, Step::GiveUp),
        (Unknown, true, Step::TryNext),
        (Yes, false, Step::GiveUp),
        (Yes, true, Step::GiveUp),
    ];
    for (executed, idempotent, expected) in table {
        let step = FailoverMachine::new(2, idempotent).on_failure(
            failed(executed),
            LONG,
            &plenty(),
            &mut rng(),
        );
        assert_eq!(step, expected, "{executed:?}, idempotent: {idempotent}");
    }
}

#[test]
fn every_candidate_is_tried_before_starting_over() {
    let (mut call, budget, mut rng) = (FailoverMachine::new(3, false), plenty(), rng());
    let mut step = || call.on_failure(failed(Executed::No), LONG, &budget, &mut rng);
    for round in 0..4 {
        assert_eq!((step(), step()), (Step::TryNext, Step::TryNext), "round {round}");
        assert!(matches!(step(), Step::StartOver { after } if after <= BACKOFF_CAP));
    }
}

#[test]
fn starts_over_only_if_a_node_may_change_its_mind() {
    let after = |first: Failed, second: Failed| {
        let (mut call, budget, mut rng) = (FailoverMachine::new(2, true), plenty(), rng());
        assert_eq!(call.on_failure(first, LONG, &budget, &mut rng), Step::TryNext);
        call.on_failure(second, LONG, &budget, &mut rng)
    };
    assert_eq!(after(never(), never()), Step::GiveUp);
    let told = Duration::from_secs(2);
    assert_eq!(after(never(), busy(told)), Step::GiveUp, "its caller hears of it at once");
    assert_waits(after(failed(Executed::No), never()), Duration::ZERO, 10);
    // A node that asked to be spared is, though it is another one that is worth a second try.
    assert_waits(after(failed(Executed::No), busy(told)), told, 10);
    assert_waits(after(busy(told), failed(Executed::No)), told, 10);
}

#[test]
fn waits_for_the_readiest_of_the_busy_nodes_of_the_round() {
    let seconds = Duration::from_secs;
    let (mut call, budget, mut rng) = (FailoverMachine::new(3, false), plenty(), rng());
    let mut round = |first, second| {
        for told in [first, second] {
            let step = call.on_failure(busy(seconds(told)), LONG, &budget, &mut rng);
            assert_eq!(step, Step::TryNext);
        }
        call.on_failure(failed(Executed::No), LONG, &budget, &mut rng)
    };
    assert_waits(round(3, 5), seconds(3), 10);
    // What nodes said in the round before is forgotten.
    assert_waits(round(9, 7), seconds(7), 20);
}

#[test]
fn those_that_were_told_the_same_do_not_come_back_together() {
    let told = Duration::from_secs(1);
    let (budget, mut rng) = (plenty(), rng());
    let mut waits: Vec<_> = (0..100)
        .map(|_| {
            let mut call = FailoverMachine::new(2, false);
            assert_eq!(call.on_failure(busy(told), LONG, &budget, &mut rng), Step::TryNext);
            let step = call.on_failure(failed(Executed::No), LONG, &budget, &mut rng);
            let Step::StartOver { after } = step else { panic!("{step:?}") };
            after
        })
        .collect();
    waits.sort_unstable();
    assert!(waits[99] - waits[0] > Duration::from_millis(8), "{waits:?}");
}

#[test]
fn a_hedge_takes_a_candidate_and_a_retry() {
    let (budget, mut rng) = (RetryBudget::new(0, 2), rng());
    let mut call = FailoverMachine::new(3, true);
    assert!(call.has_next() && call.hedge(&budget));
    assert_eq!(call.on_failure(failed(Executed::No), LONG, &budget, &mut rng), Step::TryNext);
    assert!(!call.has_next() && !call.hedge(&budget), "nobody is left");
    let mut call = FailoverMachine::new(2, true);
    assert!(!call.hedge(&budget), "the budget is spent");
    assert!(call.has_next());
}

#[test]
fn nothing_starts_after_the_deadline() {
    let on_failure = |candidates, failed, remaining| {
        FailoverMachine::new(candidates, true).on_failure(failed, remaining, &plenty(), &mut rng())
    };
    let second = Duration::from_secs(1);
    assert_eq!(on_failure(2, failed(Executed::No), Duration::ZERO), Step::GiveUp);
    let both = Failed { busy: Some(second), ..failed(Executed::No) };
    assert_eq!(on_failure(1, both, second), Step::GiveUp);
    assert_waits(on_failure(1, both, 2 * second), second, 10);
}

#[test]
fn one_call_is_bounded() {
    let (mut call, budget, mut rng) = (FailoverMachine::new(3, true), plenty(), rng());
    let steps =
        std::iter::repeat_with(|| call.on_failure(failed(Executed::No), LONG, &budget, &mut rng));
    assert_eq!(steps.take_while(|step| *step != Step::GiveUp).count() as u32, MAX_ATTEMPTS - 1);
}

#[test]
fn an_empty_budget_stops_retries_and_traffic_refills_it() {
    let budget = RetryBudget::default();
    let retry = || {
        FailoverMachine::new(2, true).on_failure(failed(Executed::No), LONG, &budget, &mut rng())
    };
    for _ in 0..10 {
        assert_eq!(retry(), Step::TryNext);
    }
    assert_eq!(retry(), Step::GiveUp);
    for _ in 0..4 {
        budget.deposit();
    }
    assert_eq!(retry(), Step::GiveUp);
    budget.deposit();
    assert_eq!((retry(), retry()), (Step::TryNext, Step::GiveUp));
}

#[test]
fn giving_up_costs_no_budget() {
    let budget = RetryBudget::new(0, 1);
    let mut rng = rng();
    let mut call = FailoverMachine::new(2, false);
    assert_eq!(call.on_failure(failed(Executed::Yes), LONG, &budget, &mut rng), Step::GiveUp);
    let mut call = FailoverMachine::new(1, false);
    assert_eq!(call.on_failure(never(), LONG, &budget, &mut rng), Step::GiveUp);
    assert!(budget.withdraw());
    assert!(!budget.withdraw());
}

#[test]
fn backoff_spreads_over_its_whole_range() {
    let mut rng = rng();
    for (round, most) in [(0, 10), (1, 20), (2, 40), (5, 320), (6, 500), (40, 500), (u32::MAX, 500)]
    {
        let most = Duration::from_millis(most);
        let waits: Vec<_> = (0..500).map(|_| backoff(round, &mut rng)).collect();
        assert!(waits.iter().all(|wait| *wait <= most), "round {round}");
        assert!(waits.iter().any(|wait| *wait < most / 10), "round {round}");
        assert!(waits.iter().any(|wait| *wait > most * 9 / 10), "round {round}");
    }
}

fn any_failure() -> impl Strategy<Value = Failed> {
    let executed = prop_oneof![Just(Executed::No), Just(Executed::Yes), Just(Executed::Unknown)];
    let busy = proptest::option::of((0_u64..2000).prop_map(Duration::from_millis));
    (executed, any::<bool>(), busy).prop_map(|(executed, again, busy)| Failed {
        executed,
        again,
        busy,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the failures, the time and the budget: what ran is never run again, and what may
    /// have run only if that is harmless.
    #[test]
    fn a_method_that_is_not_idempotent_runs_at_most_once(
        failures in proptest::collection::vec((any_failure(), 0_u64..5000), 1..60),
        candidates in 0_usize..6,
        idempotent in any::<bool>(),
        reserve in 0_u32..40,
        seed in any::<u64>(),
    ) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let budget = RetryBudget::new(200, reserve);
        let mut call = FailoverMachine::new(candidates, idempotent);
        let mut may_have_run = 0;
        for (failure, millis) in failures {
            may_have_run += u32::from(failure.executed != Executed::No);
            let remaining = Duration::from_millis(millis);
            let step = call.on_failure(failure, remaining, &budget, &mut rng);
            match step {
                Step::GiveUp => break,
                Step::TryNext => prop_assert!(candidates > 1 && !remaining.is_zero()),
                Step::StartOver { after } => prop_assert!(after < remaining),
            }
            prop_assert!(failure.executed != Executed::Yes);
            prop_assert!(idempotent || failure.executed == Executed::No);
        }
        prop_assert!(idempotent || may_have_run <= 1);
    }

    #[test]
    fn retries_are_a_share_of_the_traffic(
        permille in 0_u32..=1000,
        reserve in 1_u32..50,
        calls in proptest::collection::vec(0_u32..4, 0..400),
    ) {
        let budget = RetryBudget::new(permille, reserve);
        let (mut made, mut granted) = (0_u64, 0_u64);
        for retries in calls {
            budget.deposit();
            made += 1;
            for _ in 0..retries {
                granted += u64::from(budget.withdraw());
            }
            prop_assert!(granted * 1000 <= u64::from(reserve) * 1000 + u64::from(permille) * made);
        }
    }
}

/// 20 000 calls at random, with hedges, against plain counts: no node is asked twice in a round,
/// what the budget grants is what was attempted beyond first attempts, and a call with a body that
/// ran, or may have run and must not again, makes no attempt after it.
#[test]
fn calls_with_hedges_attempt_what_they_may() {
    use rand::RngExt;
    let mut rng = SmallRng::seed_from_u64(22);
    let budget = RetryBudget::new(200, 50);
    let (mut calls, mut retries) = (0_u64, 0_u64);
    while calls < 20_000 {
        budget.deposit();
        calls += 1;
        let (candidates, idempotent) = (rng.random_range(1..6_usize), rng.random_range(0..2) == 0);
        let mut call = FailoverMachine::new(candidates, idempotent);
        let (mut asked, mut attempts, mut over) = (1, 1, false);
        while !over {
            assert_eq!(call.has_next(), asked < candidates);
            // Only calls that may run twice are hedged.
            if idempotent && rng.random_range(0..3) == 0 {
                let granted = call.hedge(&budget);
                assert!(!granted || asked < candidates);
                asked += usize::from(granted);
                attempts += u32::from(granted);
                retries += u64::from(granted);
            }
            let executed = match rng.random_range(0..8) {
                0 => break,
                1 => Executed::Yes,
                2 | 3 => Executed::Unknown,
                _ => Executed::No,
            };
            let failure = Failed { executed, again: rng.random_range(0..4) > 0, busy: None };
            let step = call.on_failure(failure, LONG, &budget, &mut rng);
            match step {
                Step::GiveUp => over = true,
                Step::TryNext => asked += 1,
                Step::StartOver { after } => {
                    assert!(after <= BACKOFF_CAP && asked == candidates);
                    asked = 1;
                }
            }
            if step != Step::GiveUp {
                assert!(may_retry(executed, idempotent));
                attempts += 1;
                retries += 1;
            }
            assert!(asked <= candidates && attempts <= MAX_ATTEMPTS);
            assert!(retries * 1000 <= 50_000 + 200 * calls);
        }
    }
    assert!(retries * 1000 > 150 * calls, "{retries} retries: the budget was never used up");
}
