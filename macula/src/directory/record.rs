//! The record of a node, and its sealed form: the bytes that the node signed.
//!
//! A sealed record is `postcard(record) ‖ signature`, 64 bytes of Ed25519 over
//! `"macula directory record v2" ‖ realm tag ‖ postcard(record)`. The first 32 bytes are the key
//! that must have signed it, so a record is authenticated before anything else of it is decoded,
//! and it stays proof of its origin however many nodes pass it on.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::bounded::{at_most, tags};
use super::metadata::Metadata;
use crate::identity::NodeId;
use crate::text::is_hidden;

/// Bytes of a sealed record at most, its signature included.
pub const MAX_RECORD_BYTES: usize = 64 * 1024;
/// Bytes of a node's name at most; it has at least one.
pub const MAX_NODE_NAME_BYTES: usize = 255;
/// Tags of a node at most.
pub const MAX_TAGS: usize = 64;
/// Bytes of one tag at most; it has at least one.
pub const MAX_TAG_BYTES: usize = 64;
/// Addresses of a node at most.
pub const MAX_ADDRS: usize = 8;
/// Services of a node at most.
pub const MAX_SERVICES: usize = 256;
/// Methods of one service at most.
pub const MAX_METHODS: usize = 256;
/// Bytes of the name of a service or of a method at most; it has at least one.
pub const MAX_NAME_BYTES: usize = 128;
/// Bytes of the version of a service at most; it may be empty.
pub const MAX_VERSION_BYTES: usize = 32;
/// Bytes of the class of a service at most; it may be empty.
pub const MAX_CLASS_BYTES: usize = 64;
/// Pairs in the metadata of one service at most.
pub const MAX_METADATA: usize = 16;
/// Bytes of a key of the metadata at most; it has at least one.
pub const MAX_METADATA_KEY_BYTES: usize = 64;
/// Bytes of a value of the metadata at most; it may be empty.
pub const MAX_METADATA_VALUE_BYTES: usize = 256;

const DOMAIN: &[u8] = b"macula directory record v2";
const SIGNATURE_BYTES: usize = 64;

/// What one node says about itself: where it is and what it serves.
///
/// Only the node itself writes it. Of two records of a node the one with the greater
/// `(incarnation, version)` holds; a node never gives the same pair to two different records.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodeRecord {
    /// The key that signs this record. First on the wire, so that it is known before decoding.
    pub node: NodeId,
    /// Rises with every start of the node.
    pub incarnation: u64,
    /// Rises with every change of the record within one life of the node.
    pub version: u64,
    /// The name people gave to the node, 1 to [`MAX_NODE_NAME_BYTES`] bytes. Not unique. Neither it
    /// nor any other text of a record has a [hidden character](crate::text::is_hidden).
    pub name: String,
    /// What selectors match, at most [`MAX_TAGS`] of 1 to [`MAX_TAG_BYTES`] bytes.
    #[serde(deserialize_with = "tags")]
    pub tags: BTreeSet<String>,
    /// Where the node listens, best first, at most [`MAX_ADDRS`]. The flow and the scope of an
    /// IPv6 address mean something on one machine only and do not travel.
    #[serde(deserialize_with = "at_most::<_, _, MAX_ADDRS>")]
    pub addrs: Vec<SocketAddr>,
    /// Whether the node takes new calls.
    pub status: NodeStatus,
    /// What the node serves, at most [`MAX_SERVICES`].
    #[serde(deserialize_with = "at_most::<_, _, MAX_SERVICES>")]
    pub services: Vec<ServiceRecord>,
    /// The hash of the cluster topology that the node was configured with, if it has one.
    pub topology: Option<[u8; 8]>,
}

/// Whether a node takes new calls.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum NodeStatus {
    /// It does.
    Serving,
    /// It refuses new calls and finishes those that run.
    Draining,
    /// It said goodbye; this is the last record of this life.
    Left,
}

/// One service of a node.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServiceRecord {
    /// The name of the service, 1 to [`MAX_NAME_BYTES`] bytes.
    pub name: String,
    /// The version its author gave it, at most [`MAX_VERSION_BYTES`] bytes, possibly none.
    pub version: String,
    /// Its methods, at most [`MAX_METHODS`].
    #[serde(deserialize_with = "at_most::<_, _, MAX_METHODS>")]
    pub methods: Vec<MethodRecord>,
    /// What kind of service it is, as its operator sorts them: at most [`MAX_CLASS_BYTES`] bytes,
    /// possibly none.
    pub class: String,
    /// When it started, in milliseconds since the Unix epoch by the clock of its node.
    pub started: u64,
    /// What else its operator says of it: at most [`MAX_METADATA`] pairs, keys of 1 to
    /// [`MAX_METADATA_KEY_BYTES`] bytes and values of at most [`MAX_METADATA_VALUE_BYTES`].
    pub metadata: Metadata,
}

/// One method of a service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MethodRecord {
    /// The name of the method, 1 to [`MAX_NAME_BYTES`] bytes.
    pub name: String,
    /// The hash of `service/method`, by which calls name the method.
    pub id: u64,
    /// The hash of the shape of its arguments and results: callers with another shape are
    /// incompatible.
    pub key: [u8; 8],
}

impl NodeRecord {
    /// What decides which of two records of one node is the newer.
    pub(crate) fn stamp(&self) -> (u64, u64) {
        (self.incarnation, self.version)
    }

    /// What is signed of it, if that is within the limits of this module.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, RecordError> {
        self.check()?;
        let bytes = postcard::to_stdvec(self).map_err(|_| RecordError::Malformed)?;
        whole(bytes.len() + SIGNATURE_BYTES)?;
        Ok(bytes)
    }

    fn check(&self) -> Result<(), RecordError> {
        text(Field::NodeName, &self.name, 1, MAX_NODE_NAME_BYTES)?;
        count(Field::Tag, self.tags.len(), MAX_TAGS)?;
        for tag in &self.tags {
            text(Field::Tag, tag, 1, MAX_TAG_BYTES)?;
        }
        count(Field::Address, self.addrs.len(), MAX_ADDRS)?;
        count(Field::ServiceName, self.services.len(), MAX_SERVICES)?;
        self.services.iter().try_for_each(ServiceRecord::check)
    }
}

impl ServiceRecord {
    /// Whether it is within the limits of this module.
    pub(crate) fn check(&self) -> Result<(), RecordError> {
        text(Field::ServiceName, &self.name, 1, MAX_NAME_BYTES)?;
        text(Field::ServiceVersion, &self.version, 0, MAX_VERSION_BYTES)?;
        count(Field::MethodName, self.methods.len(), MAX_METHODS)?;
        for method in &self.methods {
            text(Field::MethodName, &method.name, 1, MAX_NAME_BYTES)?;
        }
        text(Field::ServiceClass, &self.class, 0, MAX_CLASS_BYTES)?;
        count(Field::Metadata, self.metadata.len(), MAX_METADATA)?;
        for (key, value) in self.metadata.iter() {
            text(Field::MetadataKey, key, 1, MAX_METADATA_KEY_BYTES)?;
            text(Field::MetadataValue, value, 0, MAX_METADATA_VALUE_BYTES)?;
        }
        Ok(())
    }
}

/// A record together with the bytes its node signed. Cheap to clone, and within every limit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SealedRecord {
    record: Arc<NodeRecord>,
    bytes: Bytes,
}

impl SealedRecord {
    /// Encodes `record` and signs it for the realm with that tag. `sign` must use the secret
    /// half of `record.node`.
    ///
    /// # Errors
    /// A limit of this module is exceeded. `sign` has not been called then.
    pub(crate) fn seal(
        record: NodeRecord,
        realm: [u8; 8],
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<Self, RecordError> {
        let mut bytes = record.encode()?;
        let signature = sign(&signed_message(realm, &bytes));
        bytes.extend_from_slice(&signature);
        Ok(Self { record: Arc::new(record), bytes: bytes.into() })
    }

    /// Takes the bytes of a sealed record from anywhere.
    ///
    /// The length is checked first, then the signature by `verify`, and only what that node
    /// really signed for this realm is decoded. Decoding allocates at most 4 times the length
    /// plus 60 KiB.
    ///
    /// # Errors
    /// The bytes are not such a record, or it exceeds a limit of this module.
    pub(crate) fn open(
        bytes: Bytes,
        realm: [u8; 8],
        verify: impl FnOnce(&NodeId, &[u8], &[u8; 64]) -> bool,
    ) -> Result<Self, RecordError> {
        whole(bytes.len())?;
        let (body, signature) =
            bytes.split_last_chunk::<SIGNATURE_BYTES>().ok_or(RecordError::Malformed)?;
        let node = body.first_chunk::<32>().ok_or(RecordError::Malformed)?;
        let node = NodeId::from_bytes(*node);
        if !verify(&node, &signed_message(realm, body), signature) {
            return Err(RecordError::Signature { node });
        }
        let (record, rest) =
            postcard::take_from_bytes::<NodeRecord>(body).map_err(|_| RecordError::Malformed)?;
        if !rest.is_empty() {
            return Err(RecordError::Malformed);
        }
        record.check()?;
        Ok(Self { record: Arc::new(record), bytes })
    }

    /// What the node says.
    pub(crate) fn record(&self) -> &Arc<NodeRecord> {
        &self.record
    }

    /// What [`SealedRecord::open`] takes, at most [`MAX_RECORD_BYTES`].
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Why a record was neither sealed nor opened. Nothing has changed then.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecordError {
    /// The whole record is too large.
    #[error(
        "the record of a node takes {bytes} bytes, more than {MAX_RECORD_BYTES}: serve fewer \
         methods on this node or shorten their names"
    )]
    TooLarge {
        /// The bytes it takes, its signature included.
        bytes: usize,
    },
    /// There is too much of something.
    #[error("the node has {count} {field} entries, more than {most}: remove some of them")]
    TooMany {
        /// What there is too much of.
        field: Field,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A text is empty or too long.
    #[error("a {field} takes {bytes} bytes: give it {least} to {most}")]
    Length {
        /// Whose text it is.
        field: Field,
        /// The bytes it takes in UTF-8.
        bytes: usize,
        /// The bytes it takes at least.
        least: usize,
        /// The bytes it takes at most.
        most: usize,
    },
    /// A text has a character that is not seen.
    #[error("a {field} has the character {}, which is not seen: leave it out", character.escape_default())]
    Hidden {
        /// Whose text it is.
        field: Field,
        /// The first such character.
        character: char,
    },
    /// The signature is not one of the node that the record names, for this realm.
    #[error(
        "the record of node {node:?} is not signed by it for this realm: check that the node \
         which passed it on belongs to the same realm"
    )]
    Signature {
        /// The node that the record names.
        node: NodeId,
    },
    /// The bytes are not a record, or there is more than a record in them, or it lists more than
    /// the limits allow.
    #[error("the bytes are not one record of a node: check that all nodes run compatible versions")]
    Malformed,
}

/// A part of a record that has a limit.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Field {
    /// The name of the node.
    NodeName,
    /// A tag of the node.
    Tag,
    /// An address of the node.
    Address,
    /// A service, by its name.
    ServiceName,
    /// The version of a service.
    ServiceVersion,
    /// A method, by its name.
    MethodName,
    /// The class of a service.
    ServiceClass,
    /// The metadata of a service.
    Metadata,
    /// A key of the metadata of a service.
    MetadataKey,
    /// A value of the metadata of a service.
    MetadataValue,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NodeName => "node name",
            Self::Tag => "tag",
            Self::Address => "address",
            Self::ServiceName => "service name",
            Self::ServiceVersion => "service version",
            Self::MethodName => "method name",
            Self::ServiceClass => "service class",
            Self::Metadata => "metadata",
            Self::MetadataKey => "metadata key",
            Self::MetadataValue => "metadata value",
        })
    }
}

fn signed_message(realm: [u8; 8], body: &[u8]) -> Vec<u8> {
    [DOMAIN, &realm, body].concat()
}

fn whole(bytes: usize) -> Result<(), RecordError> {
    if bytes > MAX_RECORD_BYTES { Err(RecordError::TooLarge { bytes }) } else { Ok(()) }
}

fn count(field: Field, count: usize, most: usize) -> Result<(), RecordError> {
    if count > most { Err(RecordError::TooMany { field, count, most }) } else { Ok(()) }
}

/// The text has that length, and can be shown to people.
fn text(field: Field, text: &str, least: usize, most: usize) -> Result<(), RecordError> {
    let bytes = text.len();
    if !(least..=most).contains(&bytes) {
        return Err(RecordError::Length { field, bytes, least, most });
    }
    match text.chars().find(|c| is_hidden(*c)) {
        Some(character) => Err(RecordError::Hidden { field, character }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
