use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// The largest datagram there is.
const DATAGRAM: usize = 1 << 16;

/// A network between processes on this machine that can be cut, and loses what it is told to.
///
/// Each node listens on an address of its own, and tells others that of its [`door`](Self::door),
/// which passes datagrams on. Whom a datagram is from follows from the address it came from; each
/// who calls at a door gets a socket of its own behind it, so that the answers find back. What
/// comes from an address that belongs to no node is stopped and counted.
#[derive(Debug, Default)]
pub struct Relay {
    rules: Arc<Rules>,
    doors: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Rules {
    /// Who lives at an address.
    names: Mutex<BTreeMap<SocketAddr, String>>,
    /// From whom nothing gets to whom.
    cuts: Mutex<BTreeSet<(String, String)>>,
    loss: Mutex<Loss>,
    passed: AtomicU64,
    stopped: AtomicU64,
    lost: AtomicU64,
    strangers: AtomicU64,
}

impl Relay {
    /// A network without any door.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a door to the node of this name, which listens at `home`. The address of the door is
    /// what others are to be told.
    ///
    /// # Errors
    /// The system refuses a socket.
    pub async fn door(&mut self, name: &str, home: SocketAddr) -> io::Result<SocketAddr> {
        lock(&self.rules.names).insert(home, name.to_owned());
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = socket.local_addr()?;
        let rules = self.rules.clone();
        let door = Door { rules, name: name.to_owned(), home, socket: Arc::new(socket) };
        self.doors.spawn(door.keep());
        Ok(addr)
    }

    /// Stops what any of these say to any of those.
    pub fn cut(&self, from: &[&str], to: &[&str]) {
        let mut cuts = lock(&self.rules.cuts);
        for from in from {
            cuts.extend(to.iter().map(|to| ((*from).to_owned(), (*to).to_owned())));
        }
    }

    /// Stops what these and those say to each other.
    pub fn part(&self, these: &[&str], those: &[&str]) {
        self.cut(these, those);
        self.cut(those, these);
    }

    /// Stops nothing any more.
    pub fn heal(&self) {
        lock(&self.rules.cuts).clear();
    }

    /// Loses so many of a thousand datagrams from now on, in each direction. Which ones follows
    /// from the seed and the order in which they come.
    pub fn lose(&self, permille: u64, seed: u64) {
        *lock(&self.rules.loss) = Loss { permille, seed };
    }

    /// How many datagrams were passed on.
    pub fn passed(&self) -> u64 {
        self.rules.passed.load(Ordering::Relaxed)
    }

    /// How many datagrams were stopped by cuts.
    pub fn stopped(&self) -> u64 {
        self.rules.stopped.load(Ordering::Relaxed)
    }

    /// How many datagrams were lost.
    pub fn lost(&self) -> u64 {
        self.rules.lost.load(Ordering::Relaxed)
    }

    /// How many datagrams came from where no node lives.
    pub fn strangers(&self) -> u64 {
        self.rules.strangers.load(Ordering::Relaxed)
    }
}

impl Rules {
    fn name(&self, addr: SocketAddr) -> Option<String> {
        lock(&self.names).get(&addr).cloned()
    }

    /// Whether a datagram may pass. It is counted.
    fn lets(&self, from: &str, to: &str) -> bool {
        let cut = lock(&self.cuts).contains(&(from.to_owned(), to.to_owned()));
        let lost = !cut && lock(&self.loss).takes();
        let count = match (cut, lost) {
            (true, _) => &self.stopped,
            (_, true) => &self.lost,
            _ => &self.passed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        !cut && !lost
    }
}

/// Which datagrams are lost.
#[derive(Debug, Default)]
struct Loss {
    permille: u64,
    seed: u64,
}

impl Loss {
    fn takes(&mut self) -> bool {
        // Knuth's generator: what is lost is to be mixed, not secret.
        let next = self.seed.wrapping_mul(6_364_136_223_846_793_005);
        self.seed = next.wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % 1000 < self.permille
    }
}

struct Door {
    rules: Arc<Rules>,
    name: String,
    home: SocketAddr,
    socket: Arc<UdpSocket>,
}

impl Door {
    async fn keep(self) {
        let mut answers = JoinSet::new();
        let mut callers: BTreeMap<SocketAddr, (String, Arc<UdpSocket>)> = BTreeMap::new();
        let mut buffer = vec![0; DATAGRAM];
        loop {
            // An error is that of an earlier datagram, which is lost as datagrams are.
            let Ok((length, from)) = self.socket.recv_from(&mut buffer).await else { continue };
            let (name, socket) = match callers.entry(from) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let Some(name) = self.rules.name(from) else {
                        self.rules.strangers.fetch_add(1, Ordering::Relaxed);
                        continue;
                    };
                    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await;
                    let socket = Arc::new(socket.expect("a socket"));
                    answers.spawn(self.answer(name.clone(), from, socket.clone()));
                    new.insert((name, socket))
                }
            };
            if self.rules.lets(name, &self.name) {
                // Nobody may be at home.
                let _ = socket.send_to(&buffer[..length], self.home).await;
            }
        }
    }

    /// Passes on what the node says to one caller.
    fn answer(
        &self,
        caller: String,
        to: SocketAddr,
        socket: Arc<UdpSocket>,
    ) -> impl Future<Output = ()> + use<> {
        let (rules, name, home) = (self.rules.clone(), self.name.clone(), self.home);
        let door = self.socket.clone();
        async move {
            let mut buffer = vec![0; DATAGRAM];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
                if from != home {
                    rules.strangers.fetch_add(1, Ordering::Relaxed);
                } else if rules.lets(&name, &caller) {
                    let _ = door.send_to(&buffer[..length], to).await;
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::until;

    async fn socket() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = socket.local_addr().unwrap();
        (socket, addr)
    }

    async fn heard(socket: &UdpSocket) -> (u8, SocketAddr) {
        let mut buffer = [0; 8];
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        assert_eq!(length, 1);
        (buffer[0], from)
    }

    #[tokio::test]
    async fn answers_find_back_and_each_direction_is_cut_alone() {
        let mut relay = Relay::new();
        let ((a, a_home), (b, b_home), (c, _)) = (socket().await, socket().await, socket().await);
        relay.door("a", a_home).await.unwrap();
        let to_b = relay.door("b", b_home).await.unwrap();
        let say = async |number: u8, from: &UdpSocket, to: SocketAddr| {
            from.send_to(&[number], to).await.unwrap();
        };
        say(1, &a, to_b).await;
        let (said, back) = heard(&b).await;
        assert_eq!(said, 1);
        say(2, &b, back).await;
        assert_eq!(heard(&a).await, (2, to_b), "from whom it was said to");

        // What was said while it was cut does not come later.
        relay.cut(&["a"], &["b"]);
        say(3, &a, to_b).await;
        until("one is stopped", async || relay.stopped() == 1).await;
        say(4, &b, back).await;
        assert_eq!(heard(&a).await, (4, to_b), "the other way is open");
        relay.heal();
        say(5, &a, to_b).await;
        assert_eq!(heard(&b).await, (5, back));

        relay.part(&["b"], &["a"]);
        say(6, &a, to_b).await;
        say(7, &b, back).await;
        until("both are stopped", async || relay.stopped() == 3).await;
        assert_eq!((relay.passed(), relay.strangers()), (4, 0));

        // Who lives nowhere is not let in.
        relay.heal();
        say(8, &c, to_b).await;
        until("a stranger is seen", async || relay.strangers() == 1).await;
        say(9, &a, to_b).await;
        assert_eq!(heard(&b).await, (9, back));
    }

    #[test]
    fn of_a_thousand_as_many_are_lost_as_was_said() {
        let lost = |permille| {
            let mut loss = Loss { permille, seed: 1 };
            (0..100_000).filter(|_| loss.takes()).count()
        };
        assert_eq!((lost(0), lost(1000)), (0, 100_000));
        assert!((4_800..5_200).contains(&lost(50)), "{}", lost(50));
    }

    #[tokio::test]
    async fn what_is_lost_does_not_arrive_and_is_counted() {
        let mut relay = Relay::new();
        let ((a, a_home), (b, b_home)) = (socket().await, socket().await);
        relay.door("a", a_home).await.unwrap();
        let to_b = relay.door("b", b_home).await.unwrap();
        relay.lose(1000, 1);
        a.send_to(&[1], to_b).await.unwrap();
        until("one is lost", async || relay.lost() == 1).await;
        relay.lose(0, 1);
        a.send_to(&[2], to_b).await.unwrap();
        assert_eq!(heard(&b).await.0, 2);
        assert_eq!((relay.passed(), relay.stopped()), (1, 0));
    }
}
