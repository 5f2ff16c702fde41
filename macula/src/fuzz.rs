//! Every decoder of the mesh behind one form, for the fuzzer and for the tests that replay its
//! corpus. Nothing here is for programs, or stable.

use bytes::Bytes;

use crate::directory::facts::{FactEntry, decode_batch, encode_batch};
use crate::directory::record::{MethodRecord, NodeRecord, SealedRecord, ServiceRecord};
use crate::directory::replica::{DigestEntry, Replica, decode_digest, encode_digest};
use crate::directory::{MAX_RECORD_BYTES, NodeStatus};
use crate::identity::key::{parse_generation, parse_seed};
use crate::identity::{Cookie, NodeId, SecretKey};
use crate::join::{Seed, local};
use crate::membership::{Claim, Hint, Member, MembershipInput, Packet, feed};
use crate::rpc::{Answer, Headers};
use crate::wire::{FrameBuffer, Hello, Introduction, Message, Status, Welcome, put_frame};

/// A decoder that takes any bytes, checks what it can of what they mean, and panics if that does
/// not hold.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of the target, and of its folder in the corpus.
    pub name: &'static str,
    /// Decodes.
    pub run: fn(&[u8]),
    /// Valid inputs, to be mutated.
    pub samples: fn() -> Vec<Vec<u8>>,
    /// Bytes that may be allocated for `n` bytes: so many times `n`, and so many more.
    pub memory: (usize, usize),
}

/// What is promised of bytes that come from peers.
const PEER: (usize, usize) = (4, 64 << 10);
const REALM: [u8; 8] = *b"a realm!";

/// All targets of this crate.
pub const TARGETS: &[Target] = &[
    Target { name: "frame", run: frame, samples: frames, memory: PEER },
    Target { name: "message", run: message, samples: messages, memory: PEER },
    Target { name: "hello", run: hello, samples: hellos, memory: PEER },
    Target { name: "welcome", run: welcome, samples: welcomes, memory: PEER },
    Target { name: "introduction", run: introduction, samples: introductions, memory: PEER },
    Target { name: "record", run: record, samples: records, memory: PEER },
    Target { name: "digest", run: digest, samples: digests, memory: PEER },
    Target { name: "facts", run: facts, samples: batches, memory: PEER },
    Target { name: "packet", run: packet, samples: packets, memory: PEER },
    Target { name: "members", run: members, samples: tables, memory: PEER },
    Target { name: "cookie", run: cookie, samples: cookies, memory: PEER },
    Target { name: "identity", run: identity, samples: identities, memory: PEER },
    Target { name: "address", run: address, samples: addresses, memory: PEER },
];

fn key() -> SecretKey {
    SecretKey::from_bytes([3; 32])
}

fn life(n: u8) -> Member {
    let addr = std::net::SocketAddr::from(([10, 0, 0, n], 7000));
    Member { id: NodeId::from_bytes([n; 32]), addr, generation: u64::from(n) << 40 }
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

/// Cuts the bytes in two, and pushes the halves.
fn frame(bytes: &[u8]) {
    const LIMIT: usize = 4096;
    let mut buffer = FrameBuffer::new(LIMIT);
    let mut taken = 0;
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for half in [first, second] {
        buffer.push(Bytes::copy_from_slice(half));
        let _ = buffer.too_long_call(64);
        while let Ok(Some(frame)) = buffer.next_frame() {
            assert!(frame.len() <= LIMIT, "a frame over the limit");
            taken += 4 + frame.len();
        }
    }
    assert_eq!(taken + buffer.len(), bytes.len(), "no byte is lost or made up");
}

fn frames() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for message in messages() {
        put_frame(&mut out, |out| out.extend_from_slice(&message));
    }
    vec![out, u32::MAX.to_le_bytes().to_vec()]
}

fn message(bytes: &[u8]) {
    let Ok(message) = Message::decode(Bytes::copy_from_slice(bytes)) else { return };
    assert!(message.body_len() <= bytes.len());
    let mut again = Vec::with_capacity(bytes.len() + 64);
    message.encode(&mut again);
    assert_eq!(Message::decode(again.into()), Ok(message), "it reads back");
}

fn messages() -> Vec<Vec<u8>> {
    let second = std::time::Duration::from_secs(1);
    let body = Bytes::from_static(b"a body");
    let mut headers = Headers::new();
    let _ = headers.insert("tenant", "Zürich");
    let _ =
        headers.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let request = |headers| Message::Request {
        id: 300,
        method: 7,
        key: *b"a shape!",
        remaining: second,
        room: second,
        extensions: 3,
        headers,
        body: body.clone(),
    };
    let mut all = vec![
        request(Headers::new()),
        request(headers.clone()),
        Message::Cancel { id: u64::MAX },
        Message::Extend { id: 1, by: second },
        Message::Ping(0),
        Message::Pong(77),
        Message::Summary(u64::MAX),
        Message::Pull(vec![life(1).id, life(2).id]),
        Message::Goodbye,
        Message::Done,
    ];
    let statuses = [
        Status::Done,
        Status::Overloaded { retry_after: second },
        Status::Incompatible { theirs: *b"another!" },
        Status::RequestTooLarge { limit: 9 },
        Status::Panicked,
    ];
    let reply = |status, headers| Answer { body: body.clone(), headers }.reply(5, 2, status);
    all.extend(statuses.map(|status| reply(status, Headers::new())));
    all.push(reply(Status::Done, headers));
    all.extend(records().into_iter().map(|bytes| Message::Record(bytes.into())));
    all.extend(digests().into_iter().map(|bytes| Message::Digest(bytes.into())));
    all.extend(tables().into_iter().map(|bytes| Message::Members(bytes.into())));
    all.iter().map(encoded).collect()
}

fn hello(bytes: &[u8]) {
    if let Ok(hello) = Hello::decode(Bytes::copy_from_slice(bytes)) {
        let mut again = Vec::new();
        hello.encode(&mut again);
        assert_eq!(again, bytes);
    }
}

fn hellos() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    Hello { versions: (1, 2), realm: REALM, proof: [9; 32] }.encode(&mut out);
    vec![out]
}

fn welcome(bytes: &[u8]) {
    if let Ok(welcome) = Welcome::decode(Bytes::copy_from_slice(bytes)) {
        let mut again = Vec::new();
        welcome.encode(&mut again);
        assert_eq!(again, bytes);
    }
}

fn welcomes() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    Welcome { version: 1, proof: [9; 32] }.encode(&mut out);
    vec![out]
}

fn introduction(bytes: &[u8]) {
    if let Ok(introduction) = Introduction::decode(bytes) {
        let mut again = Vec::new();
        introduction.encode(&mut again);
        assert!(again.len() <= Introduction::LENGTH);
        assert_eq!(Introduction::decode(&again), Ok(introduction));
    }
}

fn introductions() -> Vec<Vec<u8>> {
    let encode = |joining| {
        let mut out = Vec::new();
        Introduction { member: life(1), joining }.encode(&mut out);
        out
    };
    vec![encode(true), encode(false)]
}

/// As from whoever signs anything, so that the decoder behind the signature is reached.
fn record(bytes: &[u8]) {
    if let Ok(sealed) = SealedRecord::open(Bytes::copy_from_slice(bytes), REALM, |_, _, _| true) {
        assert!(sealed.bytes().len() <= MAX_RECORD_BYTES);
        assert_eq!(sealed.bytes(), bytes, "it is passed on as it came");
    }
}

fn records() -> Vec<Vec<u8>> {
    let method = |n: u8| MethodRecord { name: format!("m{n}"), id: n.into(), key: [n; 8] };
    let service = |n: u8| ServiceRecord {
        name: format!("Service{n}"),
        version: "1.2".into(),
        methods: (0..n).map(method).collect(),
        class: "storage".into(),
        started: 1_763_737_459_000,
        metadata: (0..n).map(|n| (format!("key-{n}"), "a value")).collect(),
    };
    let record = |services: u8| NodeRecord {
        node: key().id(),
        incarnation: 1 << 40,
        version: 3,
        name: "db-1@host".into(),
        tags: ["db", "eu"].map(str::to_owned).into(),
        addrs: vec![life(1).addr],
        status: NodeStatus::Serving,
        services: (0..services).map(service).collect(),
        topology: Some([7; 8]),
    };
    let seal = |record| {
        let sealed = SealedRecord::seal(record, REALM, |bytes| key().sign(bytes));
        sealed.map(|sealed| sealed.bytes().to_vec()).unwrap_or_default()
    };
    // As much as can be said in few bytes.
    let pair = |n: u8| (char::from(b'a' + n).to_string(), "");
    let terse = ServiceRecord {
        name: "s".into(),
        metadata: (0..16).map(pair).collect(),
        ..ServiceRecord::default()
    };
    let crowded = NodeRecord { services: vec![terse; 256], ..record(0) };
    vec![seal(record(0)), seal(record(3)), seal(crowded)]
}

fn digest(bytes: &[u8]) {
    if let Ok(digest) = decode_digest(bytes) {
        let wanted = Replica::default().compare(&digest).wanted;
        assert!(wanted.len() <= digest.len());
    }
}

fn digests() -> Vec<Vec<u8>> {
    let entry = |n| DigestEntry { node: life(n).id, incarnation: 1 << 40, version: n.into() };
    let digest: Vec<_> = (1..4).map(entry).collect();
    vec![encode_digest(&[]).unwrap_or_default(), encode_digest(&digest).unwrap_or_default()]
}

fn facts(bytes: &[u8]) {
    if let Ok(batch) = decode_batch(bytes) {
        assert!(batch.iter().all(|entry| entry.bytes.len() <= 192));
    }
}

fn batches() -> Vec<Vec<u8>> {
    let entry = |n: u8| FactEntry {
        node: life(n).id,
        incarnation: 1 << 40,
        seq: n.into(),
        age_ms: 1000,
        bytes: vec![n; usize::from(n) * 40].into(),
    };
    let batch: Vec<_> = (0..4).map(entry).collect();
    vec![encode_batch(&batch).unwrap_or_default()]
}

fn packet(bytes: &[u8]) {
    if bytes.len() < 1100 && Packet::sender(bytes).is_some() {
        feed(life(1), life(2), MembershipInput::Datagram(Bytes::copy_from_slice(bytes)));
    }
}

fn packets() -> Vec<Vec<u8>> {
    let claims = [
        Claim::alive(life(3)),
        Claim::new(life(2), 4, foca::State::Suspect),
        Claim::new(life(1), 0, foca::State::Down),
    ];
    let hint = Hint { node: life(3).id, incarnation: 1 << 40, version: 2 }.encode();
    let head = |message| {
        let (src, dst) = (life(1), life(2));
        let header = foca::Header { src, src_incarnation: 0, dst, message };
        postcard::to_allocvec(&header).unwrap_or_default()
    };
    let with_claims = |message| {
        let mut packet = head(message);
        packet.extend([0, 3]);
        claims.iter().for_each(|claim| {
            packet.extend(postcard::to_allocvec(claim).unwrap_or_default());
        });
        packet
    };
    let mut hinted = with_claims(foca::Message::Gossip);
    hinted.extend([0, hint.len() as u8]);
    hinted.extend(&hint);
    let target = life(3);
    vec![
        with_claims(foca::Message::Ping(7)),
        with_claims(foca::Message::PingReq { target, probe_number: 1 }),
        with_claims(foca::Message::Feed),
        head(foca::Message::Announce),
        head(foca::Message::TurnUndead),
        hinted,
    ]
}

fn members(bytes: &[u8]) {
    let table = MembershipInput::Table(life(1).id, Bytes::copy_from_slice(bytes));
    feed(life(1), life(2), table);
}

fn tables() -> Vec<Vec<u8>> {
    let table: Vec<_> = (1..6).map(|n| Claim::alive(life(n))).collect();
    vec![postcard::to_allocvec(&table).unwrap_or_default()]
}

fn cookie(bytes: &[u8]) {
    if let Ok(cookie) = Cookie::new(bytes) {
        assert_eq!(format!("{cookie:?}"), "Cookie(..)");
    }
}

fn cookies() -> Vec<Vec<u8>> {
    vec![b"0123456789abcdef\n".to_vec(), b"\r\n".to_vec()]
}

fn identity(bytes: &[u8]) {
    let _ = parse_seed(bytes);
    let _ = parse_generation(bytes);
    let text = String::from_utf8_lossy(bytes);
    if let Ok(id) = text.parse::<NodeId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}

fn identities() -> Vec<Vec<u8>> {
    let id = key().id().to_string();
    vec![id.clone().into_bytes(), (id + "\n").into_bytes(), b"1763737459000\n".to_vec()]
}

/// The address file of a local node, and a seed.
fn address(bytes: &[u8]) {
    let _ = local::parse_address(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Seed::parse(text, "");
    }
}

fn addresses() -> Vec<Vec<u8>> {
    ["127.0.0.1:7000\n", "[fe80::1%4294967295]:65535\n", "db-1.example:9443"]
        .map(|text| text.as_bytes().to_vec())
        .into()
}
