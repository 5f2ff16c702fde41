use super::*;

/// How long after the harm is over everything must be right: the news of who is alive, the time
/// that absent nodes are kept for, once more by a node that has just started, and some rounds.
const HEALED: Time = NEWS.1 + 75 * SECOND;
/// Rounds until all have the newest record of each node that runs, once they know who does.
const ROUNDS: Time = 10;

/// What the seed says happens to 3 to 9 replicas.
fn hurt(seed: u64, trace: Trace) -> Result<Directory, String> {
    let count = 3 + (seed % 7) as usize;
    let mut all = Directory::new(count, seed, Conditions::good(), trace);
    all.run(15 * SECOND)?;
    for _ in 0..60 {
        let rng = &mut all.world.rng;
        let (what, one, other) =
            (rng.random_range(0..12), rng.random_range(0..count), rng.random_range(0..count));
        match what {
            0 if all.nodes[one].up => all.stop(one),
            1 if all.nodes[one].up => all.leave(one),
            0..=2 if !all.nodes[one].up => restart(&mut all, one),
            3 => {
                all.network.cut(one, other);
                all.network.cut(other, one);
                all.tell(one, other);
                all.tell(other, one);
            }
            4 => {
                all.network.mend();
                tell_all(&mut all);
            }
            5 => all.network.conditions = Conditions::bad(),
            6 => all.network.conditions = Conditions::lossy(250),
            7 => all.forge(one, other, (one + 1) % count),
            _ if all.nodes[one].up => all.update(one, |record| record.name.push('+')),
            _ => {}
        }
        let time = all.world.rng.random_range(10..=6_000) * MS;
        all.run(time)?;
    }
    Ok(all)
}

/// One start in four has its clock set back.
fn restart(all: &mut Directory, index: usize) {
    let life = all.nodes[index].life + 1;
    let back = if chance(&mut all.world.rng, 250) { 1500 } else { 0 };
    all.start(index, 1000 * life - back);
}

fn tell_all(all: &mut Directory) {
    let count = all.nodes.len();
    for (one, other) in (0..count).flat_map(|a| (0..count).map(move |b| (a, b))) {
        all.tell(one, other);
    }
}

/// Takes all harm away, and lets everybody learn who is alive. Who has stopped stays away.
fn mend(all: &mut Directory) -> Result<(), String> {
    all.network.mend();
    all.network.conditions = Conditions::good();
    while all.nodes.iter().filter(|node| node.up).count() < 2 {
        let index = all.nodes.iter().position(|node| !node.up).unwrap();
        restart(all, index);
    }
    tell_all(all);
    all.run(NEWS.1)
}

/// Each replica has the newest record of each node that runs.
fn current(all: &Directory) -> bool {
    let running = || all.nodes.iter().filter(|node| node.up);
    running()
        .all(|node| running().all(|other| node.replica.get(&other.key.id()) == Some(&other.own)))
}

/// Besides, it has nothing else.
fn equal(all: &Directory) -> bool {
    let running = || all.nodes.iter().filter(|node| node.up);
    let first = running().next().unwrap().replica.summary();
    current(all)
        && running()
            .all(|node| node.replica.summary() == first && node.replica.len() == running().count())
}

fn heal(all: &mut Directory) -> Result<(Time, Time), String> {
    let start = all.world.now();
    mend(all)?;
    let knows = all.world.now();
    while !current(all) {
        if all.world.now() > knows + ROUNDS * SECOND {
            return Err(format!("not all replicas are current {ROUNDS} rounds later"));
        }
        all.run(SECOND / 4)?;
    }
    let rounds = (all.world.now() - knows).div_ceil(SECOND);
    while !equal(all) {
        if all.world.now() > start + HEALED {
            return Err(format!("records of the dead are still there {} s later", HEALED / SECOND));
        }
        all.run(SECOND)?;
    }
    Ok((rounds, (all.world.now() - start) / SECOND))
}

#[test]
fn replicas_become_equal_and_nothing_forged_gets_in() {
    let (mut runs, mut worst) = (0_u64, (0, 0));
    let (mut forged, mut refused) = (0, 0);
    let figures = std::cell::RefCell::new((&mut runs, &mut worst, &mut forged, &mut refused));
    seeds::each("directory", 30, |seed| {
        let mut all = hurt(seed, Trace::default())?;
        let (rounds, time) = heal(&mut all)?;
        let (runs, worst, forged, refused) = &mut *figures.borrow_mut();
        **runs += 1;
        **worst = (worst.0.max(rounds), worst.1.max(time));
        **forged += all.forged;
        **refused += all.refused;
        Ok(())
    });
    println!("{runs} seeds: current {} rounds after membership was, at the latest;", worst.0);
    println!("equal {} s after the harm ended; {forged} forged, {refused} refused", worst.1);
    assert!(runs < 30 || refused > 0, "no forged record ever arrived");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let trace = |seed| {
        let mut all = hurt(seed, Trace::kept()).unwrap();
        heal(&mut all).unwrap();
        all.world.trace.text().to_owned()
    };
    let first = trace(3);
    assert!(first.lines().count() > 100, "{}", first.lines().count());
    assert!(first == trace(3), "the same seed went two ways");
    assert!(first != trace(10), "two seeds went the same way");
}
