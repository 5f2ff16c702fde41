use proptest::prelude::*;

use super::*;

const LOST: Fate = [None, None];
const AT_ONCE: Fate = [Some(Duration::ZERO), None];

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 7000))
}

fn way(seed: u64) -> Way {
    Way::new(seed, addr(1), addr(2))
}

/// Any moment will do, and there is no other way to have one.
#[allow(clippy::disallowed_methods)]
fn moment() -> Instant {
    Instant::now()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What becomes of datagrams of 1000 bytes, sent one a millisecond.
fn fates(way: &mut Way, faults: &Faults, count: u64) -> Vec<Fate> {
    let start = moment();
    (0..count).map(|n| way.next(faults, 1000, start + ms(n))).collect()
}

fn lost(fates: &[Fate]) -> usize {
    fates.iter().filter(|fate| **fate == LOST).count()
}

/// The lengths of the runs of lost datagrams.
fn bursts(fates: &[Fate]) -> Vec<usize> {
    let runs = fates.split(|fate| *fate != LOST).map(<[Fate]>::len);
    runs.filter(|length| *length > 0).collect()
}

#[test]
fn without_faults_everything_arrives_once_and_at_once() {
    assert!(fates(&mut way(1), &Faults::none(), 1000).iter().all(|fate| *fate == AT_ONCE));
}

#[test]
fn losses_come_alone_and_have_their_share() {
    let fates = fates(&mut way(1), &Faults::none().loss(0.1), 100_000);
    assert!((9_500..10_500).contains(&lost(&fates)), "{}", lost(&fates));
    let bursts = bursts(&fates);
    let mean = lost(&fates) as f64 / bursts.len() as f64;
    // Of independent losses, 1 / (1 - 0.1).
    assert!((1.07..1.15).contains(&mean), "{mean}");
}

#[test]
fn bursts_have_their_share_and_their_length() {
    for (share, length) in [(0.08, 10.0), (0.12, 25.0), (0.01, 3.0), (0.5, 40.0)] {
        let fates = fates(&mut way(3), &Faults::none().burst_loss(share, length), 200_000);
        let found = lost(&fates) as f64 / fates.len() as f64;
        let bursts = bursts(&fates);
        let mean = lost(&fates) as f64 / bursts.len() as f64;
        assert!((found / share - 1.0).abs() < 0.1, "{share}: {found}");
        assert!((mean / length - 1.0).abs() < 0.1, "{length}: {mean}");
        // They end at random: some are thrice as long as the mean, and none endless.
        let longest = *bursts.iter().max().unwrap() as f64;
        assert!((3.0 * length..30.0 * length).contains(&longest), "{length}: {longest}");
    }
}

#[test]
fn a_share_that_needs_longer_bursts_has_them() {
    let fates = fates(&mut way(1), &Faults::none().burst_loss(0.9, 2.0), 100_000);
    assert!((89_000..91_000).contains(&lost(&fates)), "{}", lost(&fates));
    let mean = lost(&fates) as f64 / bursts(&fates).len() as f64;
    assert!((8.0..10.0).contains(&mean), "{mean}");
}

#[test]
fn a_burst_ends_when_the_fault_is_taken_back() {
    let mut way = way(1);
    assert_eq!(lost(&fates(&mut way, &Faults::none().burst_loss(1.0, 1.0), 10)), 10);
    assert_eq!(lost(&fates(&mut way, &Faults::none(), 1)), 0);
    // And does not go on where it was when another begins.
    assert_eq!(lost(&fates(&mut way, &Faults::none().burst_loss(1e-9, 1e9), 100)), 0);
}

#[test]
fn all_and_nothing_are_exact() {
    for all in [Faults::none().loss(1.0), Faults::none().burst_loss(1.0, 5.0)] {
        assert!(all.is_total());
        assert_eq!(lost(&fates(&mut way(1), &all, 10_000)), 10_000);
    }
    for none in [Faults::none().loss(f64::NAN), Faults::none().burst_loss(-1.0, f64::NAN)] {
        assert!(!none.is_total());
        assert_eq!(none, Faults { burst: none.burst, ..Faults::none() });
        assert_eq!(lost(&fates(&mut way(1), &none, 10_000)), 0);
    }
    let twice = fates(&mut way(1), &Faults::none().duplicate(7.0), 100);
    assert!(twice.iter().all(|fate| *fate == [Some(Duration::ZERO); 2]));
}

#[test]
fn delay_jitter_and_what_is_held_back_add_up() {
    let faults = Faults::none().delay(ms(50)).jitter(ms(10)).reorder(0.25, ms(100));
    let fates = fates(&mut way(1), &faults, 10_000);
    let times: Vec<Duration> = fates.iter().map(|fate| fate[0].unwrap()).collect();
    let (early, held): (Vec<_>, Vec<_>) = times.into_iter().partition(|time| *time < ms(100));
    assert!(early.iter().all(|time| (ms(50)..ms(60)).contains(time)));
    assert!(held.iter().all(|time| (ms(150)..ms(160)).contains(time)));
    assert!((2_300..2_700).contains(&held.len()), "{}", held.len());
    let mean = early.iter().sum::<Duration>() / early.len() as u32;
    assert!((ms(54)..ms(56)).contains(&mean), "{mean:?}");
}

#[test]
fn copies_have_their_share_and_a_jitter_of_their_own() {
    let fates = fates(&mut way(1), &Faults::none().duplicate(0.2).jitter(ms(10)), 10_000);
    let twice: Vec<_> = fates.iter().filter(|fate| fate[1].is_some()).collect();
    assert!((1_850..2_150).contains(&twice.len()), "{}", twice.len());
    assert!(twice.iter().all(|fate| fate[0] != fate[1]));
    assert!(fates.iter().all(|fate| fate[0].is_some()));
}

#[test]
fn outages_have_their_share_of_the_time_and_their_length() {
    // One datagram in 10 ms, and one in 100 ms: the same outages.
    for every in [10, 100_u64] {
        let faults = Faults::none().outages(0.08, ms(400));
        let (mut way, start) = (way(3), moment());
        let count = 4_000_000 / every;
        let send = |n| way.next(&faults, 1000, start + ms(n * every));
        let fates: Vec<Fate> = (0..count).map(send).collect();
        let share = lost(&fates) as f64 / fates.len() as f64;
        let outages = bursts(&fates);
        let mean = lost(&fates) as f64 * every as f64 / outages.len() as f64;
        assert!((0.07..0.09).contains(&share), "{share}");
        assert!((350.0..450.0).contains(&mean), "{mean}");
    }
}

#[test]
fn outages_go_by_the_clock_and_not_by_what_is_sent() {
    let faults = Faults::none().outages(0.5, ms(1000));
    let start = moment();
    let (mut busy, mut calm) = (way(5), way(5));
    let often = (0..60_000).map(|n| busy.next(&faults, 1000, start + ms(10 * n)));
    let often: Vec<Fate> = often.step_by(50).collect();
    let seldom = (0..1200).map(|n| calm.next(&faults, 1000, start + ms(500 * n)));
    assert_eq!(often, seldom.collect::<Vec<_>>());
    assert!((400..800).contains(&lost(&often)));
}

#[test]
fn no_outage_is_followed_for_ever() {
    let (mut way, start) = (way(1), moment());
    let tiny = Faults::none().outages(0.5, Duration::from_nanos(1));
    way.next(&tiny, 1, start);
    // 32 million million of them, if they were counted.
    way.next(&tiny, 1, start + Duration::from_secs(1 << 15));
    let endless = Faults::none().outages(0.5, Duration::MAX);
    way.next(&endless, 1, start + Duration::from_secs(1 << 16));
    let none = Faults::none().outages(0.5, Duration::ZERO).outages(f64::NAN, ms(1));
    assert_eq!((none, none.is_total()), (Faults::none(), false));
    let all = Faults::none().outages(1.0, ms(1));
    assert!(all.is_total());
    assert_eq!(lost(&fates(&mut way, &all, 100)), 100);
}

#[test]
fn a_narrow_way_spaces_datagrams_and_loses_what_would_wait_too_long() {
    let faults = Faults::none().bandwidth(10_000).delay(ms(5));
    let (mut way, now) = (way(1), moment());
    // Each takes 100 ms; those that would wait for more than five before them are lost.
    let together: Vec<Fate> = (0..10).map(|_| way.next(&faults, 1000, now)).collect();
    let through = (1..=6).map(|n| [Some(ms(100 * n + 5)), None]);
    assert_eq!(together, through.chain([LOST; 4]).collect::<Vec<_>>());
    // After 150 ms there is room for one more, behind those on their way.
    assert_eq!(way.next(&faults, 1000, now + ms(150)), [Some(ms(555)), None]);
    // An idle way takes a datagram however long it is.
    assert_eq!(way.next(&faults, 20_000, now + ms(10_000)), [Some(ms(2005)), None]);
    assert_eq!(way.next(&Faults::none(), 1000, now + ms(10_000)), AT_ONCE);
}

#[test]
fn each_direction_has_dice_of_its_own() {
    let faults = Faults::none().loss(0.5);
    let of = |mut way: Way| fates(&mut way, &faults, 200);
    assert_eq!(of(Way::new(7, addr(1), addr(2))), of(Way::new(7, addr(1), addr(2))));
    assert_ne!(of(Way::new(7, addr(1), addr(2))), of(Way::new(7, addr(2), addr(1))));
    assert_ne!(of(Way::new(7, addr(1), addr(2))), of(Way::new(7, addr(1), addr(3))));
    assert_ne!(of(Way::new(7, addr(1), addr(2))), of(Way::new(8, addr(1), addr(2))));
}

fn faults() -> impl Strategy<Value = Faults> {
    let share = || -0.5..1.5;
    let time = || (0u64..5_000_000).prop_map(Duration::from_micros);
    let shares = (share(), share(), 0.0..50.0, share(), share());
    (shares, time(), time(), time(), 0u64..1_000_000).prop_map(
        |((loss, burst, length, twice, held), delay, jitter, by, bandwidth)| {
            let faults = Faults::none().loss(loss).burst_loss(burst, length).duplicate(twice);
            faults.reorder(held, by).delay(delay).jitter(jitter).bandwidth(bandwidth)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever came before, a datagram fares by its number and the faults of its moment.
    #[test]
    fn no_fault_moves_the_dice_of_another(
        seed: u64,
        before in prop::collection::vec(faults(), 0..20),
        loss in 0.0..1.0,
    ) {
        let (mut hurt, mut calm, now) = (way(seed), way(seed), moment());
        for faults in &before {
            hurt.next(faults, 1000, now);
            calm.next(&Faults::none(), 1000, now);
        }
        let faults = Faults::none().loss(loss).jitter(ms(10)).duplicate(loss);
        prop_assert_eq!(hurt.next(&faults, 1000, now), calm.next(&faults, 1000, now));
    }

    /// Nothing arrives before its delay, or after all that can hold it up.
    #[test]
    fn arrivals_are_in_bounds(seed: u64, faults in faults(), sizes in prop::collection::vec(0usize..2000, 1..50)) {
        let (mut way, now) = (way(seed), moment());
        for bytes in sizes {
            let fate = way.next(&faults, bytes, now);
            prop_assert!(fate[0].is_some() || fate[1].is_none());
            let passing = match faults.bandwidth {
                0 => Duration::ZERO,
                rate => LONGEST_WAIT + Duration::from_secs_f64(bytes as f64 / rate as f64),
            };
            let most = faults.delay + faults.jitter + faults.reorder.1 + passing + ms(1);
            for time in fate.into_iter().flatten() {
                prop_assert!(time >= faults.delay && time <= most, "{:?} of {:?}", time, most);
            }
        }
    }
}
