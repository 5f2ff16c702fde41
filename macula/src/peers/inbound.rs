//! What peers say, handed to the room it belongs to.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::time::Instant;

use super::MEMBERSHIP;
use crate::Limits;
use crate::directory::driver::FACTS;
use crate::identity::NodeId;
use crate::membership::{MembershipInput, Packet};
use crate::mesh::Inner;
use crate::quiet::{Kind, Who};
use crate::rpc::Answer;
use crate::rpc::server::Asked;
use crate::transport::link::{Inbound, Link, Violation};
use crate::wire::{Message, Status};

impl Inbound for Inner {
    fn message(
        &self,
        link: &Arc<Link>,
        message: Message,
        now: &mut Instant,
    ) -> Result<(), Violation> {
        match message {
            Message::Request { id, method, key, remaining, room, extensions, headers, body } => {
                let what = Asked { method, key, remaining, room, extensions, headers, body };
                return self.on_request(link, id, what, now);
            }
            Message::Reply { id, load, status, headers, body } => {
                self.on_reply(link, id, load, status, Answer { body, headers }, *now);
            }
            Message::Cancel { id } => link.cancel(id),
            Message::Extend { id, by } => self.on_extend(link, id, by),
            Message::Ping(number) => link.answer(&Message::Pong(number))?,
            // Zero asks for any sound of the peer, and is no answer to whoever asked for more.
            Message::Pong(0) => {}
            Message::Pong(number) => link.questions.answer(number),
            Message::Record(bytes) => self.on_record(link, bytes),
            Message::Summary(theirs) => self.on_summary(link, theirs),
            Message::Digest(bytes) => self.on_digest(link, &bytes),
            Message::Pull(nodes) => self.on_pull(link, &nodes),
            Message::Members(table) => {
                if link.table_due.swap(false, Ordering::Relaxed) {
                    self.membership.insist(MembershipInput::Table(link.peer.id, table));
                }
            }
            Message::Done => link.note_done(),
            // Whoever says it again is gone already.
            Message::Goodbye if link.gone.swap(true, Ordering::Relaxed) => {}
            Message::Goodbye => {
                let known = self.state().alive.get(&link.peer.id).copied();
                // On the connection of an earlier life it is that one that leaves; on the present one
                // it may have been renewed since.
                let present = self.link(&link.peer.id).is_none_or(|now| Arc::ptr_eq(&now, link));
                let left = known.filter(|_| present).unwrap_or(link.peer);
                self.membership.insist(MembershipInput::Left(left));
                if known.is_none() {
                    // The cluster has no room for it, so that nobody else ends its connection.
                    self.part(link.clone());
                }
            }
        }
        Ok(())
    }

    fn datagram(&self, link: &Arc<Link>, datagram: Bytes) {
        match datagram.split_first() {
            // Nobody speaks in the name of another.
            Some((&MEMBERSHIP, packet)) if Packet::sender(packet) == Some(link.peer.id) => {
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

    fn refused(&self, status: Status) {
        self.refused.note(status);
    }

    fn may_say(&self, kind: Kind, peer: NodeId) -> Option<u64> {
        Inner::may_say(self, kind, Who::Node(peer))
    }

    fn load(&self) -> u16 {
        Inner::load(self)
    }
}
