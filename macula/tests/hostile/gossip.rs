//! What a member says of the membership, as it goes over the wire: postcard, in the order of foca.

use std::net::SocketAddr;

use macula::identity::NodeId;
use serde::{Deserialize, Serialize};

use crate::rude::Rude;

/// One life of a node: its id, its address and its generation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Life(pub(crate) NodeId, pub(crate) SocketAddr, pub(crate) u64);

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum State {
    Alive,
    Suspect,
    Down,
}

/// What is said of a life: its incarnation and its state.
pub(crate) type Claim = (Life, u16, State);

/// The messages by their place in the list of all.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(dead_code, reason = "they hold the places of those that are used")]
pub(crate) enum Kind {
    Ping(u8),
    Ack(u8),
    PingReq { target: Life, number: u8 },
    IndirectPing { origin: Life, number: u8 },
    IndirectAck { target: Life, number: u8 },
    ForwardedAck { origin: Life, number: u8 },
    Announce,
    Feed,
    Gossip,
    Broadcast,
    TurnUndead,
}

/// A datagram from `from` to `to`, with claims and with hints behind them.
pub(crate) fn packet(
    (from, to): (Life, Life),
    kind: Kind,
    claims: &[Claim],
    hints: &[(NodeId, u64, u64)],
) -> Vec<u8> {
    let mut packet = vec![0];
    packet.extend(postcard::to_stdvec(&(from, 0_u16, to, kind)).unwrap());
    packet.extend(u16::try_from(claims.len()).unwrap().to_be_bytes());
    for claim in claims {
        packet.extend(postcard::to_stdvec(claim).unwrap());
    }
    for hint in hints {
        let hint = postcard::to_stdvec(hint).unwrap();
        packet.extend(u16::try_from(hint.len()).unwrap().to_be_bytes());
        packet.extend(hint);
    }
    packet
}

/// A member table.
pub(crate) fn table(claims: &[Claim]) -> Vec<u8> {
    const MEMBERS: u8 = 10;
    [&[MEMBERS][..], &postcard::to_stdvec(claims).unwrap()].concat()
}

impl Rude {
    /// Itself, as it introduced itself.
    pub(crate) fn life(&self) -> Life {
        Life(self.key.id(), self.addr, 1)
    }

    pub(crate) fn gossip(&self, packet: Vec<u8>) {
        self.connection.send_datagram(packet.into()).unwrap();
    }
}
