//! Many calls on one stream of bytes: frames of a length, an id and a payload. Callers append to a
//! batch that one task writes; one task reads, and completes the calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::sync::{Notify, oneshot};

use crate::Failure;

/// Length of the payload, and id.
const HEADER: usize = 12;
/// A payload from here on is not copied into the batch, but written from where it is.
const LARGE: usize = 4 << 10;

/// The half that writes.
pub trait Sink: Send + 'static {
    /// Writes all of a batch, and leaves it empty.
    fn write(&mut self, batch: &mut Batch) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The half that reads.
pub trait Source: Send + 'static {
    /// The next bytes, as many as there are; none at the end.
    fn read(&mut self) -> impl Future<Output = Result<Option<Bytes>, Failure>> + Send;
}

/// Frames that are to leave together.
#[derive(Debug, Default)]
pub struct Batch {
    /// What stands before the rest, in order.
    pub whole: Vec<Bytes>,
    /// Small frames.
    pub tail: BytesMut,
}

impl Batch {
    fn push(&mut self, id: u64, payload: Bytes) {
        self.tail.put_u32_le(payload.len() as u32);
        self.tail.put_u64_le(id);
        if payload.len() < LARGE {
            self.tail.extend_from_slice(&payload);
        } else {
            self.whole.push(self.tail.split().freeze());
            self.whole.push(payload);
        }
    }

    fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.tail.is_empty()
    }

    /// All of it as parts, if it has large ones.
    pub fn parts(&mut self) -> Option<&mut Vec<Bytes>> {
        if self.whole.is_empty() {
            return None;
        }
        if !self.tail.is_empty() {
            self.whole.push(self.tail.split().freeze());
        }
        Some(&mut self.whole)
    }
}

/// Bytes that have come, and frames in them.
#[derive(Debug, Default)]
struct Unread {
    /// What came last, which most frames lie within.
    fresh: Bytes,
    /// The beginning of a frame that goes on in `fresh`.
    begun: BytesMut,
}

impl Unread {
    fn push(&mut self, bytes: Bytes) {
        if !self.fresh.is_empty() {
            self.begun.extend_from_slice(&self.fresh);
        }
        self.fresh = bytes;
    }

    /// The next whole frame.
    fn next(&mut self) -> Option<(u64, Bytes)> {
        if self.begun.is_empty() {
            let length = frame_length(&self.fresh)?;
            if self.fresh.len() < length {
                self.begin(length);
                return None;
            }
            return Some(parse(self.fresh.split_to(length)));
        }
        let missing = HEADER.saturating_sub(self.begun.len());
        self.take(missing);
        let length = frame_length(&self.begun)?;
        self.begun.reserve(length.saturating_sub(self.begun.len()));
        self.take(length - self.begun.len());
        (self.begun.len() == length).then(|| parse(self.begun.split().freeze()))
    }

    fn begin(&mut self, length: usize) {
        self.begun.reserve(length);
        self.begun.extend_from_slice(&std::mem::take(&mut self.fresh));
    }

    fn take(&mut self, most: usize) {
        let taken = self.fresh.split_to(most.min(self.fresh.len()));
        self.begun.extend_from_slice(&taken);
    }
}

fn frame_length(bytes: &[u8]) -> Option<usize> {
    let payload = u32::from_le_bytes(*bytes.first_chunk::<4>()?);
    (bytes.len() >= HEADER).then_some(HEADER + payload as usize)
}

fn parse(mut frame: Bytes) -> (u64, Bytes) {
    frame.advance(4);
    (frame.get_u64_le(), frame)
}

/// Sends back whatever comes; what one read brings leaves in one write.
///
/// # Errors
/// The stream breaks.
pub async fn answer(mut sink: impl Sink, mut source: impl Source) -> Result<(), Failure> {
    let (mut unread, mut replies) = (Unread::default(), Batch::default());
    while let Some(bytes) = source.read().await? {
        unread.push(bytes);
        while let Some((id, payload)) = unread.next() {
            replies.push(id, payload);
        }
        if !replies.is_empty() {
            sink.write(&mut replies).await?;
        }
    }
    Ok(())
}

/// The side that calls.
#[derive(Clone)]
pub struct Caller(Arc<Shared>);

#[derive(Default)]
struct Shared {
    out: Mutex<Batch>,
    filled: Notify,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    calls: HashMap<u64, oneshot::Sender<Bytes>>,
}

impl Caller {
    /// Calls on that stream; the tasks that serve it end with it.
    pub fn new(sink: impl Sink, source: impl Source) -> Self {
        let shared = Arc::new(Shared::default());
        tokio::spawn(write(shared.clone(), sink));
        tokio::spawn(read(shared.clone(), source));
        Self(shared)
    }

    /// One call.
    ///
    /// # Errors
    /// The stream broke.
    pub async fn call(&self, payload: Bytes) -> Result<Bytes, Failure> {
        let (reply, answer) = oneshot::channel();
        let id = {
            let mut waiting = lock(&self.0.waiting);
            waiting.last += 1;
            let id = waiting.last;
            waiting.calls.insert(id, reply);
            id
        };
        lock(&self.0.out).push(id, payload);
        self.0.filled.notify_one();
        Ok(answer.await?)
    }
}

async fn write(shared: Arc<Shared>, mut sink: impl Sink) -> Result<(), Failure> {
    let mut batch = Batch::default();
    loop {
        std::mem::swap(&mut *lock(&shared.out), &mut batch);
        if batch.is_empty() {
            shared.filled.notified().await;
        } else {
            sink.write(&mut batch).await?;
        }
    }
}

async fn read(shared: Arc<Shared>, mut source: impl Source) -> Result<(), Failure> {
    let mut unread = Unread::default();
    while let Ok(Some(bytes)) = source.read().await {
        unread.push(bytes);
        let mut waiting = lock(&shared.waiting);
        while let Some((id, payload)) = unread.next() {
            if let Some(reply) = waiting.calls.remove(&id) {
                let _ = reply.send(payload);
            }
        }
    }
    // Whoever still waits learns that no answer comes.
    lock(&shared.waiting).calls.clear();
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whatever_the_pieces() {
        let mut batch = Batch::default();
        let payloads = [0, 1, 64, 5000, 3].map(|length| Bytes::from(vec![length as u8; length]));
        for (id, payload) in payloads.iter().enumerate() {
            batch.push(id as u64, payload.clone());
        }
        let all = batch.parts().unwrap().concat();
        for piece in [1, 7, 12, 13, 64, 1000, all.len()] {
            let (mut unread, mut seen) = (Unread::default(), Vec::new());
            for part in all.chunks(piece) {
                unread.push(Bytes::copy_from_slice(part));
                while let Some((id, payload)) = unread.next() {
                    assert_eq!(id, seen.len() as u64);
                    seen.push(payload);
                }
            }
            assert_eq!(seen, payloads, "in pieces of {piece}");
        }
    }
}
