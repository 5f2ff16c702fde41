//! Members that lie about others. What is said of a third party never counts for more than what
//! the third party says itself.

use std::time::Duration;

use macula::MemberEvent;
use macula::identity::{NodeId, SecretKey};
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, sleep, timeout};

use crate::gossip::{Claim, Kind, Life, State, packet, table};
use crate::rude::{Lane, Rude};
use crate::victim::{PATIENCE, Victim, address, member};

const SECOND: Duration = Duration::from_secs(1);
const PULL: u8 = 9;
const RECORD: u8 = 6;

/// A liar among members, who answers no probes, and so has some five seconds.
struct Liar {
    victim: Victim,
    rude: Rude,
    lane: Lane,
    /// What the victim sees of the honest node.
    events: Receiver<MemberEvent>,
}

impl Liar {
    async fn new() -> Self {
        let victim = Victim::new().await;
        let (rude, lane) = Rude::member(&victim, 10).await;
        sleep(SECOND / 2).await;
        let events = victim.mesh.watch_members();
        Self { victim, rude, lane, events }
    }

    /// The lives of the victim and of the honest node, as members see them.
    async fn lives(&mut self) -> (Life, Life) {
        let (mesh, honest) = (&self.victim.mesh, &self.victim.honest);
        let of = async |lane: &mut Lane, id: NodeId| {
            lane.say(&[&[PULL][..], id.as_bytes()].concat()).await;
            loop {
                let frame = lane.frame_of(RECORD).await;
                if frame[1..33] == *id.as_bytes() {
                    return postcard::take_from_bytes::<u64>(&frame[33..]).unwrap().0;
                }
            }
        };
        let first = Life(mesh.id(), mesh.addr(), of(&mut self.lane, mesh.id()).await);
        (first, Life(honest.id(), honest.addr(), of(&mut self.lane, honest.id()).await))
    }

    /// Says it in a packet, and in a table.
    async fn claim(&mut self, to: Life, claims: &[Claim]) {
        self.rude.gossip(packet((self.rude.life(), to), Kind::Gossip, claims, &[]));
        self.lane.say(&table(claims)).await;
    }

    /// How often the victim has lost the honest node until now.
    fn losses(&mut self) -> usize {
        let honest = MemberEvent::Down(self.victim.honest.id());
        std::iter::from_fn(|| self.events.try_recv().ok()).filter(|event| *event == honest).count()
    }

    /// The two see each other, and calls between them work.
    async fn all_is_well(&self) {
        let sees = |mesh: &macula::Mesh, id| mesh.view().node(&id).is_some();
        let (mesh, honest) = (&self.victim.mesh, &self.victim.honest);
        let wait = async {
            while !sees(mesh, honest.id()) || !sees(honest, mesh.id()) {
                sleep(SECOND / 100).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("they have lost each other");
        self.victim.is_well(0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_answers_is_not_dead_whoever_says_so() {
    let mut liar = Liar::new().await;
    let (victim, honest) = liar.lives().await;
    for _ in 0..30 {
        liar.claim(victim, &[(honest, 0, State::Down)]).await;
        liar.claim(victim, &[(honest, u16::MAX, State::Down)]).await;
        sleep(SECOND / 10).await;
    }
    sleep(SECOND).await;
    assert_eq!(liar.losses(), 0, "the victim asks the honest node");
    liar.all_is_well().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_has_a_life_that_it_has_not_signed() {
    let mut liar = Liar::new().await;
    let (victim, honest) = liar.lives().await;
    let elsewhere = address(99);
    for state in [State::Alive, State::Suspect, State::Down] {
        for generation in [honest.2 + 1, honest.2 + 1000, u64::MAX - 1, u64::MAX] {
            for addr in [honest.1, elsewhere] {
                liar.claim(victim, &[(Life(honest.0, addr, generation), 0, state)]).await;
            }
            sleep(SECOND / 10).await;
        }
    }
    sleep(2 * SECOND).await;
    assert_eq!(liar.losses(), 0);
    let view = liar.victim.mesh.view();
    assert_eq!(view.node(&honest.0).unwrap().addr, honest.1, "nor an address");
    liar.all_is_well().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_knows_better_than_a_node_in_which_life_it_is() {
    let mut liar = Liar::new().await;
    let (victim, _) = liar.lives().await;
    for state in [State::Alive, State::Suspect, State::Down] {
        for generation in [victim.2 + 1, u64::MAX] {
            let life = Life(victim.0, victim.1, generation);
            liar.claim(victim, &[(life, 0, state), (life, u16::MAX, state)]).await;
        }
        liar.claim(victim, &[(victim, u16::MAX, State::Suspect)]).await;
    }
    sleep(3 * SECOND).await;
    assert_eq!(liar.losses(), 0);
    assert_eq!(liar.lives().await.0, victim, "it lives on as it did");
    liar.all_is_well().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_called_dead_takes_a_life_a_second_at_most() {
    let mut liar = Liar::new().await;
    let (mut victim, _) = liar.lives().await;
    let first = victim.2;
    let began = Instant::now();
    while began.elapsed() < 3 * SECOND {
        victim = liar.lives().await.0;
        liar.rude.gossip(packet((liar.rude.life(), victim), Kind::TurnUndead, &[], &[]));
        liar.claim(victim, &[(victim, 0, State::Down)]).await;
        sleep(SECOND / 50).await;
    }
    let (victim, _) = liar.lives().await;
    let lives = victim.2 - first;
    assert!((1..=4).contains(&lives), "{lives} lives in three seconds");
    // Nobody loses it over that.
    liar.all_is_well().await;
    assert_eq!(liar.losses(), 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_speaks_in_a_packet_for_another() {
    let mut liar = Liar::new().await;
    let (victim, honest) = liar.lives().await;
    let last = Life(honest.0, address(99), u64::MAX);
    for from in [honest, last] {
        // As a node that leaves does.
        liar.rude.gossip(packet((from, victim), Kind::Gossip, &[(from, 0, State::Down)], &[]));
        liar.rude.gossip(packet((from, victim), Kind::Ping(1), &[], &[]));
        liar.rude.gossip(packet((from, victim), Kind::TurnUndead, &[], &[]));
    }
    sleep(2 * SECOND).await;
    assert_eq!(liar.losses(), 0);
    assert_eq!(liar.victim.mesh.view().node(&honest.0).unwrap().addr, honest.1);
    liar.all_is_well().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_corrects_what_was_said_before_it_came() {
    let mut liar = Liar::new().await;
    let (victim, _) = liar.lives().await;
    let keys: Vec<_> = (0..3).map(|_| SecretKey::generate()).collect();
    let states = [State::Alive, State::Suspect, State::Down];
    let claims: Vec<_> = (keys.iter().zip(states))
        .map(|(key, state)| (Life(key.id(), address(99), u64::MAX), u16::MAX >> 2, state))
        .collect();
    liar.claim(victim, &claims).await;
    sleep(SECOND / 2).await;
    for (host, key) in (30..).zip(keys) {
        let late = member(&liar.victim.network, "late", host).identity(key);
        let late = late.seed(liar.victim.mesh.addr().to_string()).start().await.unwrap();
        let seen = async {
            loop {
                let addr = liar.victim.mesh.view().node(&late.id()).map(|node| node.addr);
                if addr == Some(late.addr()) {
                    return;
                }
                sleep(SECOND / 100).await;
            }
        };
        timeout(2 * SECOND, seen).await.expect("the victim believes in the invention");
    }
    liar.all_is_well().await;
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_inventions_drives_nobody_out() {
    let mut liar = Liar::new().await;
    let (victim, honest) = liar.lives().await;
    let invented = |n: u32| {
        let mut id = [7; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        (Life(NodeId::from_bytes(id), address(99), 1), 0, State::Down)
    };
    for batch in 0..400 {
        let claims: Vec<_> = (0..14).map(|n| invented(batch * 14 + n)).collect();
        let hints: Vec<_> = claims.iter().map(|claim| (claim.0.0, 1, 1)).collect();
        liar.claim(victim, &claims).await;
        for hints in hints.chunks(7) {
            let kind = Kind::Broadcast;
            let mut packet = packet((liar.rude.life(), victim), kind, &[], hints);
            let header = packet.len()
                - hints
                    .iter()
                    .map(|hint| postcard::to_stdvec(hint).unwrap().len() + 2)
                    .sum::<usize>();
            // A broadcast has no claims, and no number of them.
            packet.drain(header - 2..header);
            liar.rude.gossip(packet);
        }
        if batch % 20 == 0 {
            sleep(SECOND / 10).await;
        }
    }
    sleep(3 * SECOND).await;
    assert_eq!(liar.losses(), 0);
    assert!(liar.victim.mesh.view().node(&honest.0).is_some());
    liar.all_is_well().await;
}

/// Nothing of this keeps the truth from being heard.
#[tokio::test(start_paused = true)]
async fn a_true_death_and_a_new_life_are_believed() {
    let mut liar = Liar::new().await;
    let key = SecretKey::generate();
    let start = async |host: u8, victim: &Victim| {
        let builder = member(&victim.network, "third", host).identity(key.clone());
        builder.seed(victim.honest.addr().to_string()).start().await.unwrap()
    };
    let sees = async |victim: &Victim, addr| {
        let wait = async {
            while victim.mesh.view().node(&key.id()).map(|node| node.addr) != addr {
                sleep(SECOND / 100).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("the victim does not hear of it");
    };
    let third = start(40, &liar.victim).await;
    sees(&liar.victim, Some(third.addr())).await;
    third.shutdown(SECOND).await;
    let began = Instant::now();
    sees(&liar.victim, None).await;
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
    // The clock of the paused test does not move the one that generations are made of.
    std::thread::sleep(Duration::from_millis(2));
    let again = start(41, &liar.victim).await;
    let began = Instant::now();
    sees(&liar.victim, Some(again.addr())).await;
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
    liar.losses();
    liar.all_is_well().await;
}
