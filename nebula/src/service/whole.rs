//! Long bytes are handed to the application where they lie, without being copied.
//!
//! A value is read from a slice of a body, which does not say whose memory that is. While a long body
//! is read, the thread knows: bytes that are the greater part of it share its memory. Others are
//! copied: whoever keeps them is not to keep far more than that. So are short bodies, which lie in the
//! memory of all that arrived with them.

use std::cell::RefCell;

use bytes::Bytes;

/// From this many bytes on. A body of more than 32 KiB arrives alone, in memory of its own.
const LONG: usize = 33 << 10;

thread_local! {
    static READ: RefCell<Option<Bytes>> = const { RefCell::new(None) };
}

/// Reads `body`.
pub(crate) fn read<T>(body: &Bytes, read: impl FnOnce(&[u8]) -> T) -> T {
    if body.len() < LONG {
        return read(body);
    }
    let _outer = Outer(swap(Some(body.clone())));
    read(body)
}

/// These bytes, which share the memory of the body that is being read if they are the greater part of
/// it.
pub(crate) fn part(bytes: &[u8]) -> Bytes {
    let shared = |body: &Bytes| {
        let (from, to) = (body.as_ptr_range(), bytes.as_ptr_range());
        let within = from.start <= to.start && to.end <= from.end;
        (within && bytes.len() >= body.len() / 2).then(|| body.slice_ref(bytes))
    };
    let long = bytes.len() >= LONG;
    let shared = long.then(|| READ.try_with(|body| body.borrow().as_ref().and_then(shared)));
    shared.and_then(Result::ok).flatten().unwrap_or_else(|| Bytes::copy_from_slice(bytes))
}

/// What was being read before, which a value may read in the middle of another one.
struct Outer(Option<Bytes>);

impl Drop for Outer {
    fn drop(&mut self) {
        swap(self.0.take());
    }
}

fn swap(body: Option<Bytes>) -> Option<Bytes> {
    READ.try_with(|kept| kept.replace(body)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(body: &Bytes, part: &Bytes) -> bool {
        body.as_ptr_range().contains(&part.as_ptr())
    }

    #[test]
    fn a_long_part_of_what_is_read_is_not_copied() {
        let body = Bytes::from(vec![7; 3 * LONG]);
        let long = read(&body, |bytes| part(&bytes[3..]));
        assert!(shares(&body, &long) && long == body[3..]);
        assert!(!shares(&body, &read(&body, |bytes| part(&bytes[..LONG]))), "a third");
        assert!(!shares(&body, &part(&body)), "it is not being read any more");
        let other = Bytes::from(vec![9; LONG]);
        assert!(!shares(&other, &read(&body, |_| part(&other))), "of another one");
        let short = Bytes::from(vec![1; LONG - 1]);
        assert!(!shares(&short, &read(&short, part)));
    }

    #[test]
    fn one_is_read_in_the_middle_of_another_and_a_panic_ends_both() {
        let (outer, inner) = (Bytes::from(vec![1; LONG]), Bytes::from(vec![2; LONG]));
        let (within, after) = read(&outer, |bytes| (read(&inner, part), part(bytes)));
        assert!(shares(&inner, &within) && shares(&outer, &after));
        let panics = std::panic::catch_unwind(|| read(&outer, |_| panic!("no")));
        assert!(panics.is_err() && !shares(&outer, &part(&outer)));
    }
}
