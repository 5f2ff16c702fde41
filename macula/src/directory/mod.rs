//! Who serves what, where, with which tags: known on every node, without asking anybody.
//!
//! # Promise
//! Each node owns one record, signs it, and is the only one that can change it. Every node holds
//! a replica of all records. Replicas of nodes that can reach each other become equal, whatever
//! was lost, repeated or reordered on the way, and also after a partition heals. Looking somebody
//! up is a local read; what it finds may be a moment old, never another node's invention.
//!
//! # Protocol
//! - **On joining**, a node exchanges digests with its seed over one stream, then the records
//!   that either lacks: the full directory in one round trip.
//! - **On a change**, the owner raises its version, seals the record and pushes it to the peers it
//!   is connected to; a hint of the new version rides on membership packets, and whoever lacks it
//!   pulls the record from the owner or from the peer that passed the hint on.
//! - **Repair**: once a second each node sends the summary of its replica, eight bytes, to the next
//!   of its peers. If theirs differs they exchange digests, and the records in which they differ. A
//!   digest is as long as the cluster is large; while records change, when most summaries differ and
//!   hints are on their way, large clusters compare only now and then.
//! - **On leaving**, the owner withdraws its services in a last record, which says that it drains.
//!   A node that is no member offers nothing, and its record is dropped after 30 s. A tombstone then
//!   keeps late copies out for 10 min; a newer record returns at once, and so does the old one of a
//!   node that becomes a member again.
//! - **Fast facts**, such as the load of a machine, do not touch the record: they travel as small
//!   opaque blobs in a gossip of their own, unsigned, and stop travelling after a minute.
//!
//! # Limits
//! A record is at most [`MAX_RECORD_BYTES`]; its parts have the limits of the other constants
//! here. A directory holds 16 384 nodes, and refuses those beyond. A fact is at most 192 bytes. A
//! node that signs two different records with the same version is believed differently in
//! different places, about itself only. A fact is as trustworthy as the members that passed it on.

mod bounded;
pub(crate) mod driver;
pub(crate) mod facts;
pub(crate) mod list;
mod metadata;
mod publisher;
pub(crate) mod record;
pub(crate) mod replica;
mod view;

pub use metadata::Metadata;
pub use record::{
    Field, MAX_ADDRS, MAX_CLASS_BYTES, MAX_METADATA, MAX_METADATA_KEY_BYTES,
    MAX_METADATA_VALUE_BYTES, MAX_METHODS, MAX_NAME_BYTES, MAX_NODE_NAME_BYTES, MAX_RECORD_BYTES,
    MAX_SERVICES, MAX_TAG_BYTES, MAX_TAGS, MAX_VERSION_BYTES, MethodRecord, NodeRecord, NodeStatus,
    RecordError, ServiceRecord,
};
pub use view::{Changes, NodeView, Provider, View};
