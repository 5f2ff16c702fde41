//! How the packets of membership leave.

use std::sync::Arc;

use bytes::Bytes;

use super::MEMBERSHIP;
use crate::membership::{Member, Packet};
use crate::mesh::Inner;
use crate::transport::link::Link;

/// A node with so many connections passes news on by them. With fewer it makes new ones to those whom
/// chance has chosen: so that all know each other by some way, whoever has joined through whom.
const ENOUGH: usize = 16;

impl Inner {
    pub(super) fn send_packet(self: &Arc<Self>, to: Member, packet: &[u8]) {
        let mut datagram = Vec::with_capacity(packet.len() + 1);
        datagram.push(MEMBERSHIP);
        datagram.extend_from_slice(packet);
        let datagram = Bytes::from(datagram);
        self.traffic.membership.add(datagram.len());
        if let Some(link) = self.link(&to.id) {
            return link.send_datagram(datagram);
        }
        // Whoever is no member is not worth a dial: a peer may name anybody, and any address.
        let Some(member) = self.state().alive.get(&to.id).copied() else { return };
        if let Some((link, other)) = self.any_other_way(packet) {
            return link.send_datagram(other);
        }
        let inner = self.clone();
        self.spawn(async move {
            if let Ok(link) = inner.link_to(member.id, member.addr).await {
                link.send_datagram(datagram);
            }
        });
    }

    /// News are for anybody: where there are enough connections they need no new one.
    fn any_other_way(&self, packet: &[u8]) -> Option<(Arc<Link>, Bytes)> {
        let link = self.pool().any_link(ENOUGH, &mut rand::rng())?;
        let member = self.state().alive.get(&link.peer.id).copied()?;
        let mut datagram = vec![MEMBERSHIP];
        datagram.extend(Packet::redirected(packet, member)?);
        Some((link, datagram.into()))
    }
}
