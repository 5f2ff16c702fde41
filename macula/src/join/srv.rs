//! The order in which the hosts of a service are asked.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use rand::{Rng, RngExt};

/// A host that DNS names for a service (RFC 2782).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SrvRecord {
    pub(crate) priority: u16,
    pub(crate) weight: u16,
    pub(crate) port: u16,
    /// The host; `.` says that there is no such service.
    pub(crate) target: String,
}

/// The records as RFC 2782 has them asked: lower priorities first, and among those of one priority
/// each place is drawn with chances by weight, where one of weight 0 has hardly any beside others.
pub(crate) fn in_order(mut records: Vec<SrvRecord>, rng: &mut impl Rng) -> Vec<SrvRecord> {
    // Those without a weight come first, in no order of their own, so that a 0 alone draws them.
    let mut keyed: Vec<_> = records.drain(..).map(|record| (rng.random::<u64>(), record)).collect();
    keyed.sort_by_key(|(key, record)| (record.priority, record.weight != 0, *key));
    let mut rest: Vec<_> = keyed.into_iter().map(|(_, record)| record).collect();
    let mut ordered = Vec::with_capacity(rest.len());
    while let Some(priority) = rest.first().map(|record| record.priority) {
        let peers = || rest.iter().take_while(|record| record.priority == priority);
        let total: u64 = peers().map(|record| u64::from(record.weight)).sum();
        // Where none is without a weight, a 0 would only favour whoever comes first.
        let least = u64::from(peers().all(|record| record.weight > 0));
        let drawn = rng.random_range(least..=total);
        let mut sum = 0;
        let place = peers().position(|record| {
            sum += u64::from(record.weight);
            sum >= drawn
        });
        ordered.push(rest.remove(place.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn record(priority: u16, weight: u16, target: &str) -> SrvRecord {
        SrvRecord { priority, weight, port: 9443, target: target.into() }
    }

    /// How often each of these records is asked first.
    fn first(records: &[SrvRecord], draws: u64) -> Vec<usize> {
        let mut times = vec![0; records.len()];
        for seed in 0..draws {
            let ordered = in_order(records.to_vec(), &mut StdRng::seed_from_u64(seed));
            times[records.iter().position(|record| *record == ordered[0]).unwrap()] += 1;
        }
        times
    }

    #[test]
    fn lower_priorities_come_first() {
        let records = vec![record(20, 65535, "c"), record(10, 0, "b"), record(0, 1, "a")];
        for seed in 0..100 {
            let ordered = in_order(records.clone(), &mut StdRng::seed_from_u64(seed));
            let targets: Vec<_> = ordered.iter().map(|record| record.target.as_str()).collect();
            assert_eq!(targets, ["a", "b", "c"]);
        }
    }

    #[test]
    fn weights_are_chances() {
        let times = first(&[record(1, 1, "a"), record(1, 3, "b"), record(2, 100, "c")], 4000);
        assert!((900..1100).contains(&times[0]), "a quarter of 4000: {times:?}");
        assert_eq!(times[2], 0);
        // One of weight 0 is drawn by one number in 101.
        let times = first(&[record(1, 100, "a"), record(1, 0, "b")], 10_000);
        assert!((50..200).contains(&times[1]), "a hundredth of 10 000: {times:?}");
        // Where none has a weight, all are alike.
        let times = first(&[record(1, 0, "a"), record(1, 0, "b"), record(1, 0, "c")], 3000);
        assert!(times.iter().all(|times| (850..1150).contains(times)), "{times:?}");
    }

    proptest! {
        #[test]
        fn none_is_lost_and_priorities_never_fall(
            records in prop::collection::vec((0..4_u16, 0..4_u16, "[a-c]"), 0..12),
            seed in any::<u64>(),
        ) {
            let records: Vec<_> = records.iter().map(|(p, w, t)| record(*p, *w, t)).collect();
            let ordered = in_order(records.clone(), &mut StdRng::seed_from_u64(seed));
            prop_assert!(ordered.is_sorted_by_key(|record| record.priority));
            let sorted = |records: &[SrvRecord]| {
                let key = |r: &SrvRecord| (r.priority, r.weight, r.target.clone());
                let mut keys: Vec<_> = records.iter().map(key).collect();
                keys.sort();
                keys
            };
            prop_assert_eq!(sorted(&ordered), sorted(&records));
        }
    }
}
