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
            class: "storage".into(),
            started: 1_763_737_459_000,
            metadata: [("zone", "eu-1"), ("owner", "")].into_iter().collect(),
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

type Change = fn(&mut NodeRecord, usize);

#[test]
fn each_limit_holds_when_sealing_and_when_opening() {
    let limits: [(Change, usize, usize); 13] = [
        (|r, n| r.name = "n".repeat(n), 1, 255),
        (|r, n| r.tags = (0..n).map(|i| i.to_string()).collect(), 0, 64),
        (|r, n| r.tags = ["t".repeat(n)].into(), 1, 64),
        (|r, n| r.addrs = vec![r.addrs[0]; n], 0, 8),
        (|r, n| r.services = vec![r.services[0].clone(); n], 0, 256),
        (|r, n| r.services[0].name = "s".repeat(n), 1, 128),
        (|r, n| r.services[0].version = "v".repeat(n), 0, 32),
        (|r, n| r.services[0].methods = vec![r.services[0].methods[0].clone(); n], 0, 256),
        (|r, n| r.services[0].methods[0].name = "m".repeat(n), 1, 128),
        (|r, n| r.services[0].class = "c".repeat(n), 0, 64),
        (|r, n| r.services[0].metadata = (0..n).map(|i| (i.to_string(), "v")).collect(), 0, 16),
        (|r, n| r.services[0].metadata = [("k".repeat(n), "v")].into_iter().collect(), 1, 64),
        (|r, n| r.services[0].metadata = [("k", "v".repeat(n))].into_iter().collect(), 0, 256),
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
    let texts: [(Put, Field); 8] = [
        (|r, text| r.name = text, Field::NodeName),
        (|r, text| r.tags = ["db".into(), text].into(), Field::Tag),
        (|r, text| r.services[0].name = text, Field::ServiceName),
        (|r, text| r.services[0].version = text, Field::ServiceVersion),
        (|r, text| r.services[0].methods[0].name = text, Field::MethodName),
        (|r, text| r.services[0].class = text, Field::ServiceClass),
        (
            |r, text| r.services[0].metadata = [(text, "v")].into_iter().collect(),
            Field::MetadataKey,
        ),
        (
            |r, text| r.services[0].metadata = [("k", text)].into_iter().collect(),
            Field::MetadataValue,
        ),
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
    fn no_damaged_record_panics(at in 32_usize..200, byte in any::<u8>()) {
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
