//! Finds out whether what a member says of another is true.
//!
//! A node that answers on its own connection is not dead, whoever says so; without a connection to
//! it, or an answer, the word of others stands. A new life of a known node is told by a record that
//! it has signed, which whoever speaks of that life has.

use std::time::Duration;

use rand::RngExt;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::identity::NodeId;
use crate::membership::{ANSWER, LAST_WORD, Member};
use crate::mesh::Inner;
use crate::wire::Message;

/// How often it is asked meanwhile. Whatever is sent later is sent at once, and its acknowledgement
/// tells QUIC to repeat what was lost before; by itself it waits twice as long each time.
pub(crate) const AGAIN: Duration = Duration::from_millis(250);
/// How often it is looked whether it has answered.
const LOOK: Duration = Duration::from_millis(10);
/// How long the record of a life that is told of may take to come.
pub(crate) const RECORD: Duration = Duration::from_secs(1);

impl Inner {
    /// Whether the life `said` of a node that is known in the life `known` has begun, and whether
    /// it is over, if that is said too.
    pub(crate) async fn find_out(
        &self,
        said: Member,
        known: u64,
        dead: bool,
        from: Option<NodeId>,
    ) -> bool {
        let later = said.generation > known;
        let true_ = (!later || self.has_begun(&said, from).await)
            && !(dead && self.answers(&said.id, from.map_or(LAST_WORD, |_| ANSWER)).await);
        if !true_ {
            let teller = from.map(tracing::field::debug);
            tracing::debug!(node = %said.id, teller, later, dead, "not true of a node");
        }
        true_
    }

    /// Whether the node has signed a record of this life, which is asked for if need be.
    async fn has_begun(&self, said: &Member, from: Option<NodeId>) -> bool {
        let signed = || {
            let state = self.state();
            let sealed = state.replica.get(&said.id);
            sealed.is_some_and(|sealed| sealed.record().incarnation >= said.generation)
        };
        let mut changed = self.changed.subscribe();
        if signed() {
            return true;
        }
        let teller = from.and_then(|from| self.link(&from));
        if let Some(link) = teller.or_else(|| self.link(&said.id)) {
            self.pull(&link, vec![said.id]);
        }
        let arrived = async {
            while !signed() {
                if changed.changed().await.is_err() {
                    return false;
                }
            }
            true
        };
        timeout(RECORD, arrived).await.unwrap_or(false)
    }

    /// Whether the node answers a question that is asked now, on the connection that there is. Whoever
    /// ends that meanwhile, in good order, is there as well.
    async fn answers(&self, node: &NodeId, within: Duration) -> bool {
        let Some(link) = self.link(node) else { return false };
        // No other `Ping` has such a number.
        let number = rand::rng().random_range(1..=u64::MAX);
        let question = link.questions.ask(number);
        let within = within.max(6 * link.round_trip());
        let mut looking = interval(LOOK);
        // Time is counted in looks: that this process stood still is not held against the node.
        looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for look in 0..=within.div_duration_f64(LOOK) as u64 {
            tokio::select! {
                _ = looking.tick() => {}
                () = link.closed.cancelled() => return link.is_done(),
            }
            if question.is_answered() {
                return true;
            }
            let asks = look.is_multiple_of((AGAIN.as_millis() / LOOK.as_millis()) as u64);
            if asks && link.lane.push(&Message::Ping(number)).is_err() {
                return link.is_done();
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
