//! The header `tracestate` of W3C Trace Context, which is passed on as it came or not at all.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use std::collections::BTreeSet;

const MEMBERS: usize = 32;
const KEY: usize = 256;
const VALUE: usize = 256;

/// Whether this is a list that may be passed on.
pub(super) fn is_valid(text: &str) -> bool {
    let (mut keys, mut members) = (BTreeSet::new(), 0);
    for member in text.split(',') {
        members += 1;
        let member = member.trim_matches([' ', '\t']);
        // Some join lists without a look at what they join.
        if member.is_empty() {
            continue;
        }
        let Some((key, value)) = member.split_once('=') else { return false };
        if !is_key(key) || !is_value(value) || !keys.insert(key) {
            return false;
        }
    }
    members <= MEMBERS && !keys.is_empty()
}

fn is_key(key: &str) -> bool {
    let begins = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=KEY).contains(&key.len())
        && key.as_bytes().first().is_some_and(begins)
        && key.bytes().all(|byte| begins(&byte) || b"_-*/@".contains(&byte))
}

fn is_value(value: &str) -> bool {
    (1..=VALUE).contains(&value.len())
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_the_specification_are_valid() {
        let many: Vec<_> = (0..MEMBERS).map(|at| format!("k{at}=v")).collect();
        let long = format!("{}={}", "k".repeat(KEY), "v".repeat(VALUE));
        let right =
            ["congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=1 ,\tb=2,,c=3"];
        let right = right.into_iter().map(str::to_owned);
        for list in right.chain([many.join(","), long, "t@v=a b".into(), "0k=!~".into()]) {
            assert!(is_valid(&list), "{list}");
        }
    }

    #[test]
    fn others_are_not() {
        let many: Vec<_> = (0..=MEMBERS).map(|at| format!("k{at}=v")).collect();
        let wrong = ["", ",", "k", "k=", "=v", "K=v", "k=v=w", "k=ä", "k=v,k=w", "_k=v", "k =v"];
        let long = [format!("{}=v", "k".repeat(KEY + 1)), format!("k={}", "v".repeat(VALUE + 1))];
        let wrong = wrong.into_iter().map(str::to_owned);
        for list in wrong.chain(long).chain([many.join(",")]) {
            assert!(!is_valid(&list), "{list}");
        }
    }
}
