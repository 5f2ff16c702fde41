use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Member;
use super::machine::Machine;
use super::{MembershipInput, MembershipNews};

/// How many inputs may wait for the membership task; datagrams beyond it are dropped, as the
/// network would.
const QUEUE: usize = 1024;
/// How many inputs are taken in before the timers are looked at again.
const BATCH: usize = 256;

/// The handle of the membership task.
#[derive(Clone, Debug)]
pub(crate) struct Membership(mpsc::Sender<MembershipInput>);

impl Membership {
    /// The task for node `me`; it ends when the last handle is dropped.
    pub(crate) fn new(
        me: Member,
        seed: u64,
        max_members: usize,
        news: impl FnMut(MembershipNews) + Send,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, inputs) = mpsc::channel(QUEUE);
        let driver = Driver { machine: Machine::new(me, seed, max_members), news };
        (Self(sender), driver.run(inputs))
    }

    /// Hands over an input that may be lost when the task is overrun.
    pub(crate) fn offer(&self, input: MembershipInput) {
        if self.0.try_send(input).is_err() {
            tracing::debug!("a membership packet was dropped: the queue is full");
        }
    }

    /// Hands over an input that must arrive, from where waiting is not possible.
    pub(crate) fn insist(&self, input: MembershipInput) {
        if let Err(mpsc::error::TrySendError::Full(input)) = self.0.try_send(input) {
            let sender = self.0.clone();
            tokio::spawn(async move {
                // The task ends with the node; there is nobody left to tell then.
                let _ = sender.send(input).await;
            });
        }
    }

    /// Hands over an input that must arrive.
    pub(crate) async fn tell(&self, input: MembershipInput) {
        // The task ends with the node; there is nobody left to tell then.
        let _ = self.0.send(input).await;
    }
}

/// Has a node that knows one member take this input in, for the fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn feed(known: Member, me: Member, input: MembershipInput) {
    let (mut machine, now) = (Machine::new(me, 7, 64), Instant::now());
    machine.take(MembershipInput::Alive(known), now, &mut |_| {});
    machine.take(input, now, &mut |_| {});
    machine.flush(now, &mut |_| {});
}

struct Driver<N> {
    machine: Machine,
    news: N,
}

impl<N: FnMut(MembershipNews)> Driver<N> {
    async fn run(mut self, mut inputs: mpsc::Receiver<MembershipInput>) {
        loop {
            let due = self.machine.due();
            let timer = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                input = inputs.recv() => match input {
                    Some(input) => {
                        self.take(input);
                        // What waits is read first, lest a suspicion that has been refuted
                        // meanwhile runs out; but packets must not keep the timers waiting.
                        for _ in 0..BATCH {
                            let Ok(input) = inputs.try_recv() else { break };
                            self.take(input);
                        }
                        self.machine.fire(Instant::now());
                    }
                    None => return,
                },
                () = timer => self.machine.fire(Instant::now()),
            }
            self.machine.flush(Instant::now(), &mut self.news);
            (self.news)(MembershipNews::ThatIsAll);
        }
    }

    fn take(&mut self, input: MembershipInput) {
        self.machine.take(input, Instant::now(), &mut self.news);
    }
}
