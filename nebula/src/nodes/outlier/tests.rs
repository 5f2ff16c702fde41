use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Any moment will do.
#[allow(clippy::disallowed_methods)]
fn start() -> Instant {
    Instant::now()
}

fn id(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

fn candidates(count: u8) -> Vec<Candidate> {
    let one =
        |number| Candidate { node: id(number), itself: false, load: 0, trip: None, suspect: false };
    (0..count).map(one).collect()
}

/// Without jitter.
fn exactly() -> u32 {
    JITTER
}

fn fails(outliers: &mut Outliers, node: u8, now: Instant) -> Option<Duration> {
    outliers.failed(id(node), now, now, exactly)
}

fn passed_over(outliers: &Outliers, all: &[Candidate], now: Instant) -> Vec<u8> {
    let mut all = all.to_vec();
    outliers.pass_over(&mut all, now);
    let suspects = all.iter().filter(|candidate| candidate.suspect);
    suspects.map(|candidate| candidate.node.as_bytes()[0]).collect()
}

#[test]
fn two_failures_in_a_row_eject_and_one_success_clears() {
    let (mut outliers, now, all) = (Outliers::default(), start(), candidates(3));
    assert_eq!(fails(&mut outliers, 1, now), None);
    assert!(!outliers.succeeded(&id(1)));
    assert_eq!(outliers.len(), 0);
    assert_eq!(fails(&mut outliers, 1, now), None);
    assert_eq!(passed_over(&outliers, &all, now), [0_u8; 0]);
    assert_eq!(fails(&mut outliers, 1, now), Some(2 * SECOND));
    assert_eq!(passed_over(&outliers, &all, now), [1]);
    assert_eq!(passed_over(&outliers, &all, now + 2 * SECOND - MS), [1]);
    assert_eq!(passed_over(&outliers, &all, now + 2 * SECOND), [0_u8; 0]);
    assert!(outliers.succeeded(&id(1)));
    assert_eq!(passed_over(&outliers, &all, now), [0_u8; 0]);
    assert_eq!(outliers.len(), 0);
}

#[test]
fn each_ejection_lasts_twice_as_long_up_to_a_minute() {
    let (mut outliers, mut now) = (Outliers::default(), start());
    assert_eq!(fails(&mut outliers, 1, now), None);
    let mut times = Vec::new();
    for _ in 0..7 {
        let time = fails(&mut outliers, 1, now).unwrap();
        times.push(time.as_secs());
        now += time;
    }
    assert_eq!(times, [2, 4, 8, 16, 32, 60, 60]);
    // A success clears that too.
    assert!(outliers.succeeded(&id(1)));
    assert_eq!(fails(&mut outliers, 1, now), None);
    assert_eq!(fails(&mut outliers, 1, now), Some(2 * SECOND));
}

#[test]
fn jitter_is_a_tenth_either_way() {
    let time = |drawn| {
        let (mut outliers, now) = (Outliers::default(), start());
        assert_eq!(outliers.failed(id(1), now, now, || drawn), None);
        outliers.failed(id(1), now, now, || drawn).unwrap()
    };
    assert_eq!((time(0), time(2 * JITTER)), (1800 * MS, 2200 * MS));
    let mut rng = <rand::rngs::SmallRng as rand::SeedableRng>::seed_from_u64(7);
    let drawn: Vec<_> = (0..1000).map(|_| jitter(&mut rng)).collect();
    assert!(drawn.iter().all(|drawn| *drawn <= 2 * JITTER));
    assert!(drawn.iter().any(|drawn| *drawn < 20) && drawn.iter().any(|drawn| *drawn > 180));
}

#[test]
fn one_call_at_a_time_tries_an_ejected_node() {
    let (mut outliers, began, all) = (Outliers::default(), start(), candidates(3));
    assert!(!outliers.begins(&id(1), began), "nothing is held against it");
    fails(&mut outliers, 1, began);
    fails(&mut outliers, 1, began);
    assert!(!outliers.begins(&id(1), began), "it is asked as the last one");
    let due = began + 2 * SECOND;
    assert!(outliers.begins(&id(1), due));
    assert!(!outliers.begins(&id(1), due));
    assert_eq!(passed_over(&outliers, &all, due), [1]);
    // That call was given up, and says nothing.
    outliers.tried(&id(1), due);
    assert_eq!(passed_over(&outliers, &all, due), [0_u8; 0]);
    assert!(outliers.begins(&id(1), due));
    let failed = due + SECOND;
    assert_eq!(outliers.failed(id(1), due, failed, exactly), Some(4 * SECOND));
    outliers.tried(&id(1), due);
    assert_eq!(passed_over(&outliers, &all, failed + 4 * SECOND - MS), [1]);
    assert!(outliers.begins(&id(1), failed + 4 * SECOND));
    assert!(outliers.succeeded(&id(1)));
    outliers.tried(&id(1), failed + 4 * SECOND);
    assert_eq!(outliers.len(), 0);
}

#[test]
fn a_long_call_tries_it_for_a_minute_at_most() {
    let (mut outliers, began, all) = (Outliers::default(), start(), candidates(3));
    fails(&mut outliers, 1, began);
    fails(&mut outliers, 1, began);
    let first = began + 2 * SECOND;
    assert!(outliers.begins(&id(1), first));
    let second = first + MOST;
    assert_eq!(passed_over(&outliers, &all, second - MS), [1]);
    assert_eq!(passed_over(&outliers, &all, second), [0_u8; 0]);
    assert!(outliers.begins(&id(1), second));
    // The end of the first says nothing of the second.
    outliers.tried(&id(1), first);
    assert_eq!(passed_over(&outliers, &all, second), [1]);
    outliers.tried(&id(1), second);
    assert_eq!(passed_over(&outliers, &all, second), [0_u8; 0]);
}

#[test]
fn calls_that_were_under_way_when_it_was_ejected_are_no_news() {
    let (mut outliers, began) = (Outliers::default(), start());
    let now = began + SECOND;
    let mut fail = |began, now| outliers.failed(id(1), began, now, exactly);
    assert_eq!(fail(began, now), None);
    assert_eq!(fail(began, now), Some(2 * SECOND));
    for later in [now, now + SECOND, now + 9 * SECOND] {
        assert_eq!(fail(began, later), None, "it began before");
    }
    assert_eq!(fail(now + SECOND, now + 2 * SECOND - MS), None, "it is out already");
    assert_eq!(fail(now + SECOND, now + 2 * SECOND), Some(4 * SECOND));
}

#[test]
fn at_most_half_are_passed_over_and_the_worst_first() {
    let (mut outliers, now) = (Outliers::default(), start());
    for node in 0..5 {
        fails(&mut outliers, node, now);
        fails(&mut outliers, node, now);
    }
    let again = now + 2 * SECOND;
    assert!(fails(&mut outliers, 3, again).is_some());
    for (count, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
        assert_eq!(passed_over(&outliers, &candidates(count), now).len(), most, "{count}");
    }
    assert_eq!(passed_over(&outliers, &candidates(4), now), [0, 3]);
    // This node is never judged, and who is suspected anyway takes nobody's place.
    let mut all = candidates(4);
    all[3].itself = true;
    all[0].suspect = true;
    assert_eq!(passed_over(&outliers, &all, now), [0, 1, 2]);
}

#[test]
fn who_has_gone_is_forgotten() {
    let (mut outliers, now) = (Outliers::default(), start());
    fails(&mut outliers, 1, now);
    fails(&mut outliers, 2, now);
    outliers.retain(|node| *node == id(2));
    assert_eq!(outliers.len(), 1);
    assert!(fails(&mut outliers, 2, now).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever happens, never more than half is passed over, and never longer than the limit.
    #[test]
    fn never_more_than_half_nor_longer_than_a_minute(
        count in 1..8_u8,
        events in prop::collection::vec((0..8_u8, 0..4_u8, 0..5000_u64, 0..=200_u32), 0..60),
    ) {
        let (mut outliers, mut now) = (Outliers::default(), start());
        let all = candidates(count);
        for (node, event, passed, drawn) in events {
            now += Duration::from_millis(passed);
            match event {
                0 => drop(outliers.succeeded(&id(node))),
                1 => {
                    outliers.begins(&id(node), now);
                    if drawn < 100 {
                        outliers.tried(&id(node), now);
                    }
                }
                _ => drop(outliers.failed(id(node), now, now, || drawn)),
            }
            let over = passed_over(&outliers, &all, now);
            prop_assert!(over.len() <= usize::from(count / 2));
        }
        let later = now + Duration::from_secs(66);
        prop_assert_eq!(passed_over(&outliers, &all, later), [0_u8; 0]);
    }
}

/// What is held against one node, said plainly: when it failed, when it was ejected and until
/// when, and since when a call tries it.
#[derive(Clone, Debug, Default)]
struct Plain {
    failures: u32,
    ejections: Vec<(Instant, Instant)>,
    tried: Option<Instant>,
}

impl Plain {
    fn holds(&self, now: Instant) -> bool {
        self.tried.is_some_and(|began| now < began + MOST)
            || self.ejections.last().is_some_and(|(_, until)| now < *until)
    }
}

/// 100 000 steps at random against that: calls that begin, fail, succeed or are given up, in any
/// order, and candidates that are judged.
#[test]
fn what_is_held_against_nodes_is_what_they_did() {
    use rand::SeedableRng;
    const NODES: u8 = 6;
    let mut rng = rand::rngs::StdRng::seed_from_u64(21);
    let (mut outliers, mut now) = (Outliers::default(), start());
    let mut plain = vec![Plain::default(); usize::from(NODES)];
    // Calls under way: the node, when they began, whether they try it.
    let mut calls: Vec<(u8, Instant, bool)> = Vec::new();
    for step in 0..100_000 {
        now += Duration::from_millis(rng.random_range(0..800));
        let node = rng.random_range(0..NODES);
        let held = &mut plain[usize::from(node)];
        if calls.len() < 8 && rng.random_range(0..2) == 0 {
            let due = !held.ejections.is_empty() && !held.holds(now);
            assert_eq!(outliers.begins(&id(node), now), due, "step {step}");
            if due {
                held.tried = Some(now);
            }
            calls.push((node, now, due));
        } else if !calls.is_empty() {
            let (node, began, tries) = calls.remove(rng.random_range(0..calls.len()));
            let held = &mut plain[usize::from(node)];
            match rng.random_range(0..4) {
                0 => {
                    let ejected = !held.ejections.is_empty();
                    assert_eq!(outliers.succeeded(&id(node)), ejected, "step {step}");
                    *held = Plain::default();
                }
                1 => {}
                _ => {
                    let last = held.ejections.last().copied();
                    let news = last.is_none_or(|(at, until)| began >= at && now >= until);
                    held.failures += u32::from(news);
                    let ejects = news && held.failures >= FAILURES;
                    let seconds = 2_u64.pow(held.ejections.len().min(10) as u32 + 1).min(60);
                    let time = Duration::from_secs(seconds);
                    let expected = ejects.then_some(time);
                    let told = outliers.failed(id(node), began, now, exactly);
                    assert_eq!(told, expected, "step {step}");
                    if ejects {
                        held.ejections.push((now, now + time));
                        held.tried = None;
                    }
                }
            }
            if tries {
                outliers.tried(&id(node), began);
                held.tried = held.tried.filter(|other| *other != began);
            }
        }
        let over = passed_over(&outliers, &candidates(NODES), now);
        let held: Vec<_> = (0..NODES).filter(|n| plain[usize::from(*n)].holds(now)).collect();
        assert!(over.iter().all(|node| held.contains(node)), "step {step}");
        assert_eq!(over.len(), held.len().min(usize::from(NODES) / 2), "step {step}");
        let troubled = plain.iter().filter(|held| held.failures > 0 || !held.ejections.is_empty());
        assert_eq!(outliers.len(), troubled.count(), "step {step}");
    }
}
