use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::extension::{NotExtended, Term};
use super::headers::{HeaderError, Headers};
use super::said::Said;
use crate::mesh::lock;
use crate::transport::link::Link;
use crate::wire::Message;

/// How long a call that runs here may go on: its deadline, which its handler may move, and
/// whether somebody still waits for it; and what is to travel beside its reply. All clones are of
/// one call.
#[derive(Clone)]
pub struct Lease(Arc<Inner>);

struct Inner {
    /// The deadline at first, and by how many microseconds it has moved since: the deadline is
    /// read without the lock.
    first: Instant,
    moved: AtomicU64,
    state: Mutex<State>,
    /// Made when it is asked for: most calls end without anybody who would wait for it.
    token: OnceLock<CancellationToken>,
    /// The link on which the caller waits, and the number of the call there.
    caller: Option<(Weak<Link>, u64)>,
}

struct State {
    term: Term,
    /// What goes beside the reply.
    said: Said,
    ended: bool,
    cancelled: bool,
}

impl Lease {
    /// The lease of a call within this process.
    pub fn new(term: Term) -> Self {
        Self::of(term, None)
    }

    /// The lease of a request of a peer.
    pub(crate) fn remote(term: Term, link: &Arc<Link>, id: u64) -> Self {
        Self::of(term, Some((Arc::downgrade(link), id)))
    }

    fn of(term: Term, caller: Option<(Weak<Link>, u64)>) -> Self {
        let state = State { term, said: Said::default(), ended: false, cancelled: false };
        Self(Arc::new(Inner {
            first: term.deadline(),
            moved: AtomicU64::new(0),
            state: Mutex::new(state),
            token: OnceLock::new(),
            caller,
        }))
    }

    /// When the caller stops waiting, as things stand. Costs no lock.
    pub fn deadline(&self) -> Instant {
        self.0.first + Duration::from_micros(self.0.moved.load(Ordering::Acquire))
    }

    /// Cancelled when the caller stops waiting.
    pub fn cancelled(&self) -> &CancellationToken {
        if let Some(token) = self.0.token.get() {
            return token;
        }
        // Under the lock, so that a cancellation at this moment finds the token or is found here.
        let state = lock(&self.0.state);
        let token = self.0.token.get_or_init(CancellationToken::new);
        if state.cancelled {
            token.cancel();
        }
        token
    }

    /// The caller has stopped waiting, or nothing more is to be done for it.
    pub fn cancel(&self) {
        let token = {
            lock(&self.0.state).cancelled = true;
            self.0.token.get()
        };
        if let Some(token) = token {
            token.cancel();
        }
    }

    /// Whether the caller has stopped waiting.
    pub fn is_cancelled(&self) -> bool {
        match self.0.token.get() {
            Some(token) => token.is_cancelled(),
            None => lock(&self.0.state).cancelled,
        }
    }

    /// Moves the deadline later by as much of `by` as the caller allows, tells the caller, and
    /// says by how much.
    ///
    /// # Errors
    ///
    /// When the call is over, cancelled, or has all that its caller allows.
    pub fn extend(&self, by: Duration) -> Result<Duration, NotExtended> {
        let is_cancelled = self.is_cancelled();
        let mut state = lock(&self.0.state);
        if state.ended || is_cancelled {
            return Err(NotExtended::Over);
        }
        let granted = state.term.extend(by, Instant::now())?;
        let micros = u64::try_from(granted.as_micros()).unwrap_or(u64::MAX);
        self.0.moved.fetch_add(micros, Ordering::AcqRel);
        if let Some((link, id)) = &self.0.caller
            && let Some(link) = link.upgrade()
        {
            // On a closed link the call is about to be cancelled.
            let _ = link.lane.push(&Message::Extend { id: *id, by: granted });
        }
        Ok(granted)
    }

    /// Has this header go beside the reply, in place of another one under its key. False if the call
    /// is over or cancelled: there is no reply that it could go beside.
    ///
    /// It reaches the caller if who answers the call puts [what was said](Self::reply_headers) into its
    /// [`Answer`](super::Answer).
    ///
    /// # Errors
    ///
    /// As those of [`Headers::insert`]: nothing has changed then.
    pub fn reply_header(&self, key: &str, value: &str) -> Result<bool, HeaderError> {
        self.say(|said| said.say(key, value).map(|()| true))
    }

    /// The same, said by the body of the call, which may be [given up](Self::give_up_body) in the
    /// course of it: false from then on, too.
    ///
    /// # Errors
    ///
    /// As those of [`Headers::insert`]: nothing has changed then.
    pub fn reply_header_of_body(&self, key: &str, value: &str) -> Result<bool, HeaderError> {
        self.say(|said| said.say_of_body(key, value))
    }

    /// The body was given up, and the call goes on without it: what [it said](Self::reply_header_of_body)
    /// is taken back, so that what [others said](Self::reply_header) counts again.
    pub fn give_up_body(&self) {
        lock(&self.0.state).said.give_up_body();
    }

    fn say(
        &self,
        say: impl FnOnce(&mut Said) -> Result<bool, HeaderError>,
    ) -> Result<bool, HeaderError> {
        let is_cancelled = self.is_cancelled();
        let mut state = lock(&self.0.state);
        if state.ended || is_cancelled { Ok(false) } else { say(&mut state.said) }
    }

    /// What is to go beside the reply, as far as it has been said.
    pub fn reply_headers(&self) -> Headers {
        lock(&self.0.state).said.all().clone()
    }

    /// The call has ended: nothing extends it any more, and no other headers go beside its reply than
    /// these.
    pub fn end(&self) -> Headers {
        let mut state = lock(&self.0.state);
        state.ended = true;
        state.said.all().clone()
    }

    /// Ends the call if its deadline has passed, and says whether it had.
    pub fn expire(&self) -> bool {
        let mut state = lock(&self.0.state);
        let over = Instant::now() >= state.term.deadline();
        state.ended |= over;
        over
    }

    /// Resolves when the deadline has passed, wherever it has moved by then.
    pub async fn expired(&self) {
        loop {
            sleep_until(self.deadline()).await;
            if self.expire() {
                return;
            }
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("deadline", &self.deadline()).finish_non_exhaustive()
    }
}

/// By how much the deadline of a request has moved, for whoever waits for several at once. All
/// clones are of one request.
#[derive(Clone, Debug, Default)]
pub struct Moved(Arc<AtomicU64>);

impl Moved {
    /// By how much.
    pub fn by(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Acquire))
    }

    pub(crate) fn add(&self, granted: Duration) {
        let micros = u64::try_from(granted.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_add(micros, Ordering::AcqRel);
    }
}

/// Whether a request has left, for whoever gives it up. All clones are of one request.
#[derive(Clone, Debug, Default)]
pub struct Sent(Arc<AtomicBool>);

impl Sent {
    /// Whether any of it may have been sent.
    pub fn yet(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn now(&self) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn all_clones_see_it_move_and_end() {
        let start = Instant::now();
        let lease = Lease::new(Term::new(start + 100 * MS, 200 * MS, 2));
        let clone = lease.clone();
        let waiting = tokio::spawn(async move { clone.expired().await });
        tokio::time::sleep(50 * MS).await;
        assert_eq!(lease.extend(50 * MS), Ok(50 * MS));
        assert_eq!(lease.clone().deadline(), start + 150 * MS);
        tokio::time::sleep(70 * MS).await;
        assert!(!lease.expire());
        waiting.await.unwrap();
        assert_eq!(start.elapsed().as_millis(), 150);
        assert_eq!(lease.extend(MS), Err(NotExtended::Over));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_ended_or_was_cancelled_gets_nothing() {
        let lease = || Lease::new(Term::new(Instant::now() + MS, MS, 9));
        let (ended, cancelled) = (lease(), lease());
        ended.end();
        cancelled.cancel();
        assert!(cancelled.is_cancelled() && cancelled.cancelled().is_cancelled());
        assert_eq!(ended.extend(MS), Err(NotExtended::Over));
        assert_eq!(cancelled.extend(MS), Err(NotExtended::Over));
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_beside_the_reply_is_said_before_the_end() {
        let lease = Lease::new(Term::fixed(Instant::now() + MS));
        assert_eq!(lease.clone().reply_header("a", "1"), Ok(true));
        assert_eq!(lease.reply_header("A", "1"), Err(HeaderError::Key));
        assert_eq!(lease.reply_header("a", "2"), Ok(true));
        let mut said = Headers::new();
        said.insert("a", "2").unwrap();
        assert_eq!(lease.reply_headers(), said);
        assert_eq!(lease.reply_header_of_body("a", "3"), Ok(true));
        lease.give_up_body();
        assert_eq!(lease.reply_header_of_body("c", "3"), Ok(false));
        assert_eq!(lease.end(), said);
        assert_eq!(lease.reply_header("b", "3"), Ok(false));
        assert_eq!(lease.reply_headers(), said);
        let cancelled = Lease::new(Term::fixed(Instant::now() + MS));
        cancelled.cancel();
        assert_eq!(cancelled.reply_header("b", "3"), Ok(false));
    }
}
