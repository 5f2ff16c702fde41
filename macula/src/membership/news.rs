//! What the membership is told, and what it says.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::Member;
use super::gossip::Hint;
use crate::identity::NodeId;

/// What happens to the membership.
#[derive(Debug)]
pub(crate) enum MembershipInput {
    /// A packet from a peer.
    Datagram(Bytes),
    /// This peer has just proved itself on a connection: it is alive.
    Alive(Member),
    /// This peer said goodbye.
    Left(Member),
    /// The member table of this peer, which we joined.
    Table(NodeId, Bytes),
    /// What became of the [`Doubt`](MembershipNews::Doubt) about this life of a node: whether it was
    /// true.
    Settled(Member, bool),
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
    /// It has been down for a while, and nobody may ever tell us that it is not: to be dialled.
    Seek(Member),
    /// We were declared dead and live on under this name.
    Renewed(Member),
    Hint {
        hint: Hint,
        from: Option<Member>,
    },
    /// Somebody says that this life of a node is over, or that there is one that follows the known
    /// one; or its time to refute a suspicion has passed. `from` is nobody where that is our own
    /// suspicion. To be answered by
    /// [`Settled`](MembershipInput::Settled).
    Doubt {
        said: Member,
        known: u64,
        dead: bool,
        from: Option<NodeId>,
    },
    /// The member table of a peer has been taken in.
    Introduced,
    /// There is no more to say for now.
    ThatIsAll,
}
