use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::limits;
use crate::wire::{Message, put_frame};

/// How long a closed lane waits for the peer to acknowledge what was written last.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_millis(500);

/// The room that an unused lane keeps, in bytes, twice.
const KEPT: usize = 512;
/// How much more room a used lane keeps than its longest batch takes.
const SPARE: usize = 4;

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
    /// The peer does not read: there is no use in writing on.
    overflowed: CancellationToken,
}

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// The room for the next batch, while none is written.
    spare: Vec<u8>,
    /// The longest batch since the last [`trim`](Lane::trim), in bytes.
    longest: usize,
    closed: bool,
}

/// The lane is closed: the connection ended, or its peer does not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LaneClosed;

impl Lane {
    /// A lane on which this is written first.
    pub(crate) fn beginning_with(bytes: Vec<u8>) -> Self {
        let buffer = Mutex::new(Buffer { bytes, ..Buffer::default() });
        Self(Arc::new(Shared { buffer, ..Shared::default() }))
    }

    /// Appends a message at once, whatever is waiting already; a lane that overflows is closed.
    pub(crate) fn push(&self, message: &Message) -> Result<(), LaneClosed> {
        let mut buffer = self.buffer();
        if buffer.closed {
            return Err(LaneClosed);
        }
        let before = buffer.bytes.len();
        put_frame(&mut buffer.bytes, |out| message.encode(out));
        if buffer.bytes.len() > limits::LANE_CAPACITY {
            // What is refused is not sent either.
            buffer.bytes.truncate(before);
            drop(buffer);
            self.close();
            self.0.overflowed.cancel();
            return Err(LaneClosed);
        }
        drop(buffer);
        if before == 0 {
            self.0.filled.notify_one();
        }
        Ok(())
    }

    /// The peer has stopped reading.
    pub(crate) fn overflowed(&self) -> bool {
        self.0.overflowed.is_cancelled()
    }

    /// Whether the lane is open and not crowded.
    pub(crate) fn has_room(&self) -> bool {
        let buffer = self.buffer();
        !buffer.closed && buffer.bytes.len() < limits::LANE_HIGH_WATER
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

    /// Gives back room that was not needed since the last time: a batch of records, or of calls
    /// long ago, is no reason to keep as much for good.
    pub(crate) fn trim(&self) {
        let mut buffer = self.buffer();
        let buffer = &mut *buffer;
        let enough = (SPARE * std::mem::take(&mut buffer.longest)).max(KEPT);
        if !buffer.bytes.is_empty() {
            return;
        }
        for room in [&mut buffer.bytes, &mut buffer.spare] {
            if room.capacity() > enough {
                *room = Vec::new();
            }
        }
    }

    /// Writes what is appended until the lane or the stream is closed. `more` tells whether others
    /// are likely to append at this moment.
    pub(crate) async fn drive(
        &self,
        mut stream: quinn::SendStream,
        more: impl Fn() -> bool,
    ) -> Result<(), quinn::WriteError> {
        let mut batch = Vec::new();
        loop {
            let filled = self.0.filled.notified();
            let (empty, closed) = {
                let mut buffer = self.buffer();
                if buffer.bytes.is_empty() && batch.capacity() > 0 {
                    buffer.spare = std::mem::take(&mut batch);
                }
                (buffer.bytes.is_empty(), buffer.closed)
            };
            if empty {
                if closed {
                    return finish(stream).await;
                }
                filled.await;
            }
            if more() {
                // The first of many who were woken by one read wakes this task, which would run
                // before the others: let them append first, so that it leaves as one piece.
                tokio::task::yield_now().await;
            }
            {
                let mut buffer = self.buffer();
                if batch.capacity() == 0 {
                    batch = std::mem::take(&mut buffer.spare);
                }
                std::mem::swap(&mut buffer.bytes, &mut batch);
                buffer.longest = buffer.longest.max(batch.len());
            }
            self.0.emptied.notify_waiters();
            tokio::select! {
                written = stream.write_all(&batch) => written?,
                () = self.0.overflowed.cancelled() => return Ok(()),
            }
            batch.clear();
        }
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.0.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the stream, and waits until the peer has all of it: closing the connection at once would
/// take back what is still on its way.
async fn finish(mut stream: quinn::SendStream) -> Result<(), quinn::WriteError> {
    if stream.finish().is_ok() {
        // A peer that does not acknowledge in time is told nothing more.
        let _ = tokio::time::timeout(LAST_WORDS, stream.stopped()).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_crowded_lane_makes_callers_wait_until_it_is_closed() {
        let lane = Lane::beginning_with(Vec::new());
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
    fn a_lane_gives_back_the_room_that_it_does_not_need() {
        let lane = Lane::beginning_with(Vec::new());
        let room = || {
            let buffer = lane.buffer();
            (buffer.bytes.capacity(), buffer.spare.capacity())
        };
        *lane.buffer() = Buffer {
            bytes: Vec::with_capacity(64 << 10),
            spare: Vec::with_capacity(KEPT / 2),
            longest: 20 << 10,
            closed: false,
        };
        lane.trim();
        assert!(room().0 >= 64 << 10, "it was needed since the last time");
        lane.trim();
        assert!(room().0 + room().1 <= 2 * KEPT);
        lane.push(&Message::Record(vec![0; 4 << 10].into())).unwrap();
        lane.trim();
        assert!(room().0 >= 4 << 10, "what waits stays");
    }

    #[test]
    fn a_lane_nobody_reads_is_closed_at_its_capacity() {
        let lane = Lane::beginning_with(Vec::new());
        let message = Message::Record(vec![0; limits::LANE_CAPACITY / 4].into());
        let pushed = (0..5).take_while(|_| lane.push(&message).is_ok()).count();
        assert_eq!(pushed, 3);
        assert_eq!(lane.push(&Message::Goodbye), Err(LaneClosed));
    }
}
