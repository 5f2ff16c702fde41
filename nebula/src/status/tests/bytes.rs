//! What goes over the wire of a status, and what never does.

use proptest::prelude::*;

use super::*;

#[test]
fn hostile_bytes_are_refused() {
    let bytes = Status::not_found("no user").with("user", 7).to_bytes();
    assert_eq!(Status::from_bytes(&bytes), Ok(Status::not_found("no user").with("user", 7)));
    for end in 0..bytes.len() {
        assert_eq!(Status::from_bytes(&bytes[..end]), Err(MalformedStatus::Unreadable), "{end}");
    }
    let more = [&bytes[..], &[0]].concat();
    assert_eq!(Status::from_bytes(&more), Err(MalformedStatus::Unreadable));
    assert_eq!(Status::from_bytes(&[0; 5000]), Err(MalformedStatus::TooLong(5000)));
    // Lengths of which nothing follows.
    let lengths = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(Status::from_bytes(&lengths), Err(MalformedStatus::Unreadable));
    let written = |code: &str, http: u16| {
        let data = std::collections::BTreeMap::<&str, &str>::new();
        postcard::to_stdvec(&(code, http, "m", data, None::<[u8; 16]>, false)).unwrap()
    };
    assert!(Status::from_bytes(&written("a", 404)).is_ok());
    for (code, http) in [("A", 404), ("", 404), ("a", 0), ("a", 600), (&"a".repeat(65), 404)] {
        assert!(Status::from_bytes(&written(code, http)).is_err(), "{code} {http}");
    }
}

#[test]
fn what_is_cut_shows_it() {
    let status = Status::conflict("é".repeat(4000))
        .with("big", "ü".repeat(1000))
        .with("small", "1")
        .with("k".repeat(65), "lost");
    let cut = Status::from_bytes(&status.to_bytes()).unwrap();
    assert_eq!((cut.code(), cut.http()), ("conflict", 409));
    assert!(cut.message().len() <= 1024 && cut.message().len() > 1020);
    assert!(cut.message().ends_with("é…"));
    let data: Vec<_> = cut.data().collect();
    assert_eq!(data.len(), 2, "{data:?}");
    assert!(data[0].1.ends_with("ü…") && data[0].1.len() > 250 && data[0].1.len() <= 256);
    assert_eq!(data[1], ("small", "1"));
    // What fits is not touched, however it is spread.
    let status = Status::conflict("m".repeat(3000)).with("k".repeat(70), "v".repeat(500));
    assert_eq!(Status::from_bytes(&status.to_bytes()), Ok(status));
}

fn any_status() -> impl Strategy<Value = Status> {
    let times = prop_oneof![4 => Just(1_usize), 1 => 1_usize..200];
    let text = ("(?s).{0,20}", times).prop_map(|(text, times)| text.repeat(times));
    let key = prop_oneof!["[a-z]{1,8}", "(?s).{0,40}"];
    let data = proptest::collection::vec((key, text.clone()), 0..20);
    let head = ("(?s).{0,70}", any::<u16>(), text, data);
    (head, any::<bool>(), proptest::option::of(any::<u128>())).prop_map(
        |((code, http, message, data), internal, reference)| {
            let mut status = Status::new(code, http, message);
            for (key, value) in data {
                status = status.with(key, value);
            }
            status.0.reference = reference.map(Reference::from_bits);
            status.0.internal = internal;
            status
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Encoded it fits, and what comes back is the same, or a part of it.
    #[test]
    fn encoding_is_bounded_and_keeps_what_matters(status in any_status()) {
        let bytes = status.to_bytes();
        prop_assert!(bytes.len() <= MAX_BYTES && !bytes.is_empty());
        let again = Status::from_bytes(&bytes).unwrap();
        prop_assert_eq!(again.to_bytes(), bytes);
        let of = |status: &Status| {
            (status.code().to_owned(), status.http(), status.reference(), status.is_public())
        };
        prop_assert_eq!(of(&again), of(&status));
        let part_of = |part: &str, whole: &str| {
            part == whole || part.strip_suffix('…').is_some_and(|part| whole.starts_with(part))
        };
        prop_assert!(part_of(again.message(), status.message()));
        for (key, value) in again.data() {
            prop_assert!(part_of(value, status.get(key).unwrap()));
        }
        if postcard::to_stdvec(&status).unwrap().len() <= MAX_BYTES {
            prop_assert_eq!(again, status);
        }
    }

    /// Whatever comes is a status or an error; a status can be written again.
    #[test]
    fn any_bytes_are_read_without_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        status in any_status(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bent = status.to_bytes();
        let place = at.index(bent.len());
        bent[place] = byte;
        for bytes in [bytes, bent] {
            if let Ok(status) = Status::from_bytes(&bytes) {
                prop_assert!(status.to_bytes().len() <= MAX_BYTES);
                let again = Status::new(status.code().to_owned(), 500, "");
                prop_assert_eq!(again.code(), status.code());
            }
        }
    }

    /// No part of what is withheld is in what a stranger gets.
    #[test]
    fn nothing_leaks(status in any_status(), secret in "[0-9]{40}", bits in any::<u128>()) {
        let status = Status::new(format!("c{secret}"), 500, format!("m {secret}"))
            .with(secret.clone(), "1")
            .with("value", format!("{status:?} {secret}"))
            .internal();
        let reference = Reference::from_bits(bits);
        let error = CallError::App(status.clone());
        for shown in [status.public_as(reference), error.public_as(reference)] {
            prop_assert_eq!(&shown, &Status::withheld(reference));
            let texts = [
                format!("{shown:#}"),
                format!("{shown:?}"),
                String::from_utf8_lossy(&shown.to_bytes()).into_owned(),
            ];
            for text in texts {
                prop_assert!(!text.contains(&secret), "{}", text);
            }
        }
    }
}
