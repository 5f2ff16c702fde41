use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::WireError;

const PREFIX: usize = 4;

/// Cuts a stream of bytes into frames.
#[derive(Debug)]
pub(crate) struct FrameBuffer {
    bytes: BytesMut,
    limit: usize,
}

impl FrameBuffer {
    /// A buffer that refuses frames of more than `limit` bytes as soon as their length is read.
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: BytesMut::new(), limit }
    }

    /// Takes bytes as they arrived. The caller takes all frames out before it pushes more, so the
    /// buffer never holds more than one frame and one read.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one. It shares the buffer's memory.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Bytes>, WireError> {
        let Some(prefix) = self.bytes.first_chunk::<PREFIX>() else { return Ok(None) };
        let length = u32::from_le_bytes(*prefix) as usize;
        if length > self.limit {
            return Err(WireError::FrameTooLong { length, limit: self.limit });
        }
        if self.bytes.len() < PREFIX + length {
            return Ok(None);
        }
        self.bytes.advance(PREFIX);
        Ok(Some(self.bytes.split_to(length).freeze()))
    }

    /// The first `length` bytes of the content of the next frame, once they are there.
    pub(crate) fn head(&self, length: usize) -> Option<Bytes> {
        self.bytes.get(PREFIX..PREFIX + length).map(Bytes::copy_from_slice)
    }
}

/// Appends a frame whose content `write` appends, and gives the length of the whole.
pub(crate) fn put_frame(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) -> usize {
    let start = out.len();
    out.put_u32_le(0);
    write(out);
    let whole = out.len() - start;
    let content = u32::try_from(whole - PREFIX).unwrap_or(u32::MAX);
    if let Some(prefix) = out.get_mut(start..start + PREFIX) {
        prefix.copy_from_slice(&content.to_le_bytes());
    }
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_survive_any_cut(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            cut in 1..64_usize,
        ) {
            let mut wire = BytesMut::new();
            for frame in &frames {
                put_frame(&mut wire, |out| out.extend_from_slice(frame));
            }
            let mut buffer = FrameBuffer::new(300);
            let mut seen = Vec::new();
            for piece in wire.chunks(cut) {
                buffer.push(piece);
                while let Some(frame) = buffer.next_frame().unwrap() {
                    seen.push(frame.to_vec());
                }
            }
            prop_assert_eq!(seen, frames);
        }

        #[test]
        fn garbage_never_panics_or_grows(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut buffer = FrameBuffer::new(64);
            buffer.push(&bytes);
            while let Ok(Some(frame)) = buffer.next_frame() {
                prop_assert!(frame.len() <= 64);
            }
        }
    }

    #[test]
    fn a_long_frame_is_refused_by_its_prefix() {
        let mut buffer = FrameBuffer::new(10);
        buffer.push(&u32::MAX.to_le_bytes());
        let refused = WireError::FrameTooLong { length: u32::MAX as usize, limit: 10 };
        assert_eq!(buffer.next_frame(), Err(refused));
    }
}
