#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Whom selectors mean among nodes that come, go, restart and change their tags, compared with an
//! algebra of sets that knows neither the selectors nor the snapshots.
//!
//! That a selector agrees with a plain reading of itself on fixed nodes is tested where it is; here
//! snapshots are, which are made anew with each change, and what is found in them.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::super::caller::id;
use super::super::seeds;
use crate::nodes::{NodeFacts, NodeInfo, Nodes, Selector, node, tag};

const TAGS: [&str; 4] = ["a", "b", "c", "two words"];
const NAMES: [&str; 3] = ["x", "y", "x-1"];
const HOSTS: [&str; 3] = ["", "@h1", "@h2"];

/// A node as this test knows it. Its number is its key: a restart under another one is another node.
#[derive(Clone, Debug)]
struct Known {
    name: usize,
    host: usize,
    tags: BTreeSet<usize>,
    connected: bool,
}

type Table = BTreeMap<usize, Known>;

fn name(known: &Known) -> String {
    format!("{}{}", NAMES[known.name], HOSTS[known.host])
}

fn anew(rng: &mut SmallRng) -> Known {
    let tags = (0..TAGS.len()).filter(|_| rng.random_range(0..2) == 0).collect();
    let (name, host) = (rng.random_range(0..NAMES.len()), rng.random_range(0..HOSTS.len()));
    Known { name, host, tags, connected: rng.random_range(0..4) > 0 }
}

fn changes(table: &mut Table, next: &mut usize, rng: &mut SmallRng) {
    let any = table.keys().nth(rng.random_range(0..=table.len())).copied();
    match (rng.random_range(0..5), any) {
        (1, Some(any)) => drop(table.remove(&any)),
        (2, Some(any)) => {
            // It restarts with another key, and perhaps other tags.
            let former = table.remove(&any).unwrap();
            let tags = anew(rng).tags;
            table.insert(*next, Known { tags, ..former });
            *next += 1;
        }
        (3, Some(any)) => table.get_mut(&any).unwrap().tags = anew(rng).tags,
        (4, Some(any)) => {
            let one = table.get_mut(&any).unwrap();
            one.connected = !one.connected;
        }
        _ => {
            table.insert(*next, anew(rng));
            *next += 1;
        }
    }
}

/// The snapshot of a table, from facts in any order.
fn snapshot(table: &Table, rng: &mut SmallRng) -> Nodes {
    let info = |(number, known): (&usize, &Known)| {
        let tags = known.tags.iter().map(|tag| TAGS[*tag].to_owned()).collect();
        let facts = NodeFacts::new(id(*number), name(known));
        NodeInfo::new(NodeFacts { tags, connected: known.connected, ..facts })
    };
    let mut infos: Vec<_> = table.iter().map(info).collect();
    for last in (1..infos.len()).rev() {
        infos.swap(last, rng.random_range(0..=last));
    }
    Nodes::new(infos)
}

/// A selector, and the set of those of the table that it means.
fn expression(depth: u32, table: &Table, rng: &mut SmallRng) -> (Selector, BTreeSet<usize>) {
    let of = |mean: &dyn Fn(&Known) -> bool| -> BTreeSet<usize> {
        table.iter().filter(|(_, known)| mean(known)).map(|(number, _)| *number).collect()
    };
    let leaf = depth == 0 || rng.random_range(0..5) == 0;
    match rng.random_range(0..if leaf { 4 } else { 3 }) {
        0 if leaf => {
            let one = rng.random_range(0..TAGS.len());
            (tag(TAGS[one]), of(&|known| known.tags.contains(&one)))
        }
        1 if leaf => {
            let one = rng.random_range(0..NAMES.len());
            (node(NAMES[one]), of(&|known| known.name == one))
        }
        2 if leaf => {
            let (one, host) = (rng.random_range(0..NAMES.len()), rng.random_range(1..HOSTS.len()));
            let full = format!("{}{}", NAMES[one], HOSTS[host]);
            (node(&full), of(&|known| (known.name, known.host) == (one, host)))
        }
        _ if leaf => (Selector::any(), table.keys().copied().collect()),
        0 => {
            let (selector, set) = expression(depth - 1, table, rng);
            (!selector, table.keys().copied().filter(|one| !set.contains(one)).collect())
        }
        joined => {
            let (left, these) = expression(depth - 1, table, rng);
            let (right, those) = expression(depth - 1, table, rng);
            match joined {
                1 => (left & right, &these & &those),
                _ => (left | right, &these | &those),
            }
        }
    }
}

fn found(nodes: impl Iterator<Item = NodeInfo>, table: &Table) -> BTreeSet<usize> {
    let ids: BTreeSet<_> = nodes.map(|one| one.id()).collect();
    table.keys().copied().filter(|number| ids.contains(&id(*number))).collect()
}

#[test]
fn selectors_mean_who_is_there_now() {
    seeds::each("scenarios::tables::selectors_mean_who_is_there_now", 50, |seed| {
        let mut rng = SmallRng::seed_from_u64(seed);
        let (mut table, mut next) = (Table::new(), 0);
        for step in 0..40 {
            changes(&mut table, &mut next, &mut rng);
            let nodes = snapshot(&table, &mut rng);
            if nodes.len() != table.len() {
                return Err(format!("step {step}: {} nodes of {}", nodes.len(), table.len()));
            }
            for _ in 0..4 {
                let (selector, meant) = expression(5, &table, &mut rng);
                let text = selector.to_string();
                let read: Selector = text.parse().map_err(|error| format!("{text}: {error}"))?;
                for one in [&selector, &read] {
                    let matching = found(nodes.matching(one), &table);
                    if matching != meant || nodes.matching(one).count() != meant.len() {
                        return Err(format!(
                            "step {step}: `{text}` means {matching:?} of {table:?}"
                        ));
                    }
                }
            }
            plain(&nodes, &table).map_err(|what| format!("step {step}: {what} of {table:?}"))?;
        }
        Ok(())
    });
}

/// What is found without selectors.
fn plain(nodes: &Nodes, table: &Table) -> Result<(), String> {
    let connected = table.iter().filter(|(_, known)| known.connected);
    if !found(nodes.connected(), table).iter().eq(connected.map(|(number, _)| number)) {
        return Err("other nodes are connected".into());
    }
    for (at, text) in TAGS.iter().enumerate() {
        let carry = table.iter().filter(|(_, known)| known.tags.contains(&at));
        if !found(nodes.with_tag(text), table).iter().eq(carry.map(|(number, _)| number)) {
            return Err(format!("others carry {text}"));
        }
    }
    for (number, known) in table {
        let by_name = nodes.by_name(&name(known)).map(|one| one.connected());
        let of_name = table.values().filter(|one| name(one) == name(known));
        if by_name != Some(of_name.fold(false, |any, one| any | one.connected)) {
            return Err(format!("{} is not the connected one", name(known)));
        }
        if nodes.get(id(*number)).map(|one| one.name().to_owned()) != Some(name(known)) {
            return Err(format!("{number} is not found"));
        }
    }
    Ok(())
}
