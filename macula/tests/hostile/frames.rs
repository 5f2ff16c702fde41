//! What members say, byte by byte.

use crate::rude::Lane;
use crate::victim::KEY;

pub(crate) const REQUEST: u8 = 1;
pub(crate) const REPLY: u8 = 2;
pub(crate) const PING: u8 = 4;
pub(crate) const PONG: u8 = 5;
pub(crate) const RECORD: u8 = 6;
pub(crate) const DIGEST: u8 = 8;
pub(crate) const PULL: u8 = 9;
pub(crate) const MEMBERS: u8 = 10;
pub(crate) const EXTEND: u8 = 12;

/// A request under a number below 128, with so many microseconds left and no more to come.
pub(crate) fn request(id: u8, method: u64, key: [u8; 8], micros: u8, body: &[u8]) -> Vec<u8> {
    [&[REQUEST, id][..], &method.to_le_bytes(), &key, &[micros, 0, 0], body].concat()
}

/// The longest time that the protocol can say.
pub(crate) const FOREVER: [u8; 10] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];

/// As long, and as often longer, as the protocol can say.
pub(crate) fn patient(id: u8, method: u64) -> Vec<u8> {
    let mut request = request(id, method, KEY, 0, b"");
    request.truncate(request.len() - 3);
    for most in [&FOREVER[..], &FOREVER, &[0xff, 0xff, 0xff, 0xff, 0x0f]] {
        request.extend_from_slice(most);
    }
    request
}

/// The victim has read and judged all that was said, and keeps the connection.
pub(crate) async fn still_listens(lane: &mut Lane) {
    lane.say(&[PING, 42]).await;
    loop {
        if lane.frame_of(PONG).await == [PONG, 42] {
            return;
        }
    }
}

/// Bytes that look random and are always the same.
pub(crate) fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
