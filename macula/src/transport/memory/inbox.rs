//! What waits at one socket, and who waits for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use quinn::udp::EcnCodepoint;
use tokio::time::{Instant, Sleep};

/// How many datagrams wait at a socket.
pub(super) const QUEUE_LIMIT: usize = 4096;

#[derive(Clone)]
pub(super) struct Datagram {
    pub(super) from: SocketAddr,
    pub(super) ecn: Option<EcnCodepoint>,
    pub(super) content: Box<[u8]>,
}

#[derive(Default)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
}

#[derive(Default)]
pub(super) struct Queue {
    /// By the time they are due, then by the order of sending. No time is due at once.
    datagrams: BTreeMap<(Option<Instant>, u64), Datagram>,
    sent: u64,
    /// Nothing is handed out, however long it has been due.
    held: bool,
    timer: Option<Pin<Box<Sleep>>>,
    waker: Option<Waker>,
}

impl Inbox {
    pub(super) fn push(&self, delay: Duration, datagram: Datagram) {
        let mut queue = self.lock();
        if queue.datagrams.len() >= QUEUE_LIMIT {
            return;
        }
        let due = match delay {
            Duration::ZERO => None,
            // Past the end of time is never.
            delay => match Instant::now().checked_add(delay) {
                None => return,
                due => due,
            },
        };
        let number = queue.sent;
        queue.sent += 1;
        queue.datagrams.insert((due, number), datagram);
        Self::wake(queue);
    }

    /// Hands nothing out until it is told otherwise.
    pub(super) fn hold(&self, held: bool) {
        let mut queue = self.lock();
        queue.held = held;
        Self::wake(queue);
    }

    pub(super) fn is_held(&self) -> bool {
        self.lock().held
    }

    fn wake(mut queue: MutexGuard<'_, Queue>) {
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    pub(super) fn pop_due(&mut self) -> Option<Datagram> {
        if self.held {
            return None;
        }
        let first = self.datagrams.first_entry()?;
        let due = first.key().0.is_none_or(|due| due <= Instant::now());
        due.then(|| first.remove())
    }

    /// Ready when a datagram is due; else the task is woken when one may be.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Datagram> {
        loop {
            if let Some(datagram) = self.pop_due() {
                return Poll::Ready(datagram);
            }
            self.waker = Some(cx.waker().clone());
            let first = self.datagrams.keys().next().filter(|_| !self.held);
            let Some((Some(due), _)) = first.copied() else {
                self.timer = None;
                return Poll::Pending;
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
        }
    }
}
