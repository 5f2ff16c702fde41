use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Message, WireError};

const PREFIX: usize = 4;
/// The kind of a message and the number of its call.
const HEAD: usize = 11;

/// Cuts a stream of bytes into frames.
#[derive(Debug)]
pub(crate) struct FrameBuffer {
    /// The frame that has begun to arrive, if it did not come in one piece.
    begun: BytesMut,
    /// What follows it.
    rest: Bytes,
    limit: usize,
}

impl FrameBuffer {
    /// A buffer that refuses frames of more than `limit` bytes as soon as their length is read.
    pub(crate) fn new(limit: usize) -> Self {
        Self { begun: BytesMut::new(), rest: Bytes::new(), limit }
    }

    /// Takes bytes as they arrived. The caller takes all frames out before it pushes more, so the
    /// buffer never holds more than one frame and one read.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.begun.extend_from_slice(&self.rest);
        self.rest = bytes;
    }

    /// How many bytes wait to become frames.
    pub(crate) fn len(&self) -> usize {
        self.begun.len() + self.rest.len()
    }

    /// The number of the call whose message has begun to arrive, if its frame is longer than
    /// `limit`: `Ok` of a request, `Err` of a reply.
    pub(crate) fn too_long_call(&mut self, limit: usize) -> Option<Result<u64, u64>> {
        self.gather(PREFIX + HEAD);
        let length = u32::from_le_bytes(*self.begun.first_chunk::<PREFIX>()?) as usize;
        let head = self.begun.get(PREFIX..).filter(|_| length > limit)?;
        Message::peek_call(head)
    }

    /// The next whole frame, if there is one. It shares the memory of what was pushed, unless it
    /// came in pieces.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Bytes>, WireError> {
        if self.begun.is_empty() {
            let Some(prefix) = self.rest.first_chunk::<PREFIX>() else { return Ok(None) };
            let length = self.length(*prefix)?;
            if self.rest.len() < PREFIX + length {
                return Ok(None);
            }
            self.rest.advance(PREFIX);
            return Ok(Some(self.rest.split_to(length)));
        }
        self.gather(PREFIX);
        let Some(prefix) = self.begun.first_chunk::<PREFIX>() else { return Ok(None) };
        let length = self.length(*prefix)?;
        if self.len() < PREFIX + length {
            return Ok(None);
        }
        self.gather(PREFIX + length);
        self.begun.advance(PREFIX);
        let frame = self.begun.split_to(length).freeze();
        if self.begun.is_empty() {
            // What is left of its memory is too little for another one.
            self.begun = BytesMut::new();
        }
        Ok(Some(frame))
    }

    fn length(&self, prefix: [u8; PREFIX]) -> Result<usize, WireError> {
        let length = u32::from_le_bytes(prefix) as usize;
        match length > self.limit {
            true => Err(WireError::FrameTooLong { length, limit: self.limit }),
            false => Ok(length),
        }
    }

    /// Has the frame that has begun so many bytes, if they are there.
    fn gather(&mut self, bytes: usize) {
        let lacks = bytes.saturating_sub(self.begun.len()).min(self.rest.len());
        self.begun.extend_from_slice(&self.rest.split_to(lacks));
    }
}

/// Appends a frame whose content `write` appends, and gives the length of the whole.
pub(crate) fn put_frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> usize {
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
            let mut wire = Vec::new();
            for frame in &frames {
                put_frame(&mut wire, |out| out.extend_from_slice(frame));
            }
            let mut buffer = FrameBuffer::new(300);
            let mut seen = Vec::new();
            for piece in wire.chunks(cut) {
                buffer.push(Bytes::copy_from_slice(piece));
                while let Some(frame) = buffer.next_frame().unwrap() {
                    seen.push(frame.to_vec());
                }
            }
            prop_assert_eq!(seen, frames);
        }

        #[test]
        fn garbage_never_panics_or_grows(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut buffer = FrameBuffer::new(64);
            buffer.push(bytes.into());
            while let Ok(Some(frame)) = buffer.next_frame() {
                prop_assert!(frame.len() <= 64);
            }
        }
    }

    #[test]
    fn a_long_frame_is_refused_by_its_prefix() {
        let mut buffer = FrameBuffer::new(10);
        buffer.push(Bytes::copy_from_slice(&u32::MAX.to_le_bytes()));
        let refused = WireError::FrameTooLong { length: u32::MAX as usize, limit: 10 };
        assert_eq!(buffer.next_frame(), Err(refused));
    }
}
