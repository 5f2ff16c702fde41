//! What a handler and the plugins around it send back beside the reply. It is kept in the lease of
//! the call.

use macula::rpc::{Headers, Lease};

use super::{Ambient, Context, Scope, with_ambient};
use crate::not_said::NotSaid;

impl Context {
    /// Sends this text back beside what the method returns, also beside its own error, in place of
    /// another one under this key. Callers that ask for it read it: those of
    /// [`Call::reply`](crate::Call::reply), and who asks several nodes
    /// [of each](crate::Replies::headers). The bounds are those of
    /// [`Call::header`](crate::Call::header).
    ///
    /// It may be said as long as the method and the plugins around it have not returned: in the
    /// handler, in a task with a clone of the context, and in any hook of a plugin. If the call is
    /// refused, panics, or ends for another reason without what the method returns, nothing of it is
    /// sent. If a plugin gives the method up before it has returned, and answers in its place, what
    /// was said in the method is taken back, tasks with a clone of its context say nothing any more
    /// ([`NotSaid::Over`]), and what plugins said or say still goes. A call in whose course nobody
    /// says anything pays nothing for it.
    ///
    /// # Errors
    ///
    /// [`NotSaid`] says which bound was exceeded, or why nobody would hear it: nothing has changed
    /// then, and the call goes on.
    pub fn reply_header(
        &self,
        key: impl AsRef<str>,
        value: impl AsRef<str>,
    ) -> Result<(), NotSaid> {
        let lease = self.shared_lease().filter(|_| !self.lent).ok_or(NotSaid::Elsewhere)?;
        let (key, value) = (key.as_ref(), value.as_ref());
        let said = match self.expendable {
            true => lease.reply_header_of_body(key, value)?,
            false => lease.reply_header(key, value)?,
        };
        if said { Ok(()) } else { Err(NotSaid::Over) }
    }

    /// What goes back beside the reply, as far as it has been [said](Self::reply_header) by now: by
    /// the method and by plugins. Of a [detached](Self::detached) context it is what a test reads; a
    /// clone that was made where the call does not run knows of nothing.
    pub fn reply_headers(&self) -> Headers {
        match self.lease.get() {
            Some(lease) => lease.reply_headers(),
            None => with_ambient(|ambient| ambient.reply_headers()).unwrap_or_default(),
        }
    }
}

/// Watches a body in place of which a plugin may answer: dropped before it has
/// [returned](Self::returned), what was said there is taken back.
pub(crate) struct Expendable<'c>(Option<&'c Context>);

impl<'c> Expendable<'c> {
    /// Watches the body that has `own`, in the call of `cx`.
    pub(crate) fn new(own: &mut Context, cx: &'c Context) -> Self {
        own.expendable = true;
        Self(Some(cx))
    }

    pub(crate) fn returned(mut self) {
        self.0 = None;
    }
}

impl Drop for Expendable<'_> {
    fn drop(&mut self) {
        let Some(cx) = self.0 else { return };
        match cx.lease.get() {
            Some(lease) => lease.give_up_body(),
            // Where nobody asked for a lease, nobody said anything, nor has a clone to say it with.
            None => {
                with_ambient(|ambient| ambient.lease.as_ref().map(Lease::give_up_body));
            }
        }
    }
}

impl Ambient {
    fn reply_headers(&self) -> Headers {
        self.lease.as_ref().map_or_else(Headers::new, Lease::reply_headers)
    }
}

impl Scope {
    /// What goes beside the reply of the body, as far as it has been said.
    pub(crate) fn reply_headers(&self) -> Headers {
        self.0.as_ref().map_or_else(Headers::new, Ambient::reply_headers)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use macula::rpc::Term;
    use tokio::time::Instant;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_goes_back_is_said_by_all_contexts_of_the_call_and_where_it_runs() {
        let term = Term::new(Instant::now() + SECOND, SECOND, 3);
        let cx = Context::new(None, term, None, Headers::new());
        let elsewhere = |cx: &Context| {
            std::thread::scope(|scope| scope.spawn(|| cx.reply_header("k", "v")).join().unwrap())
        };
        assert_eq!(elsewhere(&cx), Err(NotSaid::Elsewhere));
        let lent = std::thread::scope(|scope| scope.spawn(|| cx.clone()).join().unwrap());
        let mut scope = cx.scope();
        let (twin, clone) = scope.enter(|| {
            assert!(cx.reply_headers().is_empty(), "nobody has said anything");
            let twin = cx.twin();
            twin.reply_header("twin", "1").unwrap();
            (twin, cx.clone())
        });
        assert_eq!(elsewhere(&clone), Ok(()), "a clone goes anywhere");
        assert_eq!(lent.reply_header("k", "v"), Err(NotSaid::Elsewhere));
        assert!(lent.reply_headers().is_empty());
        let said = scope.end();
        assert_eq!(said.iter().collect::<Vec<_>>(), [("k", "v"), ("twin", "1")]);
        assert_eq!(twin.reply_headers(), said);
        assert_eq!(clone.reply_header("late", "1"), Err(NotSaid::Over));
        // A test reads what a handler has said.
        let alone = Context::detached(SECOND);
        alone.reply_header("k", "v").unwrap();
        assert_eq!(alone.reply_headers().get("k"), Some("v"));
        let wrong = alone.reply_header("K", "v").unwrap_err();
        assert!(wrong.to_string().starts_with("a header's key has 1 to 64 bytes"), "{wrong}");
    }
}
