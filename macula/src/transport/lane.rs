use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::sync::Notify;

use crate::limits;
use crate::wire::{Message, put_frame};

/// The sending half of a lane: whoever has a message appends it, and one task writes whatever has
/// gathered, in one go.
#[derive(Clone, Debug)]
pub(crate) struct Lane(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    /// Something is there to write, or the lane was closed.
    filled: Notify,
    /// What was there has been taken.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Buffer {
    bytes: BytesMut,
    closed: bool,
}

/// The lane is closed: the connection ended, or its peer does not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LaneClosed;

impl Lane {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Appends a message at once, whatever is waiting already; a lane that overflows is closed.
    pub(crate) fn push(&self, message: &Message) -> Result<(), LaneClosed> {
        let mut buffer = self.buffer();
        if buffer.closed {
            return Err(LaneClosed);
        }
        let was_empty = buffer.bytes.is_empty();
        put_frame(&mut buffer.bytes, |out| message.encode(out));
        if buffer.bytes.len() > limits::LANE_CAPACITY {
            drop(buffer);
            self.close();
            return Err(LaneClosed);
        }
        drop(buffer);
        if was_empty {
            self.0.filled.notify_one();
        }
        Ok(())
    }

    /// Waits until the lane is not crowded.
    pub(crate) async fn ready(&self) -> Result<(), LaneClosed> {
        loop {
            let emptied = self.0.emptied.notified();
            {
                let buffer = self.buffer();
                if buffer.closed {
                    return Err(LaneClosed);
                }
                if buffer.bytes.len() < limits::LANE_HIGH_WATER {
                    return Ok(());
                }
            }
            emptied.await;
        }
    }

    /// Refuses further messages; what was appended before may still be written.
    pub(crate) fn close(&self) {
        self.buffer().closed = true;
        self.0.filled.notify_one();
        self.0.emptied.notify_waiters();
    }

    /// Writes what is appended until the lane or the stream is closed. After a closed lane it
    /// resolves once the peer has all of it: a connection that is closed takes unsent bytes along.
    pub(crate) async fn drive(
        &self,
        mut stream: quinn::SendStream,
    ) -> Result<(), quinn::WriteError> {
        let mut batch = BytesMut::new();
        loop {
            let filled = self.0.filled.notified();
            let closed = {
                let mut buffer = self.buffer();
                std::mem::swap(&mut buffer.bytes, &mut batch);
                buffer.closed
            };
            if batch.is_empty() {
                if closed {
                    // It was neither finished nor reset before.
                    let _ = stream.finish();
                    let _ = stream.stopped().await;
                    return Ok(());
                }
                filled.await;
                continue;
            }
            self.0.emptied.notify_waiters();
            stream.write_all(&batch).await?;
            batch.clear();
        }
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.0.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_crowded_lane_makes_callers_wait_until_it_is_closed() {
        let lane = Lane::new();
        assert_eq!(lane.ready().await, Ok(()));
        let body = vec![0; limits::LANE_HIGH_WATER].into();
        lane.push(&Message::Record(body)).unwrap();
        let waiting = tokio::spawn({
            let lane = lane.clone();
            async move { lane.ready().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        lane.close();
        assert_eq!(waiting.await.unwrap(), Err(LaneClosed));
        assert_eq!(lane.push(&Message::Goodbye), Err(LaneClosed));
    }

    #[test]
    fn a_lane_nobody_reads_is_closed_at_its_capacity() {
        let lane = Lane::new();
        let message = Message::Record(vec![0; limits::LANE_CAPACITY / 4].into());
        let pushed = (0..5).take_while(|_| lane.push(&message).is_ok()).count();
        assert_eq!(pushed, 3);
        assert_eq!(lane.push(&Message::Goodbye), Err(LaneClosed));
    }
}
