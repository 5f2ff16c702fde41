#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
//! What a node makes of membership packets, connections and the passing of time, with no task and
//! no clock: the driver feeds it, and so does the simulation.

use std::collections::BTreeMap;
use std::time::Duration;

use foca::{AccumulatingRuntime, Foca, OwnedNotification, PostcardCodec, Timer};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::Member;
use super::config::{SEEK, config_for};
use super::gossip::{Hints, Inbox};
use super::hearsay::Hearsay;
use super::news::{MembershipInput, MembershipNews};
use crate::identity::NodeId;
use crate::quiet::{Kind, Quiet, Who};

mod belief;

/// A timer that is so late tells that this process stood still.
const STOOD_STILL: Duration = Duration::from_secs(1);
/// How much longer suspicions wait then, so that what came meanwhile is read first.
const READING: Duration = Duration::from_secs(1);

/// The membership of one node.
pub(crate) struct Machine {
    foca: Foca<Member, PostcardCodec, StdRng, Hints>,
    inbox: Inbox,
    outputs: AccumulatingRuntime<Member>,
    timers: BTreeMap<(Instant, u64), Timer<Member>>,
    timer_number: u64,
    sized_for: u32,
    max_members: usize,
    hearsay: Hearsay,
    /// Suspicions that have run out; whoever they are about is asked before it is declared dead.
    overdue: BTreeMap<NodeId, Timer<Member>>,
    /// Nodes that said goodbye, and the last life that ended so; whoever else is down is looked for.
    /// Each speaks for itself alone, so none takes more than one place.
    gone: BTreeMap<NodeId, u64>,
    /// It has just taken a new name, having been declared dead.
    renewed: bool,
    /// Members that are down have been looked for so often; each has its turn.
    searches: usize,
    /// Which lines may be written of what peers do.
    quiet: Quiet,
    /// What is to be said once all else has been.
    finally: Vec<MembershipNews>,
    /// Whom this node has begun to suspect by its own probes.
    #[cfg(test)]
    pub(crate) accused: Vec<Member>,
}

impl Machine {
    pub(crate) fn new(me: Member, seed: u64, max_members: usize) -> Self {
        let (hints, inbox) = Hints::new(max_members);
        let config = config_for(1);
        let rng = StdRng::seed_from_u64(seed);
        Self {
            foca: Foca::with_custom_broadcast(me, config, rng, PostcardCodec, hints),
            inbox,
            outputs: AccumulatingRuntime::new(),
            timers: BTreeMap::new(),
            timer_number: 0,
            sized_for: 1,
            max_members,
            hearsay: Hearsay::new(max_members.saturating_mul(2)),
            overdue: BTreeMap::new(),
            gone: BTreeMap::new(),
            renewed: false,
            searches: 0,
            quiet: Quiet::default(),
            finally: Vec::new(),
            #[cfg(test)]
            accused: Vec::new(),
        }
    }

    /// The name it lives under, and whom it takes to be alive.
    #[cfg(test)]
    pub(crate) fn view(&self) -> (Member, impl Iterator<Item = Member>) {
        (*self.foca.identity(), self.foca.iter_members().map(|member| *member.id()))
    }

    /// When the next timer is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Handles the timers that are due; [`flush`](Self::flush) is to follow.
    pub(crate) fn fire(&mut self, now: Instant) {
        self.forgive(now);
        while let Some(entry) = self.timers.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let timer = entry.remove();
            match timer {
                Timer::ChangeSuspectToDown { .. } => self.ask(timer),
                Timer::PeriodicAnnounceDown(_) => {
                    let sought = self.seek();
                    match self.foca.num_members() {
                        0 => self.seek_alone(sought, timer, now),
                        _ => self.elapse(timer),
                    }
                }
                _ => self.elapse(timer),
            }
        }
    }

    /// foca speaks to nobody once it knows nobody alive, which is when it matters most; and a name
    /// that it took meanwhile is known to nobody.
    fn seek_alone(&mut self, sought: Option<Member>, timer: Timer<Member>, now: Instant) {
        if let Some(sought) = sought
            && let Err(error) = self.foca.announce(sought, &mut self.outputs)
        {
            tracing::debug!(%error, "a member that is down was not spoken to");
        }
        let seeks = |timer: &Timer<Member>| matches!(timer, Timer::PeriodicAnnounceDown(_));
        if !self.timers.values().any(seeks) {
            self.timer_number += 1;
            self.timers.insert((now + SEEK, self.timer_number), timer);
        }
    }

    fn elapse(&mut self, timer: Timer<Member>) {
        if let Err(error) = self.foca.handle_timer(timer, &mut self.outputs) {
            tracing::debug!(%error, "a membership timer was refused");
        }
    }

    /// After this process stood still, its timers run on from where they were: a pause of our own
    /// is not held against others, whose refutations may not have been read yet.
    fn forgive(&mut self, now: Instant) {
        let Some(late) = self.due().map(|due| now.saturating_duration_since(due)) else { return };
        if late < STOOD_STILL {
            return;
        }
        tracing::debug!(?late, "this process stood still");
        for ((at, number), timer) in std::mem::take(&mut self.timers) {
            let more = match timer {
                Timer::ChangeSuspectToDown { .. } => late + READING,
                _ => late,
            };
            self.timers.insert((at + more, number), timer);
        }
    }

    /// Two nodes that took each other for dead meet again through those that both know; if all of
    /// these have started anew since, nobody is left who could tell either. Who said goodbye is
    /// gone.
    fn seek(&mut self) -> Option<Member> {
        let known = self.foca.iter_membership_state();
        let down = known.filter(|known| known.state() == foca::State::Down);
        let left = |down: &Member| self.gone.get(&down.id) == Some(&down.generation);
        let (gone, lost): (Vec<Member>, Vec<Member>) =
            down.map(|known| *known.id()).partition(left);
        self.gone = gone.iter().map(|member| (member.id, member.generation)).collect();
        self.searches = self.searches.wrapping_add(1);
        let turn = self.searches.checked_rem(lost.len());
        let sought = turn.and_then(|turn| lost.get(turn)).copied();
        self.finally.extend(sought.map(MembershipNews::Seek));
        sought
    }

    /// Takes an input in; [`flush`](Self::flush) is to follow.
    pub(crate) fn take(
        &mut self,
        input: MembershipInput,
        now: Instant,
        news: &mut impl FnMut(MembershipNews),
    ) {
        let done = match input {
            MembershipInput::Datagram(packet) => {
                let Some(packet) = self.screen(packet, now) else { return };
                self.foca.handle_data(&packet, &mut self.outputs)
            }
            MembershipInput::Alive(member) => {
                if !self.has_room_for(&member) {
                    let who = Who::Node(member.id);
                    if let Some(left_out) = self.quiet.may_say(Kind::ClusterFull, who, now) {
                        let most = self.max_members;
                        tracing::warn!(left_out, "the cluster is at its limit of {most} nodes");
                    }
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
                self.is_gone(&member);
                // A goodbye outranks whatever was suspected or refuted in that life.
                let down = foca::Member::new(member, u16::MAX, foca::State::Down);
                self.foca.apply_many([down].into_iter(), true, &mut self.outputs)
            }
            MembershipInput::Table(teller, table) => {
                let Some(table) = self.read_table(teller, &table, now) else { return };
                self.foca.apply_many(table.into_iter(), false, &mut self.outputs)
            }
            MembershipInput::Settled(said, true_) => self.settle(&said, true_, now),
            MembershipInput::Rise(generation) => {
                let me = *self.foca.identity();
                let risen = Member { generation: generation.max(me.generation), ..me };
                news(MembershipNews::Renewed(risen));
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
                self.flush(now, news);
                let _ = answer.send(());
                left
            }
        };
        if let Err(error) = done {
            tracing::debug!(%error, "a membership input was refused");
        }
    }

    /// Hands out what has come of the inputs and timers since the last time.
    pub(crate) fn flush(&mut self, now: Instant, news: &mut impl FnMut(MembershipNews)) {
        self.hand_out(now, news);
        if std::mem::take(&mut self.renewed) {
            // With a new name foca stands still until it learns something, and others can tell it
            // nothing before they know the name: it has to go on by itself.
            if let Err(error) = self.foca.apply_many(std::iter::empty(), false, &mut self.outputs) {
                tracing::debug!(%error, "membership does not go on under a new name");
            }
            self.hand_out(now, news);
        }
        self.resize();
    }

    fn hand_out(&mut self, now: Instant, news: &mut impl FnMut(MembershipNews)) {
        while let Some((to, packet)) = self.outputs.to_send() {
            news(MembershipNews::Send { to, packet });
        }
        while let Some((after, timer)) = self.outputs.to_schedule() {
            #[cfg(test)]
            if let Timer::ChangeSuspectToDown { member_id, .. } = &timer {
                self.accused.push(*member_id);
            }
            self.timer_number += 1;
            self.timers.insert((now + after, self.timer_number), timer);
        }
        while let Some(notification) = self.outputs.to_notify() {
            match notification {
                OwnedNotification::MemberUp(member) => news(MembershipNews::Up(member)),
                OwnedNotification::MemberDown(member) => news(MembershipNews::Down(member)),
                // The new life of a node may be over already when its old one is replaced.
                OwnedNotification::Rename(_, after) => {
                    if self.foca.iter_members().any(|member| *member.id() == after) {
                        news(MembershipNews::Up(after));
                    } else {
                        news(MembershipNews::Down(after));
                    }
                }
                OwnedNotification::Rejoin(me) => {
                    self.renewed = true;
                    news(MembershipNews::Renewed(me));
                }
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
            news(MembershipNews::Hint { hint, from });
        }
        self.finally.drain(..).for_each(news);
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

#[cfg(test)]
mod tests;
