use std::fmt;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, Stream, StreamExt};

use super::super::all::AllMachine;
use super::super::unary::Call;
use super::super::{Entry, NoTarget, Replies};
use super::Legs;
use crate::service::method::{Error, Method, Value};
use crate::trace::call::{Calling, several, success, told};

/// A call to every target, which has not been made yet.
///
/// Awaiting it gives one entry a node, in a stable order; nodes that were silent until their
/// deadline are `Deadline`. [`stream`](Self::stream) gives the entries as they come.
#[must_use = "a call does nothing until it is awaited"]
pub struct All<'a, M: Method>(Call<'a, M>);

impl<'a, M: Method> All<'a, M> {
    pub(crate) fn new(call: Call<'a, M>) -> Self {
        Self(call)
    }

    /// The entries in the order of their arrival, and at their deadline those of the silent nodes.
    /// Nothing is sent before the first poll; without any target it ends at once.
    pub fn stream(
        mut self,
    ) -> impl Stream<Item = Entry<Value<M>, Error<M>>> + Send + Unpin + use<'a, M> {
        let started = async move {
            let mut calling = several(&mut self.0, "all");
            let started = within(&mut calling, start(self.0)).await;
            if let (Err(_), Some(calling)) = (&started, &mut calling) {
                calling.ends(success(&started));
            }
            Some((started.ok()?, calling.map(|calling| (calling, Ends::default()))))
        };
        stream::once(started)
            .flat_map(|started| match started {
                Some(running) => stream::unfold(Some(running), step).flatten().boxed(),
                None => stream::empty().boxed(),
            })
            .boxed()
    }
}

impl<'a, M: Method> IntoFuture for All<'a, M> {
    type Output = Result<Replies<Value<M>, Error<M>>, NoTarget>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(mut self) -> Self::IntoFuture {
        async move {
            let calling = several(&mut self.0, "all");
            told(calling, self.make(), outcome).await
        }
        .boxed()
    }
}

impl<M: Method> All<'_, M> {
    async fn make(self) -> Result<Replies<Value<M>, Error<M>>, NoTarget> {
        let (mut machine, mut legs) = start(self.0).await?;
        loop {
            let Some(came) = legs.next().await else {
                machine.on_deadline();
                break;
            };
            if machine.on_replies(came).is_some() {
                break;
            }
        }
        let elapsed = legs.started.elapsed();
        Ok(machine.finish(elapsed, |index, node| legs.open_leg(index, node)))
    }
}

impl<M: Method> fmt::Debug for All<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("All").field(&self.0).finish()
    }
}

fn outcome<T, E>(replies: &Result<Replies<T, E>, NoTarget>) -> &'static str {
    let Ok(replies) = replies else { return "failed" };
    let mut ends = Ends::default();
    ends.take(replies.iter());
    ends.outcome()
}

/// How the nodes ended.
#[derive(Clone, Copy, Default)]
struct Ends {
    some_ok: bool,
    some_failed: bool,
}

impl Ends {
    fn take<'e, T: 'e, E: 'e>(&mut self, entries: impl IntoIterator<Item = &'e Entry<T, E>>) {
        for entry in entries {
            match entry.result {
                Ok(_) => self.some_ok = true,
                Err(_) => self.some_failed = true,
            }
        }
    }

    /// In one word how the whole call ended.
    fn outcome(self) -> &'static str {
        match (self.some_ok, self.some_failed) {
            (true, true) => "partial",
            (true, false) => "ok",
            (false, _) => "failed",
        }
    }
}

type Machine<M> = AllMachine<Value<M>, Error<M>>;
type Running<M> = (Machine<M>, Legs<M>);
/// What is told of it goes along.
type Shown<M> = (Running<M>, Option<(Calling, Ends)>);
type Entries<M> = stream::Iter<std::vec::IntoIter<Entry<Value<M>, Error<M>>>>;

async fn start<M: Method>(call: Call<'_, M>) -> Result<Running<M>, NoTarget> {
    let legs = Legs::of(call, false).await;
    let targets = legs.targets.clone();
    Ok((AllMachine::new(targets, || legs.why.clone())?, legs))
}

/// Waits for what comes in next, and gives the entries that are known then.
async fn step<M: Method>(running: Option<Shown<M>>) -> Option<(Entries<M>, Option<Shown<M>>)> {
    let ((mut machine, mut legs), mut calling) = running?;
    let came = match &mut calling {
        None => legs.next().await,
        Some((calling, _)) => calling.enter(legs.next()).await,
    };
    let ended = match came {
        Some(came) => machine.on_replies(came).is_some(),
        None => {
            machine.on_deadline();
            true
        }
    };
    let mut entries: Vec<_> = machine.drain().collect();
    if let Some((_, ends)) = &mut calling {
        ends.take(&entries);
    }
    if !ended {
        return Some((stream::iter(entries), Some(((machine, legs), calling))));
    }
    let elapsed = legs.started.elapsed();
    let rest = machine.finish(elapsed, |index, node| legs.open_leg(index, node));
    if let Some((calling, ends)) = &mut calling {
        ends.take(&rest);
        calling.ends(ends.outcome());
    }
    entries.extend(rest);
    Some((stream::iter(entries), None))
}

async fn within<T>(calling: &mut Option<Calling>, made: impl Future<Output = T>) -> T {
    match calling {
        None => made.await,
        Some(calling) => calling.enter(made).await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::call::reply::tests::node;
    use crate::call::{CallError, Log};

    #[test]
    fn some_answers_are_neither_all_nor_none() {
        let entry = |ok: bool| Entry::<u8> {
            node: node(1),
            result: if ok { Ok(1) } else { Err(CallError::Deadline(Log::default())) },
            elapsed: Duration::ZERO,
        };
        let of = |came: &[bool]| {
            let mut ends = Ends::default();
            came.iter().for_each(|ok| ends.take(&[entry(*ok)]));
            ends.outcome()
        };
        assert_eq!((of(&[true, true]), of(&[false, false])), ("ok", "failed"));
        assert_eq!(of(&[]), "failed");
        assert_eq!((of(&[true, false]), of(&[false, true])), ("partial", "partial"));
    }
}
