use bytes::Bytes;

use super::belief::Word;
use super::*;
use crate::identity::NodeId;

const SECOND: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "any point in time will do")]
fn start() -> Instant {
    Instant::now()
}

fn member(number: u8) -> Member {
    let addr = ([127, 0, 0, 1], u16::from(number)).into();
    Member { id: NodeId::from_bytes([number; 32]), addr, generation: 1 }
}

fn machine(number: u8) -> Machine {
    Machine::new(member(number), u64::from(number), 100)
}

/// Gives it the input, if any, and lets time pass until `end`: what it says, and to whom.
fn run(
    machine: &mut Machine,
    input: Option<MembershipInput>,
    now: Instant,
    end: Instant,
) -> Vec<MembershipNews> {
    let mut all = Vec::new();
    if let Some(input) = input {
        machine.take(input, now, &mut |news| all.push(news));
        machine.flush(now, &mut |news| all.push(news));
    }
    while let Some(due) = machine.due().filter(|due| *due <= end) {
        machine.fire(due);
        machine.flush(due, &mut |news| all.push(news));
    }
    all
}

fn packets_to(news: &[MembershipNews], to: u8) -> Vec<Bytes> {
    let to = NodeId::from_bytes([to; 32]);
    let packets = news.iter().filter_map(|news| match news {
        MembershipNews::Send { to: peer, packet } if peer.id == to => Some(packet.clone()),
        _ => None,
    });
    packets.collect()
}

/// A node learns that it was declared dead, and nothing that it says at first arrives: it does not
/// fall silent.
#[test]
fn who_was_declared_dead_goes_on_under_a_new_name_though_nobody_hears_of_it_at_first() {
    let (now, mut one, mut two) = (start(), machine(1), machine(2));
    run(&mut one, Some(MembershipInput::Alive(member(2))), now, now);
    run(&mut two, Some(MembershipInput::Alive(member(1))), now, now);
    run(&mut two, Some(MembershipInput::Left(member(1))), now, now);
    // What it says to `two` tells it, in the answer, that it is dead there.
    let told = run(&mut one, None, now, now + 2 * SECOND);
    let ping = packets_to(&told, 2).pop().unwrap();
    let now = now + 2 * SECOND;
    let answer = run(&mut two, Some(MembershipInput::Datagram(ping)), now, now);
    let answer = packets_to(&answer, 1).pop().unwrap();
    let lost = run(&mut one, Some(MembershipInput::Datagram(answer)), now, now);
    assert!(
        lost.iter().any(|news| matches!(news, MembershipNews::Renewed(me) if me.generation == 2))
    );
    let later = run(&mut one, None, now, now + 2 * SECOND);
    let ping = packets_to(&later, 2).pop().expect("it probes whom it knows");
    let now = now + 2 * SECOND;
    let back = run(&mut two, Some(MembershipInput::Datagram(ping)), now, now);
    let up = |news: &MembershipNews| matches!(news, MembershipNews::Up(one) if one.generation == 2);
    assert!(back.iter().any(up));
}

/// A machine that suspects node 2, by probes of its own that nobody answered, and when.
fn suspicious() -> (Machine, Instant, Member) {
    let (mut now, mut one) = (start(), machine(1));
    run(&mut one, Some(MembershipInput::Alive(member(2))), now, now);
    while one.accused.is_empty() {
        now += SECOND;
        run(&mut one, None, now, now);
    }
    (one, now, member(2))
}

/// What node 2 says, in that incarnation of the same life.
fn word_of(two: &mut Machine, now: Instant) -> Bytes {
    let told = run(two, None, now, now + 2 * SECOND);
    packets_to(&told, 1).pop().unwrap()
}

/// A suspicion that was refuted runs out without a word: its subject would else believe that it
/// was declared dead, and take a new name.
#[test]
fn who_refuted_a_suspicion_is_not_told_that_it_is_dead() {
    let (mut one, now, _) = suspicious();
    let mut two = machine(2);
    run(&mut two, Some(MembershipInput::Alive(member(1))), now, now);
    // It hears of the suspicion with the next probe, and refutes it with whatever it says.
    let probe = packets_to(&run(&mut one, None, now, now + SECOND), 2).pop().unwrap();
    let now = now + SECOND;
    run(&mut two, Some(MembershipInput::Datagram(probe)), now, now);
    let refutation = word_of(&mut two, now);
    let heard = run(&mut one, Some(MembershipInput::Datagram(refutation)), now, now);
    assert!(!heard.iter().any(|news| matches!(news, MembershipNews::Down(_))));
    // Its probes are answered from here on, and what it says meanwhile names no new life.
    let (mut now, end) = (now, now + 20 * SECOND);
    while now < end {
        let until = now + SECOND / 10;
        let mut news = run(&mut one, None, now, until);
        while !news.is_empty() {
            let mut answers = Vec::new();
            for packet in packets_to(&news, 2) {
                answers.extend(run(
                    &mut two,
                    Some(MembershipInput::Datagram(packet)),
                    until,
                    until,
                ));
            }
            assert!(!answers.iter().any(|news| matches!(news, MembershipNews::Renewed(_))));
            news.clear();
            for packet in packets_to(&answers, 1) {
                news.extend(run(&mut one, Some(MembershipInput::Datagram(packet)), until, until));
            }
        }
        now = until;
    }
}

/// A process that was stopped finds its suspicions overdue, and reads what came before it judges.
#[test]
fn a_pause_of_our_own_is_not_held_against_others() {
    let (mut one, now, two) = suspicious();
    let mut news = Vec::new();
    let resumed = now + 30 * SECOND;
    for moment in [resumed, resumed + SECOND] {
        one.fire(moment);
        one.flush(moment, &mut |item| news.push(item));
    }
    assert!(!news.iter().any(|news| matches!(news, MembershipNews::Down(_))));
    // But the suspicion goes on.
    let news = run(&mut one, None, resumed, resumed + 10 * SECOND);
    assert!(news.iter().any(|news| asks_for(news, &two)));
}

fn asks_for(news: &MembershipNews, member: &Member) -> bool {
    matches!(news, MembershipNews::Doubt { said, dead: true, from: None, .. } if said == member)
}

/// The silence of probes alone makes nobody dead: who answers when asked stays, and is asked again
/// for as long as the probes are silent.
#[test]
fn a_suspect_is_asked_before_it_is_declared_dead() {
    let (mut one, mut now, two) = suspicious();
    let down = |news: &[MembershipNews]| {
        news.iter().any(|news| matches!(news, MembershipNews::Down(member) if *member == two))
    };
    for answers in [true, true, false] {
        let mut asked = false;
        while !asked {
            now += SECOND;
            let news = run(&mut one, None, now, now);
            assert!(!down(&news));
            asked = news.iter().any(|news| asks_for(news, &two));
        }
        let settled = MembershipInput::Settled(two, !answers);
        assert_eq!(down(&run(&mut one, Some(settled), now, now)), !answers);
    }
}

/// Nodes that are down are looked for, each in its turn: nobody may be left who would tell that
/// one of them is not. Not so a node that said goodbye.
#[test]
fn who_is_down_is_looked_for() {
    let (now, mut one) = (start(), machine(1));
    for peer in [2, 3, 4, 5] {
        run(&mut one, Some(MembershipInput::Alive(member(peer))), now, now);
    }
    let deaths = [3, 4].map(|peer| foca::Member::down(member(peer)));
    let table = postcard::to_allocvec(deaths.as_slice()).unwrap();
    run(&mut one, Some(MembershipInput::Table(member(3).id, table.into())), now, now);
    for peer in [3, 4] {
        run(&mut one, Some(MembershipInput::Settled(member(peer), true)), now, now);
    }
    run(&mut one, Some(MembershipInput::Left(member(5))), now, now);
    let mut sought = std::collections::BTreeSet::new();
    for second in 1..=100_u32 {
        // Somebody it knows says hello, so that it is not alone.
        let alive = MembershipInput::Alive(Member { generation: second.into(), ..member(2) });
        let moment = now + second * SECOND;
        for news in run(&mut one, Some(alive), moment, moment) {
            if let MembershipNews::Seek(member) = news {
                sought.insert(member.addr.port());
            }
        }
    }
    assert_eq!(sought.into_iter().collect::<Vec<_>>(), [3, 4]);
}

/// A node is asked about two things at once: whether it is alive, by this node, and whether it has
/// a later life, as somebody else says. That it does not answer says nothing of the other.
#[test]
fn what_is_found_out_about_one_doubt_settles_no_other() {
    let (mut one, mut now, two) = suspicious();
    run(&mut one, Some(MembershipInput::Alive(member(3))), now, now);
    let mut asked = false;
    while !asked {
        now += SECOND / 10;
        asked = run(&mut one, None, now, now).iter().any(|news| asks_for(news, &two));
    }
    let invented = Member { generation: 1_000_000, ..two };
    let table = postcard::to_allocvec([foca::Member::alive(invented)].as_slice()).unwrap();
    let told = run(&mut one, Some(MembershipInput::Table(member(3).id, table.into())), now, now);
    let doubted = |news: &MembershipNews| matches!(news, MembershipNews::Doubt { said, dead: false, .. } if *said == invented);
    assert!(told.iter().any(doubted));
    // It does not answer, so it is dead; its record has not come yet.
    let settled = MembershipInput::Settled(two, true);
    let news = run(&mut one, Some(settled), now, now);
    assert!(news.iter().any(|news| matches!(news, MembershipNews::Down(down) if *down == two)));
    let up = |news: &MembershipNews| matches!(news, MembershipNews::Up(up) if *up == invented);
    assert!(!news.iter().any(up), "an invented life is believed unseen");
}

/// What a member table says of others is the word of the member that it comes from: only its own
/// suspicions are known to this node as its own.
#[test]
fn a_doubt_says_who_told() {
    let (now, mut one) = (start(), machine(1));
    for peer in [2, 3] {
        run(&mut one, Some(MembershipInput::Alive(member(peer))), now, now);
    }
    let table = postcard::to_allocvec([foca::Member::down(member(2))].as_slice()).unwrap();
    let input = MembershipInput::Table(member(3).id, table.into());
    let mut doubts = run(&mut one, Some(input), now, now);
    doubts.retain(|news| matches!(news, MembershipNews::Doubt { .. }));
    let [MembershipNews::Doubt { said, dead: true, from, .. }] = &doubts[..] else {
        panic!("{doubts:?}");
    };
    assert_eq!((*said, *from), (member(2), Some(member(3).id)));
    // Nobody speaks for itself by a table.
    let later = Member { generation: 7, ..member(3) };
    let table = postcard::to_allocvec([foca::Member::alive(later)].as_slice()).unwrap();
    let input = MembershipInput::Table(member(3).id, table.into());
    let news = run(&mut one, Some(input), now, now);
    assert!(!news.iter().any(|news| matches!(news, MembershipNews::Up(_))), "{news:?}");
}

/// Who says of itself that it has left, in one life after the other, does not make this node forget
/// who else has.
#[test]
fn one_member_does_not_fill_the_list_of_those_that_left() {
    let (now, mut one) = (start(), machine(1));
    for peer in [2, 3, 4] {
        run(&mut one, Some(MembershipInput::Alive(member(peer))), now, now);
    }
    for generation in 1..1000 {
        let over = foca::Member::down(Member { generation, ..member(4) });
        one.believes(&over, Word::Packet(member(4).id), now);
    }
    run(&mut one, Some(MembershipInput::Left(member(3))), now, now);
    for second in 1..=60_u32 {
        let alive = MembershipInput::Alive(Member { generation: second.into(), ..member(2) });
        let moment = now + second * SECOND;
        for news in run(&mut one, Some(alive), moment, moment) {
            let sought = matches!(&news, MembershipNews::Seek(sought) if *sought == member(3));
            assert!(!sought, "it said goodbye");
        }
    }
}

/// A member that answers when asked, but no probe, is asked at the same pace for good: each probe
/// that fails makes a timer, and none of them makes others.
#[test]
fn who_answers_no_probe_is_not_asked_more_and_more_often() {
    let (mut one, mut now, two) = suspicious();
    let mut asked = Vec::new();
    for _ in 0..60 {
        let (end, mut times) = (now + SECOND, 0);
        while now < end {
            // Timers are a little late, as they are.
            now += SECOND / 300;
            if run(&mut one, None, now, now).iter().any(|news| asks_for(news, &two)) {
                times += 1;
                let answered = MembershipInput::Settled(two, false);
                run(&mut one, Some(answered), now, now);
            }
        }
        asked.push(times);
    }
    assert!(asked[50..].iter().all(|times| (1..=3).contains(times)), "a second: {asked:?}");
}

/// A cluster at its limit takes in nobody else, however they come, and who is in it may start anew.
#[test]
fn a_cluster_at_its_limit_takes_in_nobody_else() {
    let (now, mut one) = (start(), Machine::new(member(1), 1, 2));
    for peer in [2, 3] {
        run(&mut one, Some(MembershipInput::Alive(member(peer))), now, now);
    }
    let is_up = |news: &[MembershipNews], who: Member| {
        news.iter().any(|news| matches!(news, MembershipNews::Up(up) if *up == who))
    };
    let again = Member { generation: 2, ..member(2) };
    let news = run(&mut one, Some(MembershipInput::Alive(again)), now, now);
    assert!(is_up(&news, again), "a member is back");
    let news = run(&mut one, Some(MembershipInput::Alive(member(4))), now, now);
    assert!(!is_up(&news, member(4)), "one too many, by its connection");
    let mut four = machine(4);
    run(&mut four, Some(MembershipInput::Alive(member(1))), now, now);
    let said = packets_to(&run(&mut four, None, now, now + 2 * SECOND), 1).pop().unwrap();
    let news = run(&mut one, Some(MembershipInput::Datagram(said)), now, now);
    assert!(!is_up(&news, member(4)), "one too many, by what it says");
}
