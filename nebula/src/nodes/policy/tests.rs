use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn id(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

fn candidate(number: u8) -> Candidate {
    Candidate { node: id(number), itself: false, load: 0, trip: None, suspect: false }
}

fn candidates(count: u8) -> Vec<Candidate> {
    (1..=count).map(candidate).collect()
}

fn rng(seed: u64) -> SmallRng {
    SmallRng::seed_from_u64(seed)
}

/// How often each candidate comes first in `rounds` orders.
fn firsts(policy: Policy, candidates: &[Candidate], rounds: u64) -> Vec<u32> {
    let mut rng = rng(7);
    let mut counts = vec![0; candidates.len()];
    for turn in 0..rounds {
        counts[policy.order(candidates, turn, &mut rng)[0]] += 1;
    }
    counts
}

fn any_policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        Just(Policy::LocalFirst),
        Just(Policy::RoundRobin),
        Just(Policy::Random),
        Just(Policy::LeastLoaded),
        any::<u64>().prop_map(Policy::sticky),
        Just(Policy::Closest),
    ]
}

fn any_candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let facts = (0..5_u32, any::<bool>(), proptest::option::of(0..5_u64));
    let all = (prop::collection::vec(facts, 0..20), any::<prop::sample::Index>(), any::<bool>());
    all.prop_map(|(facts, itself, serves)| {
        let itself = (serves && !facts.is_empty()).then(|| itself.index(facts.len()));
        let one = |(at, (load, suspect, trip)): (usize, (u32, bool, Option<u64>))| Candidate {
            node: id(at as u8),
            itself: itself == Some(at),
            load,
            trip: trip.map(Duration::from_millis),
            suspect: suspect && itself != Some(at),
        };
        facts.into_iter().enumerate().map(one).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn each_once_suspects_last_and_the_same_again(
        policy in any_policy(),
        all in any_candidates(),
        turn: u64,
        seed: u64,
    ) {
        let order = policy.order(&all, turn, &mut rng(seed));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..all.len()).collect::<Vec<_>>());
        prop_assert!(order.is_sorted_by_key(|at| all[*at].suspect));
        prop_assert_eq!(&order, &policy.order(&all, turn, &mut rng(seed)));
        let itself = all.iter().position(|candidate| candidate.itself);
        if let (Some(itself), Policy::LocalFirst | Policy::Closest) = (itself, policy) {
            prop_assert_eq!(order[0], itself);
        }
    }

    /// Whatever the turn it begins with.
    #[test]
    fn n_calls_in_turn_reach_each_of_n_nodes_once(
        count in 1..20_u8,
        suspects in 0..5_u8,
        turn in 0..u64::MAX - 100,
    ) {
        let mut all = candidates(count + suspects);
        all[usize::from(count)..].iter_mut().for_each(|suspect| suspect.suspect = true);
        let turns = turn..turn + u64::from(count);
        let mut first: Vec<_> =
            turns.map(|turn| Policy::RoundRobin.order(&all, turn, &mut rng(1))[0]).collect();
        first.sort_unstable();
        prop_assert_eq!(first, (0..usize::from(count)).collect::<Vec<_>>());
    }

    /// A node that goes leaves the ranking of the others as it was, and so does one that is
    /// suspected, but for its own place. The order in which the nodes are listed does not matter,
    /// nor who asks.
    #[test]
    fn the_ranking_of_a_key_outlives_its_nodes(
        key: u64,
        count in 2..20_u8,
        gone in any::<prop::sample::Index>(),
        seed: u64,
    ) {
        let policy = Policy::sticky(key);
        let ranked = |all: &[Candidate]| -> Vec<NodeId> {
            policy.order(all, 0, &mut rng(seed)).into_iter().map(|at| all[at].node).collect()
        };
        let mut all = candidates(count);
        let before = ranked(&all);
        all.shuffle(&mut rng(seed));
        prop_assert_eq!(&ranked(&all), &before);
        let gone = gone.index(all.len());
        let node = all[gone].node;
        let mut expected: Vec<_> = before.into_iter().filter(|other| *other != node).collect();
        let rest: Vec<_> = all.iter().copied().filter(|other| other.node != node).collect();
        prop_assert_eq!(&ranked(&rest), &expected);
        all[gone].suspect = true;
        all[(gone + 1) % usize::from(count)].itself = true;
        expected.push(node);
        prop_assert_eq!(&ranked(&all), &expected);
    }

    #[test]
    fn texts_and_policies_are_the_same(policy in any_policy(), text in "\\PC*") {
        match (policy.to_string().parse::<Policy>(), policy) {
            (parsed, Policy::Sticky(_)) => prop_assert_eq!(parsed, Err(UnknownPolicy::LacksKey)),
            (parsed, policy) => prop_assert_eq!(parsed, Ok(policy)),
        }
        if let Ok(policy) = text.parse::<Policy>() {
            prop_assert_eq!(policy.to_string(), text);
        }
    }
}

#[test]
fn a_name_that_is_none_is_told_the_known_ones() {
    let error = "round-robin".parse::<Policy>().unwrap_err().to_string();
    assert!(error.contains("`round-robin`"), "{error}");
    for (name, policy) in NAMED {
        assert!(error.contains(name), "{error}");
        assert_eq!(policy.to_string(), name);
    }
}

#[test]
fn by_load_this_node_is_one_like_the_others() {
    let mut all = candidates(2);
    (all[0].itself, all[0].load) = (true, 3);
    assert_eq!(firsts(Policy::LeastLoaded, &all, 100), [0, 100]);
    assert_eq!(firsts(Policy::LocalFirst, &all, 100), [100, 0]);
    let even = firsts(Policy::Random, &all, 1000);
    assert!(even[0].abs_diff(500) < 80, "{even:?}");
    all[0].load = 0;
    let even = firsts(Policy::LeastLoaded, &all, 1000);
    assert!(even[0].abs_diff(500) < 80, "{even:?}");
}

#[test]
fn at_random_means_evenly() {
    let counts = firsts(Policy::Random, &candidates(4), 8000);
    assert!(counts.iter().all(|count| count.abs_diff(2000) < 200), "{counts:?}");
}

#[test]
fn the_closest_first_and_those_about_as_close_by_load() {
    let mut all = candidates(4);
    for (candidate, trip) in all.iter_mut().zip([30 * MS, 10 * MS, 11 * MS, 29 * MS]) {
        candidate.trip = Some(trip);
    }
    all[1].load = 1;
    assert_eq!(firsts(Policy::Closest, &all, 100), [0, 0, 100, 0]);
    let order = Policy::Closest.order(&all, 0, &mut rng(1));
    assert_eq!(order[..2], [2, 1]);
    all[2].suspect = true;
    assert_eq!(firsts(Policy::Closest, &all, 100), [0, 100, 0, 0]);
}

#[test]
fn nodes_that_were_not_measured_come_last_but_get_their_chance() {
    let mut all = candidates(4);
    all[0].trip = Some(10 * MS);
    all[1].trip = Some(50 * MS);
    let counts = firsts(Policy::Closest, &all, 16_000);
    assert_eq!(counts[1], 0);
    let explored = counts[2] + counts[3];
    assert!(explored.abs_diff(1000) < 150 && counts[2].abs_diff(counts[3]) < 150, "{counts:?}");
    // Nothing is known yet, so there is nothing to prefer.
    assert!(firsts(Policy::Closest, &all[2..], 1000).iter().all(|count| *count > 400));
    // This node is closer than any.
    all[3].itself = true;
    assert_eq!(firsts(Policy::Closest, &all, 1000), [0, 0, 0, 1000]);
}
