use proptest::prelude::*;

use super::*;
use crate::rpc::headers::tests::headers;

fn micros() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_micros)
}

fn body() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..100).prop_map(Bytes::from)
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        micros().prop_map(|retry_after| Status::Overloaded { retry_after }),
        any::<[u8; 8]>().prop_map(|theirs| Status::Incompatible { theirs }),
        any::<u64>().prop_map(|limit| Status::RequestTooLarge { limit }),
        any::<u64>().prop_map(|limit| Status::ReplyTooLarge { limit }),
        prop::sample::select(vec![
            Status::Done,
            Status::UnknownMethod,
            Status::Draining,
            Status::Expired,
            Status::Denied,
            Status::Malformed,
            Status::Panicked,
            Status::Aborted,
            Status::Overran,
            Status::ReplyUnwritable,
            Status::Replaced,
            Status::HeldForDead,
        ]),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        (any::<(u64, u64, [u8; 8], u32)>(), micros(), micros(), headers(), body()).prop_map(
            |((id, method, key, extensions), remaining, room, headers, body)| Message::Request {
                id,
                method,
                key,
                remaining,
                room,
                extensions,
                headers,
                body
            }
        ),
        (any::<u64>(), any::<u16>(), status(), headers(), body()).prop_map(
            |(id, load, status, headers, body)| Message::Reply { id, load, status, headers, body }
        ),
        any::<u64>().prop_map(|id| Message::Cancel { id }),
        (any::<u64>(), micros()).prop_map(|(id, by)| Message::Extend { id, by }),
        any::<u64>().prop_map(Message::Ping),
        any::<u64>().prop_map(Message::Pong),
        body().prop_map(Message::Record),
        any::<u64>().prop_map(Message::Summary),
        body().prop_map(Message::Digest),
        prop::collection::vec(any::<[u8; 32]>().prop_map(NodeId::from_bytes), 0..5)
            .prop_map(Message::Pull),
        body().prop_map(Message::Members),
        Just(Message::Goodbye),
        Just(Message::Done),
    ]
}

proptest! {
    #[test]
    fn messages_round_trip(message in message()) {
        let mut out = Vec::new();
        message.encode(&mut out);
        prop_assert_eq!(Message::decode(out.clone().into()), Ok(message.clone()));
        let (head, body) = message.split();
        prop_assert_eq!([&head[..], &body[..]].concat(), &out[..]);
    }

    #[test]
    fn a_cut_message_is_an_error_or_another_message_but_never_panics(
        message in message(), keep in 0.0..1.0,
    ) {
        let mut out = Vec::new();
        message.encode(&mut out);
        out.truncate((out.len() as f64 * keep) as usize);
        if let Ok(shorter) = Message::decode(out.into()) {
            prop_assert_ne!(shorter, message);
        }
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::decode(Bytes::from(bytes));
    }
}

#[test]
fn headers_cost_nothing_where_there_are_none_and_a_lie_about_them_is_refused() {
    let reply = |headers, body: &'static [u8]| Message::Reply {
        id: 5,
        load: 2,
        status: Status::Done,
        headers,
        body: Bytes::from_static(body),
    };
    let encoded = |message: &Message| {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    };
    assert_eq!(encoded(&reply(Headers::new(), b"it")), [2, 5, 2, 0, 0, b'i', b't']);
    let mut headers = Headers::new();
    headers.insert("k", "v").unwrap();
    let whole = [15, 5, 2, 0, 0, 5, 1, 1, 0, b'k', b'v', b'i', b't'];
    assert_eq!(encoded(&reply(headers, b"it")), whole);

    let refused = |bytes: &[u8], error| {
        assert_eq!(Message::decode(Bytes::copy_from_slice(bytes)), Err(error), "{bytes:?}");
    };
    // None, where there should be some; and more than there are.
    refused(&[15, 5, 2, 0, 0, 0, b'i', b't'], WireError::BadField);
    refused(&[15, 5, 2, 0, 0, 8, 1, 1, 0, b'k', b'v', b'i', b't'], WireError::Truncated);
    let endless = [&[15, 5, 2, 0, 0][..], &[0xff; 9], &[1]].concat();
    refused(&endless, WireError::Truncated);
    refused(&[15, 5, 2, 0, 0, 5, 1, 1, 0, b'K', b'v', b'i', b't'], WireError::BadField);
    refused(&[15, 5, 2, 0, 0, 4, 1, 1, 0, b'k', b'v', b'i', b't'], WireError::BadField);
    assert_eq!(Message::peek_call(&whole), Some(Err(5)));
    assert_eq!(Message::peek_call(&[14, 6]), Some(Ok(6)));
}
