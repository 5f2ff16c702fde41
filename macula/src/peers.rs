//! Drives connections: accepts and dials peers, and follows the membership.

mod inbound;
mod packets;
mod unused;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quinn::Connection;
use rand::RngExt;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::MemberEvent;
use crate::identity::NodeId;
use crate::identity::tls::peer_id;
use crate::membership::{MembershipInput, MembershipNews};
use crate::mesh::Inner;
use crate::quiet::{Kind, Who};
use crate::rpc::health::{Pulse, TICK};
use crate::transport::DialError;
use crate::transport::admission::{self, AdmissionError, Admitted, CLOSE_REFUSED};
use crate::transport::link::Link;
use crate::transport::pool::Route;
use crate::wire::{Introduction, Message};

/// The first byte of a datagram that carries membership.
const MEMBERSHIP: u8 = 0;
/// How long a connection that lost against another one may still be of use.
const RETIREMENT: Duration = Duration::from_secs(2);
/// How often it is looked whether the last replies of a node that left have come.
const ANSWERED: Duration = Duration::from_millis(10);
/// How long the last replies of a node that left may take to come.
const LAST_REPLIES: Duration = Duration::from_secs(1);

impl Inner {
    /// Lets peers in, each once it has proved itself.
    pub(crate) async fn accept_peers(self: Arc<Self>) {
        while let Some(incoming) = self.endpoint.accept().await {
            let Ok(place) = self.admissions.clone().try_acquire_owned() else {
                self.refused(incoming.remote_address(), "too many peers at once".into());
                incoming.refuse();
                continue;
            };
            let crowded = self.admissions.available_permits() < self.limits.max_admissions / 2;
            if crowded && !incoming.remote_address_validated() {
                // It comes back with a token that proves its address; nothing is kept of it here.
                let _ = incoming.retry();
                continue;
            }
            let inner = self.clone();
            self.spawn(async move {
                let addr = incoming.remote_address();
                let time = inner.limits.admission_timeout;
                let mut connection = None;
                let admitted = timeout(time, inner.admit(incoming, &mut connection)).await;
                drop(place);
                let reason = match (admitted, connection) {
                    (Ok(Ok(admitted)), Some(connection)) => {
                        inner.link_up(connection, admitted, false).await;
                        return;
                    }
                    (Ok(Ok(_)), None) => return,
                    (Ok(Err(error)), connection) => {
                        close(connection);
                        error
                    }
                    (Err(_), connection) => {
                        close(connection);
                        AdmissionError::TooSlow
                    }
                };
                inner.refused(addr, reason.to_string());
            });
        }
    }

    async fn admit(
        &self,
        incoming: quinn::Incoming,
        connection: &mut Option<Connection>,
    ) -> Result<Admitted, AdmissionError> {
        let connection = connection.insert(self.endpoint.admit(incoming)?.await?);
        admission::listen(connection, &self.realm, &self.introduction()).await
    }

    fn introduction(&self) -> Introduction {
        let alone = self.state().alive.is_empty();
        Introduction { member: self.me(), joining: alone || !*self.introduced.borrow() }
    }

    /// Connects to whoever of the realm answers at this address, or to `expected` only.
    pub(crate) async fn dial(
        self: &Arc<Self>,
        addr: SocketAddr,
        expected: Option<NodeId>,
    ) -> Result<Arc<Link>, DialError> {
        let time = self.limits.dial_timeout;
        self.traffic.dials.fetch_add(1, Ordering::Relaxed);
        let mut connection = None;
        let dialled = async {
            let connecting = self
                .endpoint
                .connect(addr, expected)
                .map_err(|error| DialError::Address(error.to_string()))?;
            let made = connection.insert(connecting.await.map_err(AdmissionError::from)?);
            if peer_id(made) == Some(self.me().id) {
                return Err(DialError::Myself);
            }
            Ok(admission::dial(made, &self.realm, &self.introduction()).await?)
        };
        match (timeout(time, dialled).await, connection) {
            (Ok(Ok(admitted)), Some(connection)) => {
                Ok(self.link_up(connection, admitted, true).await)
            }
            (Ok(Ok(_)), None) => Err(DialError::Closed),
            (Ok(Err(error)), connection) => {
                close(connection);
                Err(error)
            }
            (Err(_), connection) => {
                close(connection);
                Err(DialError::Timeout(time))
            }
        }
    }

    /// The link to a peer: the one there is, or the one that a dial gives.
    pub(crate) async fn link_to(
        self: &Arc<Self>,
        peer: NodeId,
        addr: SocketAddr,
    ) -> Result<Arc<Link>, DialError> {
        let mut dial = {
            let mut pool = self.pool();
            match pool.route(&peer, addr, Instant::now()) {
                Route::Linked(link) => return Ok(link),
                Route::Dialling(dial) => dial,
                Route::Backoff { wait } => return Err(DialError::Backoff(wait)),
                Route::None => {
                    let (done, dial) = watch::channel(None);
                    pool.begin_dial(peer, addr, dial.clone());
                    let inner = self.clone();
                    self.spawn(async move {
                        let mut outcome = inner.dial(addr, Some(peer)).await;
                        // The peer may have dialled us meanwhile, whatever came of our dial.
                        if let (Err(_), Some(link)) = (&outcome, inner.link(&peer)) {
                            outcome = Ok(link);
                        }
                        match &outcome {
                            Ok(_) => inner.pool().dial_done(peer),
                            Err(error) => {
                                tracing::debug!(%peer, %addr, %error, "a dial failed");
                                let jitter = rand::rng().random_range(0.0..1.0);
                                inner.pool().dial_failed(peer, addr, Instant::now(), jitter);
                            }
                        }
                        done.send_replace(Some(outcome));
                    });
                    dial
                }
            }
        };
        let outcome = dial.wait_for(Option::is_some).await;
        outcome.ok().and_then(|outcome| outcome.clone()).unwrap_or(Err(DialError::Closed))
    }

    async fn link_up(
        self: &Arc<Self>,
        connection: Connection,
        admitted: Admitted,
        dialled: bool,
    ) -> Arc<Link> {
        let introduction = admitted.introduction.clone();
        let peer = introduction.member;
        let link = Link::start(connection, admitted, dialled, self.clone());
        tracing::debug!(peer = %peer.id, addr = %peer.addr, dialled, "linked");
        let loser = self.pool().insert(link.clone());
        if let Some(loser) = loser {
            let former = loser.peer.generation < peer.generation;
            self.retire(loser, former);
        }
        self.greet(&link, introduction.joining);
        self.membership.tell(MembershipInput::Alive(peer)).await;
        if introduction.joining {
            let (told, table) = oneshot::channel();
            self.membership.tell(MembershipInput::TellTable(told)).await;
            if let Ok(table) = table.await {
                self.traffic.membership.add(table.len());
                // A peer that has gone meanwhile joins again by itself.
                let _ = link.send(Message::Members(table));
            }
        }
        // Another connection to the same peer may have been kept instead.
        self.link(&peer.id).unwrap_or(link)
    }

    /// Closes a connection that another one replaces, once nothing is under way on it and nothing
    /// has come on it for a while: the peer may use it still, and what it sent would be lost. One to a
    /// `former` life of the peer is closed as soon as it is silent, too: the peer is heard, but not
    /// on it, so that life has ended, and its calls are lost.
    fn retire(&self, link: Arc<Link>, former: bool) {
        if link.closed.is_cancelled() {
            return;
        }
        self.pool().retire(link.clone());
        let since = Instant::now();
        self.spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(TICK) => {}
                    () = link.closed.cancelled() => return,
                }
                if former && link.silent.load(Ordering::Relaxed) {
                    return link.close();
                }
                let unused = since.elapsed().min(link.unheard()) >= RETIREMENT;
                if unused && link.is_idle() {
                    return end(&link, false).await;
                }
            }
        });
    }

    /// Ends the connection to a node that has left or died, or is said to have. News of a goodbye
    /// may be faster than the last replies of the node, so they are waited for; and whoever is alive
    /// after all may have just sent a request, which is not to be lost without a word. One that is
    /// silent gets none.
    fn part(&self, link: Arc<Link>) {
        if link.silent.load(Ordering::Relaxed) {
            return link.close();
        }
        self.pool().retire(link.clone());
        self.spawn(async move {
            if timeout(LAST_REPLIES, end(&link, true)).await.is_err() {
                link.close();
            }
        });
    }

    pub(crate) fn on_membership(self: &Arc<Self>, news: MembershipNews) {
        match news {
            MembershipNews::Send { to, packet } => self.send_packet(to, &packet),
            MembershipNews::Up(member) => {
                if member.id == self.me().id {
                    return;
                }
                let mut state = self.state();
                state.replica.welcome(&member.id);
                let new = state.alive.insert(member.id, member).is_none();
                state.stale.insert(member.id);
                if new {
                    state.events.push(MemberEvent::Up(member.id));
                }
                drop(state);
                let former = self.pool().renew(&member);
                if let Some(former) = former {
                    self.retire(former, true);
                }
                if new && let Some(left_out) = self.may_say(Kind::Up, Who::Node(member.id)) {
                    let (node, addr) = (member.id, member.addr);
                    tracing::info!(%node, %addr, left_out, "node up");
                }
            }
            MembershipNews::Down(member) => {
                let mut state = self.state();
                let known = state.alive.get(&member.id);
                if known.is_none_or(|known| known.generation > member.generation) {
                    return;
                }
                state.alive.remove(&member.id);
                state.stale.insert(member.id);
                state.events.push(MemberEvent::Down(member.id));
                drop(state);
                let links = self.pool().forget(&member);
                links.into_iter().for_each(|link| self.part(link));
                if let Some(left_out) = self.may_say(Kind::Down, Who::Node(member.id)) {
                    tracing::info!(node = %member.id, left_out, "node down");
                }
            }
            MembershipNews::Seek(member) => {
                if member.id == self.me().id {
                    return;
                }
                let inner = self.clone();
                self.spawn(async move {
                    // If it is there, the new link says so; mostly it is not.
                    let _ = inner.link_to(member.id, member.addr).await;
                });
            }
            MembershipNews::Renewed(me) => {
                if let Some(left_out) = self.may_say(Kind::Renewed, Who::Me) {
                    let generation = me.generation;
                    tracing::warn!(generation, left_out, "declared dead by others, and back");
                }
                self.set_me(me);
                // The record is how others know that the new life is not an invention.
                self.update_record(|record| {
                    record.incarnation = record.incarnation.max(me.generation);
                });
            }
            MembershipNews::Doubt { said, known, dead, from } => {
                let inner = self.clone();
                self.spawn(async move {
                    let true_ = inner.find_out(said, known, dead, from).await;
                    inner.membership.tell(MembershipInput::Settled(said, true_)).await;
                });
            }
            MembershipNews::Hint { hint, from } => self.on_hint(&hint, from),
            MembershipNews::Introduced => {
                // Who waits for the introduction asks next whom there is.
                self.publish();
                self.introduced.send_replace(true);
            }
            MembershipNews::ThatIsAll => self.publish(),
        }
    }

    /// Judges, tick by tick, which of the peers that calls wait for still answer.
    pub(crate) async fn watch_health(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for link in self.all_links() {
                link.lane.trim();
                let waiting = link.calls().len() > 0;
                let (heard, trip) = (link.take_heard(), link.round_trip());
                let pulse = crate::mesh::lock(&link.health).tick(waiting, heard, trip);
                match pulse {
                    Pulse::Fine => {}
                    Pulse::Ping => {
                        // A link that cannot be written to is about to close.
                        let _ = link.lane.push(&Message::Ping(0));
                        if link.silent.load(Ordering::Relaxed) {
                            // Calls that were made since it fell silent.
                            link.fall_silent();
                        }
                    }
                    Pulse::FellSilent => {
                        let peer = link.peer.id;
                        if let Some(left_out) = self.may_say(Kind::Silent, Who::Node(peer)) {
                            tracing::info!(%peer, left_out, "a peer does not answer");
                        }
                        link.silent.store(true, Ordering::Relaxed);
                        link.fall_silent();
                    }
                    Pulse::Recovered => {
                        let peer = link.peer.id;
                        if let Some(left_out) = self.may_say(Kind::Answers, Who::Node(peer)) {
                            tracing::info!(%peer, left_out, "a peer answers again");
                        }
                        link.silent.store(false, Ordering::Relaxed);
                    }
                }
            }
        }
    }
}

/// Ends a link in good order, once nothing is under way on it any more; the reason is told.
async fn end(link: &Link, held_for_dead: bool) {
    link.part(held_for_dead);
    while !link.is_idle() {
        tokio::select! {
            () = tokio::time::sleep(ANSWERED) => {}
            () = link.closed.cancelled() => return,
        }
    }
    link.finish();
    link.closed.cancelled().await;
}

fn close(connection: Option<Connection>) {
    if let Some(connection) = connection {
        connection.close(CLOSE_REFUSED, b"");
    }
}

#[cfg(test)]
mod tests;
