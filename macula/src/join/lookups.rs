//! Lookups that go on when nobody waits for them any more: of each host one at a time.
//!
//! The system answers on a thread that cannot be stopped. If a new one were begun each time that an
//! answer is late, a name server that is silent would be given more and more threads.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Mutex as Turn;

/// The hosts that are looked up now.
#[derive(Debug, Default)]
pub(crate) struct Lookups(Mutex<BTreeMap<String, Weak<Turn<()>>>>);

impl Lookups {
    /// Does this `lookup` of the host as soon as none of it is under way, and to its end, also if
    /// it is not waited for.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        host: &str,
        lookup: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let turn = self.turn(host).lock_owned().await;
        let looked = tokio::spawn(async move {
            let looked = lookup.await;
            drop(turn);
            looked
        });
        looked.await.map_err(io::Error::other)?
    }

    fn turn(&self, host: &str) -> Arc<Turn<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(host).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(host.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_hangs_is_the_only_one_of_its_host() {
        let (lookups, begun) = (Lookups::default(), Arc::new(AtomicU32::new(0)));
        let (answer, answered) = oneshot::channel();
        let counted = begun.clone();
        let hangs = lookups.run("site", async move {
            counted.fetch_add(1, SeqCst);
            answered.await.map_err(io::Error::other)
        });
        let second = Duration::from_secs(1);
        assert!(timeout(second, hangs).await.is_err());
        let again = || {
            let begun = begun.clone();
            lookups.run("site", async move { Ok(begun.fetch_add(1, SeqCst)) })
        };
        for _ in 0..9 {
            assert!(timeout(second, again()).await.is_err());
        }
        assert_eq!(begun.load(SeqCst), 1, "nobody waits for it, and it goes on");
        assert_eq!(lookups.run("plain", async { Ok(7) }).await.unwrap(), 7);
        answer.send(()).unwrap();
        assert_eq!(timeout(second, again()).await.unwrap().unwrap(), 1);
        assert_eq!(again().await.unwrap(), 2);
        drop(lookups.turn("other"));
        assert_eq!(lookups.0.lock().unwrap().len(), 1, "only who is looked up is known");
    }
}
