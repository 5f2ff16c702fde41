//! Drives connections: accepts and dials peers, hands what they say to the room it belongs to,
//! and follows the membership.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use quinn::Connection;
use rand::RngExt;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::Limits;
use crate::directory::NodeStatus;
use crate::directory::driver::FACTS;
use crate::identity::NodeId;
use crate::identity::tls::peer_id;
use crate::membership::{Member, MembershipInput, MembershipNews};
use crate::mesh::{Inner, MemberEvent};
use crate::rpc::health::{Pulse, TICK};
use crate::transport::DialError;
use crate::transport::admission::{self, AdmissionError, Admitted, CLOSE_REFUSED};
use crate::transport::link::{Inbound, Link, Violation};
use crate::transport::pool::Route;
use crate::wire::{Introduction, Message, Status, WireError};

/// The first byte of a datagram that carries membership.
const MEMBERSHIP: u8 = 0;
/// How long a connection that lost against another one may still be of use.
const RETIREMENT: Duration = Duration::from_secs(2);
/// After this long it is closed whatever is still under way on it.
const LAST_RETIREMENT: Duration = Duration::from_secs(120);

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
            if crowded && incoming.may_retry() {
                // It comes back with a token that proves its address.
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
        let connection = connection.insert(incoming.await?);
        admission::listen(connection, &self.realm, &self.introduction()).await
    }

    fn introduction(&self) -> Introduction {
        Introduction { member: self.me(), joining: self.state().alive.is_empty() }
    }

    /// Connects to whoever of the realm answers at this address, or to `expected` only.
    pub(crate) async fn dial(
        self: &Arc<Self>,
        addr: SocketAddr,
        expected: Option<NodeId>,
    ) -> Result<Arc<Link>, DialError> {
        let time = self.limits.dial_timeout;
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
            match pool.route(&peer, Instant::now()) {
                Route::Linked(link) => return Ok(link),
                Route::Dialling(dial) => dial,
                Route::Backoff { wait } => return Err(DialError::Backoff(wait)),
                Route::None => {
                    let (done, dial) = watch::channel(None);
                    pool.begin_dial(peer, dial.clone());
                    let inner = self.clone();
                    self.spawn(async move {
                        let outcome = inner.dial(addr, Some(peer)).await;
                        match &outcome {
                            Ok(_) => inner.pool().dial_done(peer),
                            Err(error) => {
                                tracing::debug!(%peer, %addr, %error, "a dial failed");
                                let jitter = rand::rng().random_range(0.0..1.0);
                                inner.pool().dial_failed(peer, Instant::now(), jitter);
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
        if let Some(loser) = self.pool().insert(link.clone()) {
            self.retire(loser);
        }
        self.greet(&link);
        self.membership.tell(MembershipInput::Alive(peer)).await;
        if introduction.joining {
            let (told, table) = oneshot::channel();
            self.membership.tell(MembershipInput::TellTable(told)).await;
            if let Ok(table) = table.await {
                // A peer that has gone meanwhile joins again by itself.
                let _ = link.send(Message::Members(table));
            }
        }
        link
    }

    /// Closes a connection that another one replaces, once nothing is under way on it.
    fn retire(&self, link: Arc<Link>) {
        self.spawn(async move {
            let over = Instant::now() + LAST_RETIREMENT;
            loop {
                tokio::select! {
                    () = tokio::time::sleep(RETIREMENT) => {}
                    () = link.closed.cancelled() => return,
                }
                if link.is_idle() || Instant::now() >= over {
                    return link.close();
                }
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
                self.publish(&state);
                drop(state);
                if new {
                    tracing::info!(node = %member.id, addr = %member.addr, "node up");
                    // Nobody may be listening.
                    let _ = self.events.send(MemberEvent::Up(member.id));
                }
            }
            MembershipNews::Down(member) => {
                let mut state = self.state();
                let known = state.alive.get(&member.id);
                if known.is_none_or(|known| known.generation > member.generation) {
                    return;
                }
                state.alive.remove(&member.id);
                let record = state.replica.get(&member.id).map(|sealed| sealed.record().status);
                let in_good_order = record.is_some_and(|status| status != NodeStatus::Serving);
                self.publish(&state);
                drop(state);
                let link = self.pool().forget(&member.id);
                match link {
                    // Its last replies may still be on their way; it closes when they are sent.
                    Some(link) if in_good_order => self.retire(link),
                    Some(link) => link.close(),
                    None => {}
                }
                tracing::info!(node = %member.id, "node down");
                let _ = self.events.send(MemberEvent::Down(member.id));
            }
            MembershipNews::Renewed(me) => {
                tracing::warn!(generation = me.generation, "declared dead by others, and back");
                self.set_me(me);
            }
            MembershipNews::Hint { hint, from } => self.on_hint(&hint, from),
        }
    }

    fn send_packet(self: &Arc<Self>, to: Member, packet: &[u8]) {
        let mut datagram = Vec::with_capacity(packet.len() + 1);
        datagram.push(MEMBERSHIP);
        datagram.extend_from_slice(packet);
        let datagram = Bytes::from(datagram);
        if let Some(link) = self.link(&to.id) {
            return link.send_datagram(datagram);
        }
        let inner = self.clone();
        self.spawn(async move {
            if let Ok(link) = inner.link_to(to.id, to.addr).await {
                link.send_datagram(datagram);
            }
        });
    }

    /// Judges, tick by tick, which of the peers that calls wait for still answer.
    pub(crate) async fn watch_health(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for link in self.links() {
                let waiting = link.calls().len() > 0;
                let (heard, trip) = (link.take_heard(), link.round_trip());
                let pulse = crate::mesh::lock(&link.health).tick(waiting, heard, trip);
                match pulse {
                    Pulse::Fine => {}
                    Pulse::Ping => {
                        // A link that cannot be written to is about to close.
                        let _ = link.lane.push(&Message::Ping(0));
                    }
                    Pulse::FellSilent => {
                        tracing::info!(peer = %link.peer.id, "a peer does not answer");
                        link.silent.store(true, Ordering::Relaxed);
                        link.fall_silent();
                    }
                    Pulse::Recovered => {
                        tracing::info!(peer = %link.peer.id, "a peer answers again");
                        link.silent.store(false, Ordering::Relaxed);
                    }
                }
            }
        }
    }
}

impl Inbound for Inner {
    fn message(&self, link: &Arc<Link>, message: Message) -> Result<(), Violation> {
        match message {
            Message::Request { id, method, key, remaining, body } => {
                return self.on_request(link, id, method, key, remaining, body);
            }
            Message::Reply { id, load, status, body } => {
                self.on_reply(link, id, load, status, body);
            }
            Message::Cancel { id } => link.cancel(id),
            Message::Ping(number) => link.lane.push(&Message::Pong(number))?,
            Message::Pong(_) => {}
            Message::Record(bytes) => self.on_record(link, bytes),
            Message::Summary(theirs) => self.on_summary(link, theirs),
            Message::Digest(bytes) => self.on_digest(link, &bytes),
            Message::Pull(nodes) => self.on_pull(link, &nodes),
            Message::Members(table) => self.membership.offer(MembershipInput::Table(table)),
            Message::Goodbye => {
                let left = self.state().alive.get(&link.peer.id).copied().unwrap_or(link.peer);
                self.membership.offer(MembershipInput::Left(left));
            }
        }
        Ok(())
    }

    fn overlong(&self, link: &Arc<Link>, head: Message, error: WireError) -> Result<(), Violation> {
        match head {
            Message::Request { id, .. } => {
                let limit = self.limits.max_body as u64;
                let (load, status) = (self.load(), Status::RequestTooLarge { limit });
                link.lane.push(&Message::Reply { id, load, status, body: Bytes::new() })?;
            }
            Message::Reply { id, load, .. } => {
                let limit = self.limits.max_body as u64;
                self.on_reply(link, id, load, Status::ReplyTooLarge { limit }, Bytes::new());
            }
            _ => return Err(error.into()),
        }
        Ok(())
    }

    fn datagram(&self, _link: &Arc<Link>, datagram: Bytes) {
        match datagram.split_first() {
            Some((&MEMBERSHIP, _)) => {
                self.membership.offer(MembershipInput::Datagram(datagram.slice(1..)));
            }
            Some((&FACTS, facts)) => self.on_facts(facts),
            _ => tracing::debug!("a datagram of unknown kind"),
        }
    }

    fn closed(&self, link: &Arc<Link>) {
        self.pool().remove(link);
        tracing::debug!(peer = %link.peer.id, "unlinked");
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }
}

fn close(connection: Option<Connection>) {
    if let Some(connection) = connection {
        connection.close(CLOSE_REFUSED, b"");
    }
}
