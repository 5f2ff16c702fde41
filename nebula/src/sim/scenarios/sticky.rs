#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Keys belong to servers, of which one goes and comes back.

use std::collections::{BTreeMap, BTreeSet};

use super::super::ask::{Plan, Way};
use super::super::cluster::Cluster;
use super::super::figures::at_most;
use super::super::seeds;
use super::super::server::Health;
use super::super::world::{MS, SECOND, Time};

const KEYS: u64 = 60;
const SERVERS: usize = 5;
/// It is passed over for 2.2 seconds at most, counted from its end; and then one call of each
/// caller must come by with one of its keys.
const RETURNS: Time = 4 * SECOND;

/// Who answered calls for each key that began in `[from, to)`.
fn owners(all: &Cluster, from: Time, to: Time) -> BTreeMap<u64, BTreeSet<usize>> {
    let mut owners: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    for ask in all.begun(from, to) {
        owners.entry(ask.key).or_default().extend(ask.told.and_then(|told| told.by));
    }
    owners
}

#[test]
fn a_key_moves_only_with_its_server() {
    let moved = seeds::each("scenarios::sticky::a_key_moves_only_with_its_server", 50, |seed| {
        let plan = Plan {
            servers: SERVERS,
            callers: 3,
            apart: 15 * MS,
            body: 2 * MS,
            places: 8,
            ..Plan::usual(Way::Keys(KEYS))
        };
        let mut all = Cluster::new(seed, plan);
        let gone = (seed % SERVERS as u64) as usize;
        all.run(SECOND)?;
        all.becomes(gone, Health::Down)?;
        all.run(SECOND)?;
        all.becomes(gone, Health::Fine)?;
        all.run(RETURNS + SECOND)?;
        all.finish()?;
        let before = owners(&all, 0, SECOND - 50 * MS);
        let during = owners(&all, SECOND, 2 * SECOND);
        let after = owners(&all, 2 * SECOND + RETURNS, Time::MAX);
        let only = |owners: &BTreeSet<usize>| owners.first().copied().filter(|_| owners.len() == 1);
        let mut moved = 0;
        for (key, was) in &before {
            let Some(was) = only(was) else { return Err(format!("key {key} is at {was:?}")) };
            moved += usize::from(was == gone);
            let stays = |now: &BTreeSet<usize>| match only(now) {
                Some(now) if was == gone => now != gone,
                now => now == Some(was),
            };
            if during.get(key).is_some_and(|now| !stays(now)) {
                return Err(format!("key {key} of {was} is at {during:?} while {gone} is gone"));
            }
            if after.get(key).is_some_and(|now| only(now) != Some(was)) {
                return Err(format!("key {key} of {was} is at {after:?} after {gone} is back"));
            }
        }
        if moved > at_most(before.len(), 1.0 / SERVERS as f64) {
            return Err(format!("{moved} of {} keys have moved", before.len()));
        }
        match all.succeeded(0, Time::MAX) {
            (ok, calls) if ok == calls => Ok((moved, before.len())),
            (ok, calls) => Err(format!("{ok} of {calls} calls succeeded")),
        }
    });
    let (moved, keys) = moved.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    println!("{moved} of {keys} keys moved with one of {SERVERS} servers");
}
