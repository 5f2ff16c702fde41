use std::collections::BTreeMap;
use std::num::{NonZeroU8, NonZeroU32, NonZeroUsize};
use std::time::Duration;

use bytes::Bytes;
use foca::{
    AccumulatingRuntime, Config, Foca, OwnedNotification, PeriodicParams, PostcardCodec, Timer,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::Member;
use super::gossip::{Hint, Hints, Inbox};
use super::hearsay::{Claim, Hearsay, Packet, Verdict};
use crate::directory::list::decode_list;
use crate::identity::NodeId;
use crate::limits;

/// How many inputs may wait for the membership task; datagrams beyond it are dropped, as the
/// network would.
const QUEUE: usize = 1024;
/// Each piece of news is passed on at least this often.
const LEAST_TRANSMISSIONS: NonZeroU8 = NonZeroU8::new(6).unwrap();
/// How often a random node is asked for all members that it knows.
const CATCH_UP: Duration = Duration::from_secs(5);
/// The fewest bytes that a claim takes: an id, an address, and four small numbers.
const LEAST_CLAIM: usize = 41;
/// How many inputs are taken in before the timers are looked at again.
const BATCH: usize = 256;

/// What happens to the membership.
#[derive(Debug)]
pub(crate) enum MembershipInput {
    /// A packet from a peer.
    Datagram(Bytes),
    /// This peer has just proved itself on a connection: it is alive.
    Alive(Member),
    /// This peer said goodbye.
    Left(Member),
    /// The member table of a peer that we joined.
    Table(Bytes),
    /// What became of a [`Doubt`](MembershipNews::Doubt) about this node: whether it was true.
    Settled(NodeId, bool),
    /// This node has to live on in this generation at least.
    Rise(u64),
    /// Tell the member table.
    TellTable(oneshot::Sender<Bytes>),
    /// Our own record has a new version.
    Announce(Hint),
    /// Leave the cluster, and answer once the news has been handed out.
    Leave(oneshot::Sender<()>),
}

/// What the membership has to say.
#[derive(Debug)]
pub(crate) enum MembershipNews {
    Send {
        to: Member,
        packet: Bytes,
    },
    Up(Member),
    Down(Member),
    /// We were declared dead and live on under this name.
    Renewed(Member),
    Hint {
        hint: Hint,
        from: Option<Member>,
    },
    /// Somebody says that this life of a node is over, or that there is one that follows the known
    /// one. To be answered by [`Settled`](MembershipInput::Settled).
    Doubt {
        said: Member,
        known: u64,
        dead: bool,
        from: Option<NodeId>,
    },
    /// The member table of a peer has been taken in.
    Introduced,
}

/// The handle of the membership task.
#[derive(Clone, Debug)]
pub(crate) struct Membership(mpsc::Sender<MembershipInput>);

impl Membership {
    /// The task for node `me`; it ends when the last handle is dropped.
    pub(crate) fn new(
        me: Member,
        seed: u64,
        max_members: usize,
        news: impl FnMut(MembershipNews) + Send,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, inputs) = mpsc::channel(QUEUE);
        (Self(sender), Driver::new(me, seed, max_members, news).run(inputs))
    }

    /// Hands over an input that may be lost when the task is overrun.
    pub(crate) fn offer(&self, input: MembershipInput) {
        if self.0.try_send(input).is_err() {
            tracing::debug!("a membership packet was dropped: the queue is full");
        }
    }

    /// Hands over an input that must arrive, from where waiting is not possible.
    pub(crate) fn insist(&self, input: MembershipInput) {
        if let Err(mpsc::error::TrySendError::Full(input)) = self.0.try_send(input) {
            let sender = self.0.clone();
            tokio::spawn(async move {
                // The task ends with the node; there is nobody left to tell then.
                let _ = sender.send(input).await;
            });
        }
    }

    /// Hands over an input that must arrive.
    pub(crate) async fn tell(&self, input: MembershipInput) {
        // The task ends with the node; there is nobody left to tell then.
        let _ = self.0.send(input).await;
    }
}

/// Has a node that knows one member take this input in, for the fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn feed(known: Member, me: Member, input: MembershipInput) {
    let mut driver = Driver::new(me, 7, 64, |_| {});
    driver.take(MembershipInput::Alive(known));
    driver.take(input);
    driver.flush();
}

struct Driver<N> {
    foca: Foca<Member, PostcardCodec, StdRng, Hints>,
    inbox: Inbox,
    outputs: AccumulatingRuntime<Member>,
    timers: BTreeMap<(Instant, u64), Timer<Member>>,
    timer_number: u64,
    sized_for: u32,
    max_members: usize,
    hearsay: Hearsay,
    /// A member table has just been taken in.
    introduced: bool,
    news: N,
}

impl<N: FnMut(MembershipNews)> Driver<N> {
    fn new(me: Member, seed: u64, max_members: usize, news: N) -> Self {
        let (hints, inbox) = Hints::new(max_members);
        let rng = StdRng::seed_from_u64(seed);
        Self {
            foca: Foca::with_custom_broadcast(me, config_for(1), rng, PostcardCodec, hints),
            inbox,
            outputs: AccumulatingRuntime::new(),
            timers: BTreeMap::new(),
            timer_number: 0,
            sized_for: 1,
            max_members,
            hearsay: Hearsay::new(max_members.saturating_mul(2)),
            introduced: false,
            news,
        }
    }

    async fn run(mut self, mut inputs: mpsc::Receiver<MembershipInput>) {
        loop {
            let due = self.timers.first_key_value().map(|((at, _), _)| *at);
            let timer = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                input = inputs.recv() => match input {
                    Some(input) => {
                        self.take(input);
                        // What waits is read first, lest a suspicion that has been refuted
                        // meanwhile runs out; but packets must not keep the timers waiting.
                        for _ in 0..BATCH {
                            let Ok(input) = inputs.try_recv() else { break };
                            self.take(input);
                        }
                        self.fire();
                    }
                    None => return,
                },
                () = timer => self.fire(),
            }
            self.flush();
        }
    }

    fn fire(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.timers.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let timer = entry.remove();
            if let Err(error) = self.foca.handle_timer(timer, &mut self.outputs) {
                tracing::debug!(%error, "a membership timer was refused");
            }
        }
    }

    fn take(&mut self, input: MembershipInput) {
        let done = match input {
            MembershipInput::Datagram(packet) => {
                let Some(packet) = self.screen(packet) else { return };
                self.foca.handle_data(&packet, &mut self.outputs)
            }
            MembershipInput::Alive(member) => {
                if self.foca.iter_members().count() >= self.max_members {
                    tracing::warn!("the cluster is at its limit of {} nodes", self.max_members);
                    return;
                }
                self.forget_inventions(&member);
                let alive = [foca::Member::alive(member)].into_iter();
                let applied = self.foca.apply_many(alive, true, &mut self.outputs);
                if !self.foca.iter_members().any(|known| *known.id() == member) {
                    // It was declared dead in this life: let it know, so that it takes a new one.
                    self.foca.announce(member, &mut self.outputs)
                } else {
                    applied
                }
            }
            MembershipInput::Left(member) => {
                // A goodbye outranks whatever was suspected or refuted in that life.
                let down = foca::Member::new(member, u16::MAX, foca::State::Down);
                self.foca.apply_many([down].into_iter(), true, &mut self.outputs)
            }
            MembershipInput::Table(bytes) => match decode_list(&bytes, LEAST_CLAIM, usize::MAX) {
                Ok(mut table) => {
                    self.introduced = true;
                    table.truncate(self.max_members);
                    table.retain(|claim| self.believes(claim, None));
                    self.foca.apply_many(table.into_iter(), false, &mut self.outputs)
                }
                Err(error) => {
                    tracing::warn!(%error, "a peer sent a member table that does not decode");
                    return;
                }
            },
            MembershipInput::Settled(node, true_) => {
                let claim = self.hearsay.settle(&node, true_);
                self.foca.apply_many(claim.into_iter(), true, &mut self.outputs)
            }
            MembershipInput::Rise(generation) => {
                let me = *self.foca.identity();
                let risen = Member { generation: generation.max(me.generation), ..me };
                (self.news)(MembershipNews::Renewed(risen));
                self.foca.change_identity(risen, &mut self.outputs)
            }
            MembershipInput::TellTable(answer) => {
                let mut table: Vec<_> = self.foca.iter_members().cloned().collect();
                table.push(foca::Member::alive(*self.foca.identity()));
                // Nobody waits for the answer of a link that has closed.
                let _ = answer.send(postcard::to_allocvec(&table).unwrap_or_default().into());
                return;
            }
            MembershipInput::Announce(hint) => self.foca.add_broadcast(&hint.encode()).map(drop),
            MembershipInput::Leave(answer) => {
                let left = self.foca.leave_cluster(&mut self.outputs);
                self.flush();
                let _ = answer.send(());
                left
            }
        };
        if let Err(error) = done {
            tracing::debug!(%error, "a membership input was refused");
        }
    }

    /// Leaves out of a packet what is not to be believed; none if nothing is left.
    fn screen(&mut self, packet: Bytes) -> Option<Bytes> {
        let mut read = Packet::read(&packet)?;
        self.forget_inventions(&read.from);
        let accused = read.accused.is_some_and(|accused| accused == *self.foca.identity());
        if accused && !self.hearsay.may_be_reborn(Instant::now()) {
            return None;
        }
        let said = read.claims.len();
        let from = read.from.id;
        read.claims.retain(|claim| self.believes(claim, Some(from)));
        // More hints than there may be nodes are about nodes that there are not.
        let full = self.foca.custom_broadcast_backlog() >= self.max_members;
        if read.claims.len() == said && !full {
            return Some(packet);
        }
        Some(read.write(!full).into())
    }

    fn believes(&mut self, claim: &Claim, from: Option<NodeId>) -> bool {
        let mut members = self.foca.iter_membership_state();
        let nodes = members.len();
        let known = members.find(|known| known.id().id == claim.id().id);
        let me = self.foca.identity();
        match self.hearsay.judge(claim, from, me, (known, nodes), Instant::now()) {
            Verdict::Believe => true,
            Verdict::Drop => false,
            Verdict::Doubt => {
                let known = known.map_or(0, |known| known.id().generation);
                let dead = claim.state() == foca::State::Down;
                (self.news)(MembershipNews::Doubt { said: *claim.id(), known, dead, from });
                false
            }
        }
    }

    /// A node says itself which life it is in: forgets a later one that others made up.
    fn forget_inventions(&mut self, member: &Member) {
        if !self.hearsay.meet(&member.id) {
            return;
        }
        let invented =
            |known: &Member| known.id == member.id && known.generation > member.generation;
        let known = self.foca.iter_membership_state().map(|known| *known.id()).find(invented);
        let Some(known) = known else { return };
        let down = foca::Member::new(known, u16::MAX, foca::State::Down);
        // Neither fails: nothing is encoded, and nothing is sent.
        let _ = self.foca.apply_many([down].into_iter(), false, &mut self.outputs);
        let _ = self.foca.handle_timer(Timer::RemoveDown(known), &mut self.outputs);
    }

    fn flush(&mut self) {
        let now = Instant::now();
        while let Some((to, packet)) = self.outputs.to_send() {
            (self.news)(MembershipNews::Send { to, packet });
        }
        while let Some((after, timer)) = self.outputs.to_schedule() {
            self.timer_number += 1;
            self.timers.insert((now + after, self.timer_number), timer);
        }
        while let Some(notification) = self.outputs.to_notify() {
            match notification {
                OwnedNotification::MemberUp(member) => (self.news)(MembershipNews::Up(member)),
                OwnedNotification::MemberDown(member) => (self.news)(MembershipNews::Down(member)),
                // The new life of a node may be over already when its old one is replaced.
                OwnedNotification::Rename(_, after) => {
                    if self.foca.iter_members().any(|member| *member.id() == after) {
                        (self.news)(MembershipNews::Up(after));
                    } else {
                        (self.news)(MembershipNews::Down(after));
                    }
                }
                OwnedNotification::Rejoin(me) => (self.news)(MembershipNews::Renewed(me)),
                OwnedNotification::Active
                | OwnedNotification::Idle
                | OwnedNotification::Defunct => {}
            }
        }
        let hints = {
            let mut inbox = self.inbox.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            std::mem::take(&mut *inbox)
        };
        for (hint, from) in hints {
            (self.news)(MembershipNews::Hint { hint, from });
        }
        if std::mem::take(&mut self.introduced) {
            (self.news)(MembershipNews::Introduced);
        }
        self.resize();
    }

    /// Suspicion and dissemination grow with the logarithm of the cluster, so the configuration
    /// follows its size in powers of two.
    fn resize(&mut self) {
        let size = u32::try_from(self.foca.num_members() + 1).unwrap_or(u32::MAX);
        let size = size.checked_next_power_of_two().unwrap_or(size);
        if size == self.sized_for {
            return;
        }
        let config = config_for(size);
        if self.foca.set_config(config).is_ok() {
            self.sized_for = size;
        }
    }
}

fn config_for(size: u32) -> Config {
    let mut config = Config::new_lan(NonZeroU32::new(size).unwrap_or(NonZeroU32::MIN));
    config.max_packet_size = packet_size();
    // In a small cluster the logarithm asks for one transmission or two, all of which may go to
    // nodes that know already, or be lost.
    config.max_transmissions = config.max_transmissions.max(LEAST_TRANSMISSIONS);
    // News that was missed all the same is caught up with by asking one node for all it knows.
    config.periodic_announce =
        Some(PeriodicParams { frequency: CATCH_UP, num_members: NonZeroUsize::MIN });
    config
}

/// One byte of each datagram says what it carries.
fn packet_size() -> NonZeroUsize {
    NonZeroUsize::new(limits::DATAGRAM - 1).unwrap_or(NonZeroUsize::MIN)
}
