use std::sync::OnceLock;

use tokio::sync::Notify;

use super::Violation;

/// What the peer did wrong first on a stream of its own. A channel would do, and keep two kilobytes
/// for it, of every peer.
#[derive(Debug, Default)]
pub(super) struct Failed {
    violation: OnceLock<Violation>,
    told: Notify,
}

impl Failed {
    /// A second violation adds nothing.
    pub(super) fn tell(&self, violation: Violation) {
        if self.violation.set(violation).is_ok() {
            self.told.notify_one();
        }
    }

    pub(super) async fn wait(&self) -> Violation {
        loop {
            let told = self.told.notified();
            if let Some(violation) = self.violation.get() {
                return *violation;
            }
            told.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_violation_is_told_whoever_comes_first() {
        let failed = Failed::default();
        failed.tell(Violation::RepeatedRequest);
        failed.tell(Violation::NotReading);
        assert!(matches!(failed.wait().await, Violation::RepeatedRequest));

        let failed = Failed::default();
        let (told, ()) = tokio::join!(failed.wait(), async {
            tokio::task::yield_now().await;
            failed.tell(Violation::NotReading);
        });
        assert!(matches!(told, Violation::NotReading));
    }
}
