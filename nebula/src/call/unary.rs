//! The call as it is written: a method, its arguments, and what is said on the way to `.await`.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use macula::identity::NodeId;

use super::CallError;
use super::cast::Cast;
use super::handle::Shared;
use super::hedged::Hedged;
use super::options::Options;
use super::replying::Replying;
use super::several::{All, First, Quorum};
use super::targets::{Chosen, Configured, Unsaid};
use super::threshold::Threshold;
use super::unicast::Unicast;
use crate::nodes::{IntoSelector, NodeInfo, Nodes, Policy};
use crate::service::info::Stragglers;
use crate::service::method::{Error, Idempotent, Method, Value};

/// A call of the method `M` that has not been made yet.
///
/// Awaiting it asks one node and gives `Result<T, CallError<E>>`; [`all`](Self::all),
/// [`first`](Self::first) and [`quorum`](Self::quorum) ask several. It borrows its client, so a
/// task takes the client along: `tokio::spawn(async move { users.find(1).await })`.
/// `Targets` says whether the nodes to ask were named ([`Configured`]), picked by a closure
/// ([`Chosen`]), or neither yet ([`Unsaid`]): they are chosen once.
#[must_use = "a call does nothing until it is awaited: `.await`, or `.all()`, `.first()`, \
              `.quorum(..)` first"]
pub struct Call<'a, M: Method, Targets = Unsaid> {
    pub(crate) shared: &'a Shared,
    /// Until the call takes them.
    pub(crate) args: Option<M::Args>,
    pub(crate) options: Options,
    pub(crate) target: Target<'a>,
    pub(crate) hedge: bool,
    targets: PhantomData<Targets>,
}

/// Whom a call is for, as far as the call itself says it.
pub(crate) enum Target<'a> {
    /// It does not: the selector of the options, else anyone who serves the method.
    Unsaid,
    /// Exactly this node.
    Node(NodeId),
    /// Those that the closure takes from the nodes that serve the method.
    Pick(Pick<'a>),
}

/// A closure that chooses nodes.
pub(crate) type Pick<'a> = Box<dyn FnOnce(Nodes) -> Vec<NodeInfo> + Send + 'a>;

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsaid => f.write_str("Unsaid"),
            Self::Node(id) => f.debug_tuple("Node").field(id).finish(),
            Self::Pick(_) => f.write_str("Pick"),
        }
    }
}

impl<'a, M: Method> Call<'a, M> {
    pub(crate) fn new(shared: &'a Shared, args: M::Args) -> Self {
        Self {
            shared,
            args: Some(args),
            options: Options::default(),
            target: Target::Unsaid,
            hedge: false,
            targets: PhantomData,
        }
    }

    /// Asks only nodes that the selector means. One that means no node never widens.
    pub fn on(mut self, selector: impl IntoSelector) -> Call<'a, M, Configured> {
        self.options = self.options.on(selector);
        self.aimed()
    }

    /// Asks exactly this node.
    pub fn to(mut self, node: NodeId) -> Call<'a, M, Configured> {
        self.target = Target::Node(node);
        self.aimed()
    }

    /// Asks the node that `choose` takes from those that serve the method now.
    pub fn pick(
        self,
        choose: impl FnOnce(Nodes) -> Option<NodeInfo> + Send + 'a,
    ) -> Call<'a, M, Chosen> {
        self.pick_many(choose)
    }

    /// Asks the nodes that `choose` takes from those that serve the method now, each once.
    pub fn pick_many<I: IntoIterator<Item = NodeInfo>>(
        mut self,
        choose: impl FnOnce(Nodes) -> I + Send + 'a,
    ) -> Call<'a, M, Chosen> {
        self.target = Target::Pick(Box::new(|nodes| choose(nodes).into_iter().collect()));
        self.aimed()
    }
}

impl<'a, M: Method, Targets> Call<'a, M, Targets> {
    /// Sets how long the call may take from its first poll, 24 hours at most (more is cut to
    /// that). A handler's own deadline cannot be exceeded. With zero the call fails at once with
    /// [`CallError::Deadline`], and nothing is sent.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.timeout(timeout);
        self
    }

    /// Sets which of the nodes that it may go to is asked first, and which next when that fails:
    /// `users.find(1).policy(Policy::sticky(1))`. For a call to one node, hedged or not; `all`,
    /// `first` and `quorum` ask every node, whatever is said here.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.options = self.options.policy(policy);
        self
    }

    /// Sends this text along with the call, for plugins and handlers to read
    /// ([`Context::header`](crate::Context::header)), over the one that the client sends under this
    /// key. A key is a lower-case token of at most 64 bytes, a value any text of at most 1024; 32 of
    /// them and 4 KiB in all. With any other the call fails with [`CallError::Protocol`] before
    /// anything is sent.
    pub fn header(mut self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.options = self.options.header(key, value);
        self
    }

    /// Sets how often the handler may [extend](crate::Context::extend) this call: 0 is never, 1000
    /// is the most (more is cut to that). The call takes no longer in all than its timeout times
    /// one more than this, and never longer than 24 hours or than a handler around it had left.
    pub fn max_extensions(mut self, extensions: u32) -> Self {
        self.options = self.options.max_extensions(extensions);
        self
    }

    /// Sets what becomes of the calls that are under way when [`first`](Self::first) or
    /// [`quorum`](Self::quorum) of this one is decided; for others it means nothing.
    pub fn stragglers(mut self, stragglers: Stragglers) -> Self {
        self.options = self.options.stragglers(stragglers);
        self
    }

    /// Asks a second node when the first has not answered within the time that 95 of 100 such
    /// calls took lately (50 ms before anything is known), takes the answer that comes first, and
    /// cancels the other. The second request counts as a retry in the node's retry budget.
    ///
    /// That time follows what it measures: if more than one in twenty calls of the method is slow,
    /// it becomes the time of the slow ones, and second nodes are asked later, by which hedging
    /// helps less.
    ///
    /// It is said last: what is left is to await the call, to give it a timeout, or to ask for its
    /// [`reply`](Hedged::reply).
    pub fn hedge(mut self) -> Hedged<'a, M>
    where
        M: Idempotent,
    {
        self.hedge = true;
        Hedged::new(self.aimed())
    }
}

impl<'a, M: Method, Targets> Call<'a, M, Targets> {
    /// Asks one node as ever, and gives a [`FullReply`](super::FullReply) instead of the mere value: who
    /// answered, how long the call took, and the headers that the handler or a plugin there
    /// [sent back](crate::Context::reply_header). All that can be said of a call to one node holds for
    /// it; a client without a node names its service `local`.
    ///
    /// An error has no such headers, not even the method's own: [`all`](Self::all) of a call
    /// [`to`](Call::to) one node [has them](super::Replies::headers). It is made with a few allocations more than
    /// the call itself.
    ///
    /// ```
    /// # use nebula::prelude::*;
    /// #[service]
    /// trait Store {
    ///     #[api(idempotent)]
    ///     async fn find(&self, cx: &Context, id: u64) -> Option<String>;
    /// }
    ///
    /// struct Empty;
    /// impl Store for Empty {
    ///     async fn find(&self, cx: &Context, _: u64) -> Option<String> {
    ///         // Fails only with what cannot be sent, and when nobody waits any more.
    ///         let _ = cx.reply_header("rows-read", "12");
    ///         None
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> nebula::Result<()> {
    /// let store = StoreClient::local(Empty);
    /// let reply = store.find(7).reply().await?;
    /// assert_eq!(reply.value, None);
    /// assert_eq!(reply.headers.get("rows-read"), Some("12"));
    /// assert_eq!(reply.node.to_string(), "local");
    /// # Ok(())
    /// # }
    /// ```
    pub fn reply(self) -> Replying<'a, M> {
        Replying::new(self.aimed())
    }

    /// Asks every target and waits for all of them: one entry a node.
    pub fn all(self) -> All<'a, M> {
        All::new(self.aimed())
    }

    /// Asks every target and takes the first success.
    pub fn first(self) -> First<'a, M> {
        First::new(self.aimed())
    }

    /// Makes the call and does not wait for its end: awaited, it is ready as soon as the call is on
    /// its way. On its way is what the service of this node has taken, or let wait for its turn, or
    /// what is handed to a connection or to the attempt to make one.
    ///
    /// The call goes on in the background within its timeout, as any other: if a node cannot take
    /// it, the next one is asked. The end of a handler around it does not cancel it, though that
    /// handler's deadline is its own too. [`Node::shutdown`](crate::Node::shutdown) waits for it within the
    /// grace period. What it returns is dropped, and counted by
    /// [`Node::cast_counts`](crate::Node::cast_counts).
    ///
    /// `Ok(())` promises no more than that: the call may be lost, refused or late, and nobody hears of
    /// it. A method runs at most once, unless it is idempotent. It must be awaited within a Tokio
    /// runtime.
    ///
    /// ```
    /// # use nebula::prelude::*;
    /// # #[service]
    /// # trait Log {
    /// #     #[api]
    /// #     async fn write(&self, line: String);
    /// # }
    /// # struct Nowhere;
    /// # impl Log for Nowhere {
    /// #     async fn write(&self, _: String) {}
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> nebula::Result<()> {
    /// let log = LogClient::local(Nowhere);
    /// log.write("started".into()).cast().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What shows at once that the method does not run: nobody can be asked, there is no room here,
    /// or the arguments cannot be sent.
    pub fn cast(self) -> Cast<'a, M> {
        Cast::new(self.aimed())
    }

    /// Asks every target and ends as soon as enough succeeded, or too few can.
    pub fn quorum<Q: Threshold<Targets>>(self, successes: Q) -> Quorum<'a, M> {
        Quorum::new(self.aimed(), successes)
    }

    /// The same call under another marker.
    fn aimed<Other>(self) -> Call<'a, M, Other> {
        let Self { shared, args, options, target, hedge, .. } = self;
        Call { shared, args, options, target, hedge, targets: PhantomData }
    }
}

impl<'a, M: Method, Targets> IntoFuture for Call<'a, M, Targets> {
    type Output = Result<Value<M>, CallError<Error<M>>>;
    type IntoFuture = Unicast<'a, M>;

    fn into_future(self) -> Unicast<'a, M> {
        Unicast::new(self.aimed())
    }
}

impl<M: Method, Targets> fmt::Debug for Call<'_, M, Targets> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &M::INFO.method_name())
            .field("options", &self.options)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
