//! The record of a node, and its sealed form: the bytes that the node signed.
//!
//! A sealed record is `postcard(record) ‖ signature`, 64 bytes of Ed25519 over
//! `"macula directory record v1" ‖ realm tag ‖ postcard(record)`. The first 32 bytes are the key
//! that must have signed it, so a record is authenticated before anything else of it is decoded,
//! and it stays proof of its origin however many nodes pass it on.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

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

const DOMAIN: &[u8] = b"macula directory record v1";
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
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServiceRecord {
    /// The name of the service, 1 to [`MAX_NAME_BYTES`] bytes.
    pub name: String,
    /// The version its author gave it, at most [`MAX_VERSION_BYTES`] bytes, possibly none.
    pub version: String,
    /// Its methods, at most [`MAX_METHODS`].
    #[serde(deserialize_with = "at_most::<_, _, MAX_METHODS>")]
    pub methods: Vec<MethodRecord>,
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
        record.check()?;
        let mut bytes = postcard::to_stdvec(&record).map_err(|_| RecordError::Malformed)?;
        whole(bytes.len() + SIGNATURE_BYTES)?;
        let signature = sign(&signed_message(realm, &bytes));
        bytes.extend_from_slice(&signature);
        Ok(Self { record: Arc::new(record), bytes: bytes.into() })
    }

    /// Takes the bytes of a sealed record from anywhere.
    ///
    /// The length is checked first, then the signature by `verify`, and only what that node
    /// really signed for this realm is decoded. Decoding allocates at most 4 times the length
    /// plus 40 KiB.
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

/// Decodes a list that announces at most `MAX` entries. The announced room is reserved at once:
/// a list that then falls short ends the decoding, so that only one list of each kind (256
/// services and 256 methods: 28 KiB) is ever reserved in vain.
fn at_most<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    from.deserialize_seq(AtMost::<T, MAX>(PhantomData))
}

fn tags<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<String>, D::Error> {
    Ok(at_most::<D, String, MAX_TAGS>(from)?.into_iter().collect())
}

struct AtMost<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for AtMost<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vec<T>, A::Error> {
        let announced = from.size_hint().unwrap_or(0);
        if announced > MAX {
            return Err(A::Error::invalid_length(announced, &self));
        }
        let mut list = Vec::with_capacity(announced);
        while let Some(entry) = from.next_element()? {
            if list.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            list.push(entry);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
    use proptest::prelude::*;

    use super::*;

    const REALM: [u8; 8] = *b"realm-01";

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn record() -> NodeRecord {
        NodeRecord {
            node: NodeId::from_bytes(key().verifying_key().to_bytes()),
            incarnation: 3,
            version: 9,
            name: "db@h1".into(),
            tags: ["db".to_owned(), "eu".to_owned()].into(),
            addrs: vec!["10.0.0.1:9443".parse().unwrap(), "[::1]:9443".parse().unwrap()],
            status: NodeStatus::Serving,
            services: vec![ServiceRecord {
                name: "Users".into(),
                version: "1.2".into(),
                methods: vec![MethodRecord { name: "find".into(), id: u64::MAX, key: [1; 8] }],
            }],
            topology: Some([4; 8]),
        }
    }

    fn sign(message: &[u8]) -> [u8; 64] {
        key().sign(message).to_bytes()
    }

    fn verify(node: &NodeId, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(node.as_bytes())
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }

    fn seal(record: NodeRecord) -> Result<SealedRecord, RecordError> {
        SealedRecord::seal(record, REALM, sign)
    }

    fn open(bytes: impl Into<Bytes>) -> Result<SealedRecord, RecordError> {
        SealedRecord::open(bytes.into(), REALM, verify)
    }

    /// Bytes that are signed as they should be, whatever they say.
    fn signed(mut body: Vec<u8>) -> Vec<u8> {
        let signature = sign(&signed_message(REALM, &body));
        body.extend_from_slice(&signature);
        body
    }

    #[test]
    fn what_is_sealed_opens_as_it_was() {
        let sealed = seal(record()).unwrap();
        assert_eq!(**sealed.record(), record());
        assert_eq!(sealed.record().stamp(), (3, 9));
        assert_eq!(open(sealed.bytes().clone()), Ok(sealed));
    }

    #[test]
    fn every_altered_byte_is_noticed() {
        let sealed = seal(record()).unwrap();
        for at in 0..sealed.bytes().len() {
            let mut bytes = sealed.bytes().to_vec();
            bytes[at] ^= 1;
            assert!(matches!(open(bytes), Err(RecordError::Signature { .. })), "byte {at}");
        }
    }

    #[test]
    fn another_realm_or_another_key_does_not_open() {
        let node = record().node;
        let bytes = seal(record()).unwrap().bytes().clone();
        let elsewhere = SealedRecord::open(bytes, *b"realm-02", verify);
        assert_eq!(elsewhere, Err(RecordError::Signature { node }));

        let other = SigningKey::from_bytes(&[8; 32]);
        let forged = SealedRecord::seal(record(), REALM, |m| other.sign(m).to_bytes()).unwrap();
        assert_eq!(open(forged.bytes().clone()), Err(RecordError::Signature { node }));
    }

    #[test]
    fn short_long_and_trailing_bytes_are_refused() {
        assert_eq!(open(vec![0; 95]), Err(RecordError::Malformed));
        assert_eq!(open(Vec::new()), Err(RecordError::Malformed));
        let bytes = MAX_RECORD_BYTES + 1;
        assert_eq!(open(vec![0; bytes]), Err(RecordError::TooLarge { bytes }));

        let mut body = postcard::to_stdvec(&record()).unwrap();
        assert!(open(signed(body.clone())).is_ok());
        body.push(0);
        assert_eq!(open(signed(body)), Err(RecordError::Malformed));
    }

    #[test]
    fn nothing_is_decoded_before_the_signature_holds() {
        let mut body = record().node.as_bytes().to_vec();
        body.extend_from_slice(&[0xff; 200]);
        let refused = SealedRecord::open(body.clone().into(), REALM, |_, _, _| false);
        assert!(matches!(refused, Err(RecordError::Signature { .. })));
        assert_eq!(open(signed(body)), Err(RecordError::Malformed));
    }

    #[test]
    fn a_list_that_announces_too_much_is_refused_before_room_is_made() {
        let decode = |bytes: &[u8]| {
            let mut from = postcard::Deserializer::from_bytes(bytes);
            at_most::<_, u64, 3>(&mut from)
        };
        assert_eq!(decode(&[3, 1, 2, 3]), Ok(vec![1, 2, 3]));
        assert!(decode(&[4, 1, 2, 3, 4]).is_err());
        assert!(decode(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).is_err());
        assert!(decode(&[3, 1]).is_err());

        struct Undecoded;
        impl<'de> Deserialize<'de> for Undecoded {
            fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                panic!("an entry of a list that is too long was decoded")
            }
        }
        let mut from = postcard::Deserializer::from_bytes(&[4, 1, 2, 3, 4]);
        assert!(at_most::<_, Undecoded, 3>(&mut from).is_err());
    }

    type Change = fn(&mut NodeRecord, usize);

    #[test]
    fn each_limit_holds_when_sealing_and_when_opening() {
        let limits: [(Change, usize, usize); 9] = [
            (|r, n| r.name = "n".repeat(n), 1, 255),
            (|r, n| r.tags = (0..n).map(|i| i.to_string()).collect(), 0, 64),
            (|r, n| r.tags = ["t".repeat(n)].into(), 1, 64),
            (|r, n| r.addrs = vec![r.addrs[0]; n], 0, 8),
            (|r, n| r.services = vec![r.services[0].clone(); n], 0, 256),
            (|r, n| r.services[0].name = "s".repeat(n), 1, 128),
            (|r, n| r.services[0].version = "v".repeat(n), 0, 32),
            (|r, n| r.services[0].methods = vec![r.services[0].methods[0].clone(); n], 0, 256),
            (|r, n| r.services[0].methods[0].name = "m".repeat(n), 1, 128),
        ];
        for (index, (change, least, most)) in limits.into_iter().enumerate() {
            let with = |n| {
                let mut record = record();
                change(&mut record, n);
                record
            };
            for n in [least, most] {
                let sealed = seal(with(n)).unwrap();
                assert_eq!(open(sealed.bytes().clone()), Ok(sealed), "limit {index} at {n}");
            }
            for n in [least.checked_sub(1), Some(most + 1)].into_iter().flatten() {
                assert!(seal(with(n)).is_err(), "limit {index} sealed at {n}");
                let foreign = signed(postcard::to_stdvec(&with(n)).unwrap());
                assert!(open(foreign).is_err(), "limit {index} opened at {n}");
            }
        }
    }

    #[test]
    fn no_text_has_hidden_characters() {
        type Put = fn(&mut NodeRecord, String);
        let texts: [(Put, Field); 5] = [
            (|r, text| r.name = text, Field::NodeName),
            (|r, text| r.tags = ["db".into(), text].into(), Field::Tag),
            (|r, text| r.services[0].name = text, Field::ServiceName),
            (|r, text| r.services[0].version = text, Field::ServiceVersion),
            (|r, text| r.services[0].methods[0].name = text, Field::MethodName),
        ];
        for (change, field) in texts {
            for character in ['\u{1b}', '\n', '\u{202e}', '\u{e0101}'] {
                let mut record = record();
                change(&mut record, format!("x{character}y"));
                let refused = RecordError::Hidden { field, character };
                assert_eq!(seal(record.clone()), Err(refused.clone()));
                // Not one that a peer has signed, either.
                assert_eq!(open(signed(postcard::to_stdvec(&record).unwrap())), Err(refused));
            }
        }
    }

    #[test]
    fn a_record_that_is_large_as_a_whole_is_not_signed() {
        let mut large = record();
        large.services[0].methods = vec![large.services[0].methods[0].clone(); 256];
        large.services = vec![large.services[0].clone(); 256];
        let refused = SealedRecord::seal(large, REALM, |_| panic!("it was signed"));
        assert!(matches!(refused, Err(RecordError::TooLarge { bytes }) if bytes > 1 << 20));
    }

    #[test]
    fn errors_say_what_to_do() {
        let empty = seal(NodeRecord { name: String::new(), ..record() }).unwrap_err();
        assert_eq!(empty.to_string(), "a node name takes 0 bytes: give it 1 to 255");
        let addrs = vec!["10.0.0.1:9443".parse().unwrap(); 9];
        let many = seal(NodeRecord { addrs, ..record() }).unwrap_err();
        assert_eq!(
            many.to_string(),
            "the node has 9 address entries, more than 8: remove some of them"
        );
        let tags = ["d\u{200b}b".to_owned()].into();
        let hidden = seal(NodeRecord { tags, ..record() }).unwrap_err();
        assert_eq!(
            hidden.to_string(),
            "a tag has the character \\u{200b}, which is not seen: leave it out"
        );
    }

    proptest! {
        #[test]
        fn no_signed_bytes_panic(tail in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut body = record().node.as_bytes().to_vec();
            body.extend_from_slice(&tail);
            let opened = SealedRecord::open(signed_by_nobody(body).into(), REALM, |_, _, _| true);
            if let Ok(sealed) = opened {
                prop_assert_eq!(sealed.record().check(), Ok(()));
            }
        }

        #[test]
        fn no_damaged_record_panics(at in 32_usize..140, byte in any::<u8>()) {
            let mut bytes = seal_unsigned().to_vec();
            let at = at.min(bytes.len() - 1);
            bytes[at] = byte;
            if let Ok(sealed) = SealedRecord::open(bytes.into(), REALM, |_, _, _| true) {
                prop_assert_eq!(sealed.record().check(), Ok(()));
            }
        }
    }

    fn signed_by_nobody(mut body: Vec<u8>) -> Vec<u8> {
        body.extend_from_slice(&[0; SIGNATURE_BYTES]);
        body
    }

    fn seal_unsigned() -> Bytes {
        SealedRecord::seal(record(), REALM, |_| [0; 64]).unwrap().bytes().clone()
    }
}
