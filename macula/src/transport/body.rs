//! Long messages: each travels alone on a stream of its own, so that it does not delay the short
//! ones, and is refused by its first bytes if it is too long for this node.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use quinn::{RecvStream, SendStream};
use tokio::time::Instant;

use super::link::{CLOSE_DONE, Inbound, Link, Violation, Waiter};
use crate::limits;
use crate::rpc::{Answer, Failure};
use crate::wire::{FrameBuffer, Message, Status, put_frame};

/// The longest digest or member table, in bytes: those of 16 384 nodes.
const DIRECTORY_BODY: usize = 4 << 20;
/// So many bytes say what a long message is: its length, its kind and its number.
const HEAD: usize = 15;

impl Link {
    /// Sends a long message on a stream of its own, and resolves when it has been handed over,
    /// with the stream, which knows when the peer has it. Dropping the future takes the message
    /// back if it is not handed over yet.
    pub(crate) async fn send_alone(
        &self,
        message: Message,
    ) -> Result<Option<SendStream>, quinn::WriteError> {
        let mut stream = ResetOnDrop(Some(self.connection.open_uni().await?));
        let (head, body) = message.split();
        let mut frame = Vec::new();
        let whole = head.len() + body.len();
        put_frame(&mut frame, |out| out.extend_from_slice(&head));
        if let (Some(prefix), Ok(whole)) = (frame.get_mut(..4), u32::try_from(whole)) {
            prefix.copy_from_slice(&whole.to_le_bytes());
        }
        if let Some(stream) = stream.0.as_mut() {
            stream.write_all(&frame).await?;
            stream.write_chunk(body).await?;
        }
        let mut stream = stream.0.take();
        if let Some(stream) = stream.as_mut() {
            // It was neither finished nor reset before.
            let _ = stream.finish();
        }
        Ok(stream)
    }

    /// Reads the one message of a stream. A stream that ends early or stands still is forgotten:
    /// its sender has changed its mind or has gone. A call that is too long for this node is
    /// answered, whichever half of it this is.
    pub(super) async fn read_alone(
        self: &Arc<Self>,
        mut stream: RecvStream,
        inbound: &dyn Inbound,
    ) -> Result<(), Violation> {
        let max_body = inbound.limits().max_body;
        let _arriving = self.arrives();
        let mut frames = FrameBuffer::new(max_body.max(DIRECTORY_BODY) + limits::FRAME_OVERHEAD);
        loop {
            let read = stream.read_chunk(usize::MAX, true);
            let Ok(Ok(Some(chunk))) = tokio::time::timeout(limits::BODY_TIMEOUT, read).await else {
                return Ok(());
            };
            self.heard.store(true, Ordering::Relaxed);
            frames.push(chunk.bytes);
            if frames.len() < HEAD {
                continue;
            }
            if let Some(call) = frames.too_long_call(max_body + limits::FRAME_OVERHEAD) {
                // Whether it is stopped before its end makes no difference any more.
                let _ = stream.stop(CLOSE_DONE);
                return self.refuse_body(call, max_body, inbound);
            }
            if let Some(frame) = frames.next_frame()? {
                return inbound.message(self, Message::decode(frame)?, &mut Instant::now());
            }
        }
    }

    /// Tells the caller that a body is over the limit of this node: our own, or the peer.
    fn refuse_body(
        &self,
        call: Result<u64, u64>,
        limit: usize,
        inbound: &dyn Inbound,
    ) -> Result<(), Violation> {
        match call {
            Ok(request) => {
                let status = Status::RequestTooLarge { limit: limit as u64 };
                inbound.refused(status);
                let reply = Answer::default().reply(request, inbound.load(), status);
                self.answer(&reply)
            }
            Err(reply) => {
                let end = |waiter: Waiter| waiter.end(Err(Failure::ReplyTooLarge { limit }), None);
                let waker = self.calls().complete(reply, end);
                if let Some(waker) = waker {
                    waker.wake();
                }
                Ok(())
            }
        }
    }
}

/// A stream that is reset unless it has been taken out: half a message must not look whole.
struct ResetOnDrop(Option<SendStream>);

impl Drop for ResetOnDrop {
    fn drop(&mut self) {
        if let Some(stream) = self.0.as_mut() {
            // A stream that is closed already needs no reset.
            let _ = stream.reset(CLOSE_DONE);
        }
    }
}
