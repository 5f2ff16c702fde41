//! The figures of membership against what is promised of them.
//!
//! The tests that run with every change take few seeds, and hold the figures to their targets.
//! `the_table` and `the_large_table` print what `docs/reliability.md` quotes.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::super::link::{Bursts, Conditions};
use super::super::seeds;
use super::super::world::{MS, SECOND};
use super::figures::Figures;
use super::measure::{Detection, End, Quiet, ends, nobody_ends, partition, restart};

fn bursts(of_nodes: bool) -> Conditions {
    let bursts = Some(Bursts { share: 250, longest: SECOND, of_nodes });
    Conditions { bursts, ..Conditions::good() }
}

fn detection(count: usize, loss: u32, end: End, seeds: u64, times: usize) -> Detection {
    let mut all = Detection::default();
    for seed in 0..seeds {
        match ends(count, seed, &Conditions::lossy(loss), end, times) {
            Ok(found) => all.extend(found),
            Err(reason) => panic!("N {count}, loss {loss}, {end:?}, seed {seed}: {reason}"),
        }
    }
    all
}

fn print_detection(count: usize, loss: u32, seeds: u64, times: usize) {
    let found = detection(count, loss, End::Crash, seeds, times);
    println!(
        "| {count} | {} % | {} | {:.1} | {} | {} | {} |",
        loss / 10,
        found.declared.count(),
        found.suspected.mean(),
        found.declared.row(),
        found.everywhere.row(),
        found.false_deaths,
    );
}

fn print_quiet(what: &str, count: usize, conditions: &Conditions, periods: u64, seeds: u64) {
    let mut all = Quiet::default();
    for seed in 0..seeds {
        all.add(&nobody_ends(count, seed, conditions, periods, None).unwrap());
    }
    let (packets, bytes) = all.load();
    println!(
        "| {count} | {what} | {} | {} | {} | {packets:.2} | {bytes:.0} |",
        all.node_periods, all.false_deaths, all.renewals,
    );
}

fn print_slow(count: usize, loss: u32, pauses: (u64, u64), periods: u64, seeds: u64) {
    let mut all = Quiet::default();
    for seed in 0..seeds {
        let pauses = Some((pauses.0 * MS, pauses.1 * MS));
        all.add(&nobody_ends(count, seed, &Conditions::lossy(loss), periods, pauses).unwrap());
    }
    println!(
        "| {count} | {} % | {} to {} s | {} | {} | {} | {} |",
        loss / 10,
        pauses.0 as f64 / 1000.0,
        pauses.1 as f64 / 1000.0,
        all.node_periods,
        all.false_deaths,
        all.renewals,
        all.slow_deaths,
    );
}

fn print_all_slow(scale: u64) {
    println!(
        "\n| N | loss | 1 in 10 pauses | node-periods | false deaths | renamed | deaths of the slow |"
    );
    println!("|---|---|---|---|---|---|---|");
    for pauses in [(500, 3500), (3500, 12_000), (5_000, 60_000)] {
        print_slow(10, 0, pauses, 100 * scale, 10);
        print_slow(100, 0, pauses, 100 * scale, 1);
        print_slow(10, 100, pauses, 100 * scale, 10);
        print_slow(100, 100, pauses, 100 * scale, 1);
    }
}

#[test]
#[ignore = "prints figures, for a minute"]
fn slow_members() {
    print_all_slow(seeds::number("SIM_SEEDS").unwrap_or(10));
}

fn print_times(what: &str, count: usize, runs: impl Iterator<Item = Result<u64, String>>) {
    let mut times = Figures::default();
    runs.for_each(|time| times.add(time.unwrap()));
    println!("| {what} | {count} | {} | {} |", times.count(), times.row());
}

fn print_leaves(count: usize, loss: u32, seeds: u64) {
    let found = detection(count, loss, End::Leave, seeds, 10);
    let what = format!("goodbye, {} % loss, known everywhere", loss / 10);
    println!("| {what} | {count} | {} | {} |", found.declared.count(), found.everywhere.row());
}

/// Rows 1 and 2: a crash is known everywhere after 10 T of 10 nodes and 16 T of 100, and after
/// half as much again at 10 % loss. In the usual run there are too few crashes for a percentile, so
/// all of them are held to half as much again.
#[test]
fn crashes_are_found_in_time_and_nobody_else_is_taken_for_dead() {
    for (count, loss, bound, times) in
        [(10, 0, 15.0, 10), (10, 100, 15.0, 10), (100, 0, 24.0, 1), (100, 100, 24.0, 1)]
    {
        let found = detection(count, loss, End::Crash, 1, times);
        assert!(found.everywhere.max() <= bound, "N {count}, loss {loss}: {found:?}");
        assert!(found.suspected.mean() <= 4.0, "N {count}, loss {loss}: {found:?}");
        assert_eq!(found.false_deaths, 0, "N {count}, loss {loss}: {found:?}");
    }
}

/// Rows 3, 4 and 8: with 10 % loss, in bursts, and beside members that stand still, nobody who
/// lives is taken for dead, or takes a new name; and a node says little.
#[test]
fn who_lives_is_not_taken_for_dead() {
    for conditions in [Conditions::good(), Conditions::lossy(100), bursts(false)] {
        let quiet = nobody_ends(10, 1, &conditions, 200, None).unwrap();
        assert_eq!((quiet.false_deaths, quiet.renewals), (0, 0), "{conditions:?}: {quiet:?}");
    }
    let (packets, bytes) = nobody_ends(20, 1, &Conditions::good(), 60, None).unwrap().load();
    assert!(packets < 3.5 && bytes < 1200.0, "{packets} packets of {bytes} bytes");
    for pauses in [(500 * MS, 3500 * MS), (5 * SECOND, 30 * SECOND)] {
        let slow = nobody_ends(20, 2, &Conditions::good(), 100, Some(pauses)).unwrap();
        assert_eq!((slow.false_deaths, slow.renewals), (0, 0), "{slow:?}");
    }
}

/// Row 5: a goodbye is known everywhere within 2 T.
#[test]
fn goodbyes_are_known_at_once() {
    for loss in [0, 100] {
        let found = detection(10, loss, End::Leave, 1, 10);
        assert!(found.everywhere.max() <= 2.0, "loss {loss}: {found:?}");
    }
}

/// Rows 6 and 7: a restart is known within 3 T; halves of a cluster are whole 30 T after the cut
/// between them is mended.
#[test]
fn restarts_and_partitions_heal_in_time() {
    seeds::each("membership::targets::restarts_and_partitions_heal_in_time", 4, |seed| {
        let pause = [0, 2 * SECOND, 30 * SECOND][(seed % 3) as usize];
        let taken = restart(10, seed, &Conditions::good(), pause)?;
        if taken > 3 * SECOND {
            return Err(format!("a restart after {pause} us took {taken} us"));
        }
        let taken = partition(10, seed, 100)?;
        if taken > 30 * SECOND {
            return Err(format!("whole again only after {taken} us"));
        }
        Ok(())
    });
}

#[test]
#[ignore = "prints figures, for a minute"]
fn what_is_said() {
    let count = seeds::number("SIM_NODES").unwrap_or(100) as usize;
    let periods = seeds::number("SIM_PERIODS").unwrap_or(100);
    let quiet = nobody_ends(count, 0, &Conditions::good(), periods, None).unwrap();
    println!("\n| N | for | packets | bytes |");
    println!("|---|---|---|---|");
    for (purpose, (packets, bytes)) in &quiet.purposes {
        let each = |sum: u64| sum as f64 / quiet.node_periods as f64;
        println!("| {count} | {purpose} | {:.3} | {:.1} |", each(*packets), each(*bytes));
    }
}

#[test]
#[ignore = "prints figures, for minutes: see `just nightly-sim`"]
fn the_table() {
    let scale = seeds::number("SIM_SEEDS").unwrap_or(10);
    println!("\n| N | loss | crashes | first suspicion, mean | declared | everywhere | false |");
    println!("|---|---|---|---|---|---|---|");
    print_detection(10, 0, 10 * scale, 10);
    print_detection(10, 100, 10 * scale, 10);
    print_detection(100, 0, 3 * scale, 10);
    print_detection(100, 100, 3 * scale, 10);
    println!("\n| N | network | node-periods | false deaths | renamed | packets | bytes |");
    println!("|---|---|---|---|---|---|---|");
    print_quiet("no loss", 10, &Conditions::good(), 2000, 1);
    print_quiet("no loss", 100, &Conditions::good(), 100 * scale, 1);
    print_quiet("5 % loss", 100, &Conditions::lossy(50), 100 * scale, 1);
    print_quiet("10 % loss", 10, &Conditions::lossy(100), 1000 * scale, 10);
    print_quiet("10 % loss", 100, &Conditions::lossy(100), 100 * scale, 10);
    print_quiet("bursts, paths", 100, &bursts(false), 100 * scale, 1);
    print_quiet("bursts, nodes", 100, &bursts(true), 100 * scale, 1);
    print_all_slow(scale);
    println!("\n| event | N | runs | p50 / p99 / max |");
    println!("|---|---|---|---|");
    print_leaves(10, 0, scale);
    print_leaves(100, 0, scale);
    print_leaves(100, 100, scale);
    for (count, seeds) in [(10, 10 * scale), (100, scale)] {
        let good = Conditions::good();
        for after in [0, 2 * SECOND, 60 * SECOND] {
            let runs = (0..seeds).map(|seed| restart(count, seed, &good, after));
            print_times(&format!("restart after {} s", after / SECOND), count, runs);
        }
        let runs = (0..seeds).map(|seed| partition(count, seed, 100));
        print_times("100 T in halves, then whole", count, runs);
    }
}

#[test]
#[ignore = "prints figures, for long: see `just nightly-sim`"]
fn the_large_table() {
    let scale = seeds::number("SIM_SEEDS").unwrap_or(3);
    print_detection(1000, 0, scale, 10);
    print_detection(1000, 100, scale, 10);
    print_quiet("no loss", 1000, &Conditions::good(), 100, 1);
    print_quiet("10 % loss", 1000, &Conditions::lossy(100), 300 * scale, 1);
    print_leaves(1000, 0, 1);
    let good = Conditions::good();
    print_times(
        "restart after 2 s",
        1000,
        (0..2).map(|seed| restart(1000, seed, &good, 2 * SECOND)),
    );
    print_times("100 T in halves, then whole", 1000, (0..2).map(|seed| partition(1000, seed, 100)));
}
