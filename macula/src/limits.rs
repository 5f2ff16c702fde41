//! Every bound of the mesh in one place. None is zero, none is infinite.

use std::time::Duration;

/// What a node accepts, keeps and waits for, at most.
///
/// The defaults suit a service cluster on one site. All sizes are in bytes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The largest encoded argument list or reply that is sent or taken: 16 MiB.
    pub max_body: usize,
    /// How long a peer may take to prove that it belongs to the realm, from its first packet to
    /// its proof: 5 s.
    pub admission_timeout: Duration,
    /// How many peers may be in the middle of proving themselves at once: 256. Above it new
    /// connections are refused; above half of it they must first prove their address.
    pub max_admissions: usize,
    /// How long a dial may take in all, with the proof: 3 s.
    pub dial_timeout: Duration,
    /// A connection on which nothing moved for this long is closed: 30 s.
    pub idle_timeout: Duration,
    /// How many connections are kept whether or not calls go over them: 128. A connection takes some
    /// 70 KiB, and to make one again some 10 KiB on the wire and 2 ms of CPU time; a node of a cluster
    /// that is larger than this makes one or two in a second, for membership has each node talk to a
    /// random other one in each second. Of those beyond it the
    /// ones without calls for the longest time are closed, as soon as that is
    /// [`unused_connection_time`](Self::unused_connection_time), and made anew when they are needed.
    /// Connections over which calls go count, but are closed for no number of them.
    pub kept_connections: usize,
    /// How long no call must have gone over a connection, in either direction, before it may be
    /// closed because there are too many: 20 s, and 3 s at least. Less than a suspicion lasts, ten seconds or so,
    /// takes from nodes that are suspected wrongly the connection on which they are asked.
    pub unused_connection_time: Duration,
    /// How many calls of one peer may run or queue here at once: 8192.
    pub max_calls_per_peer: usize,
    /// How many nodes a cluster may have: 16 384.
    pub max_members: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: 16 << 20,
            admission_timeout: Duration::from_secs(5),
            max_admissions: 256,
            dial_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(30),
            kept_connections: 128,
            unused_connection_time: Duration::from_secs(20),
            max_calls_per_peer: 8192,
            max_members: 16_384,
        }
    }
}

/// How many of the largest replies may wait to be sent to one peer: one that asks for more and does
/// not read them is disconnected.
pub(crate) const UNSENT_REPLIES: usize = 64;

/// A frame longer than this travels on a stream of its own, so that it does not delay the small
/// ones: 32 KiB.
pub(crate) const LANE_THRESHOLD: usize = 32 << 10;
/// The longest frame that is accepted on a lane. Directory records travel there, and are longer
/// than any call that does: 128 KiB.
pub(crate) const LANE_FRAME: usize = 128 << 10;
/// What a frame carries beside a body, at most: headers, and a few fields.
pub(crate) const FRAME_OVERHEAD: usize = 8 << 10;
/// Callers wait while more bytes than this have gathered on a lane beside the batch that is being
/// written: 1 MiB.
pub(crate) const LANE_HIGH_WATER: usize = 1 << 20;
/// A lane on which more bytes than this have gathered, beside the batch that is being written,
/// belongs to a peer that does not read: 64 MiB.
pub(crate) const LANE_CAPACITY: usize = 64 << 20;
/// Bodies on streams of their own that one peer may have under way: 64.
pub(crate) const BODY_STREAMS: u32 = 64;
/// How long a body on a stream of its own may stand still before it is given up: 30 s.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// What a peer that is not admitted yet may have us buffer: 16 KiB.
pub(crate) const UNADMITTED_WINDOW: u32 = 16 << 10;
/// What an admitted peer may have us buffer, per connection: 24 MiB.
pub(crate) const ADMITTED_WINDOW: u32 = 24 << 20;
/// The largest datagram we put on the wire: what is sure to fit at QUIC's smallest packet size.
pub(crate) const DATAGRAM: usize = 1100;
/// How often the deadline of one call may move: 1000 times.
pub const MAX_EXTENSIONS: u32 = 1000;
/// What a node says with a denial, in bytes at most: 4 KiB. What is longer is left out.
pub const MAX_DENIED_BYTES: usize = 4 << 10;
/// The longest time left, and the most that a deadline may move in all, that is believed of a
/// peer's request: 24 h.
pub(crate) const MAX_TIME_LEFT: Duration = Duration::from_secs(24 * 3600);
/// Seeds of one node, in all: 1024.
pub(crate) const SEEDS: usize = 1024;
/// The longest seed file, in bytes: 256 KiB.
pub(crate) const SEED_FILE: u64 = 256 << 10;
/// Hosts that are looked up of those that DNS names for one seed, and addresses of one seed that are
/// dialled: 64.
pub(crate) const SEED_PLACES: usize = 64;
/// Seeds and neighbours that are asked at once: 64.
pub(crate) const ASKED_AT_ONCE: usize = 64;
