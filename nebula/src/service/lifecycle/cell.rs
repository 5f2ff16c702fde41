//! Where the status of one service is kept: written by its driver, read by everybody.
//!
//! Promise: reading takes no lock. Calls do not read it: whether they are taken, the gates of the
//! [service](crate::service::served) say, which its body opens and closes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::status::{Admin, Running, ServiceStatus};
use crate::events::Teller;

/// The byte: three bits of `Running`, two of `Admin`.
const RUNNING: u8 = 0b111;
const ADMIN_AT: u8 = 3;

/// The status of one service.
pub(crate) struct StatusCell {
    word: AtomicU8,
    whole: ArcSwap<ServiceStatus>,
    watch: watch::Sender<Arc<ServiceStatus>>,
    /// Who else is told that it has changed.
    told: Option<(watch::Sender<()>, Teller)>,
}

impl StatusCell {
    /// With a first status.
    pub(crate) fn new(status: ServiceStatus) -> Self {
        let status = Arc::new(status);
        Self {
            word: AtomicU8::new(word(&status)),
            whole: ArcSwap::new(Arc::clone(&status)),
            watch: watch::Sender::new(status),
            told: None,
        }
    }

    /// The same, and somebody is told of each change.
    pub(crate) fn telling(self, told: watch::Sender<()>, teller: Teller) -> Self {
        Self { told: Some((told, teller)), ..self }
    }

    /// The next status, for readers and for those who watch.
    pub(crate) fn set(&self, status: Arc<ServiceStatus>) {
        self.word.store(word(&status), SeqCst);
        let old = self.whole.swap(Arc::clone(&status));
        self.watch.send_replace(Arc::clone(&status));
        if let Some((told, teller)) = &self.told {
            told.send_replace(());
            teller.tell(old, status);
        }
    }

    /// What the service is.
    #[inline]
    pub(crate) fn running(&self) -> Running {
        let number = self.word.load(SeqCst) & RUNNING;
        Running::ALL.get(usize::from(number)).copied().unwrap_or(Running::Stopped)
    }

    /// What it is asked to be.
    #[inline]
    pub(crate) fn admin(&self) -> Admin {
        let number = self.word.load(SeqCst) >> ADMIN_AT;
        Admin::ALL.get(usize::from(number)).copied().unwrap_or(Admin::Inactive)
    }

    /// The whole status.
    pub(crate) fn status(&self) -> Arc<ServiceStatus> {
        self.whole.load_full()
    }

    /// Follows it. One who is slow sees the last status, not each.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<ServiceStatus>> {
        self.watch.subscribe()
    }
}

impl Default for StatusCell {
    /// Of a service that has not been started.
    fn default() -> Self {
        Self::new(ServiceStatus::fresh(SystemTime::now()))
    }
}

impl fmt::Debug for StatusCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StatusCell").field(&self.status()).finish()
    }
}

fn word(status: &ServiceStatus) -> u8 {
    status.running as u8 | (status.admin as u8) << ADMIN_AT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_says_what_the_whole_says() {
        // LC-19: the value read without a lock follows each transition.
        let fresh = ServiceStatus::fresh(SystemTime::UNIX_EPOCH);
        let cell = StatusCell::new(fresh.clone());
        let mut watch = cell.watch();
        for admin in Admin::ALL {
            for running in Running::ALL {
                for draining in [false, true] {
                    let status = ServiceStatus { admin, running, draining, ..fresh.clone() };
                    cell.set(Arc::new(status.clone()));
                    assert_eq!((cell.admin(), cell.running()), (admin, running));
                    assert_eq!(*cell.status(), status);
                    assert!(watch.has_changed().unwrap());
                    assert_eq!(**watch.borrow_and_update(), status);
                }
            }
        }
    }
}
