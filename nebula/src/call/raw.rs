//! Calls by name, with arguments and results in JSON: for tools, which do not know the types.
//!
//! Who can be asked, in which order, and when the next one is: all of that is decided as for calls
//! of a client, except that each node is asked once at most. The arguments are read by the node that
//! is asked, into the types of its method, whatever their shape there.

mod ended;
mod here;
mod known;
mod nearest;
mod there;

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use macula::identity::NodeId;
use serde_json::Value;
use tokio::time::Instant;

use self::known::Known;
use super::heard::Heard;
use super::options::Options;
use super::{CallError, FullReply};
use crate::node::Node;
use crate::nodes::IntoSelector;
use crate::service::codec::{HEADER, JSON};
use crate::trace::call::{Calling, outcome, told};

/// A call by name that has not been made yet: see [`Node::call_raw`].
#[must_use = "a call does nothing until it is awaited"]
pub struct RawCall<'a> {
    node: &'a Node,
    service: String,
    method: String,
    args: Value,
    options: Options,
    to: Option<NodeId>,
}

impl Node {
    /// A call of a method by its wire names, with its arguments as a JSON array, for tools: awaited,
    /// it asks one node, and gives what the method returned as JSON. Whatever the types of the method
    /// say as JSON to serde goes in and comes out.
    ///
    /// What attributes say of the method (its selector, its policy, how long it may take, and whether
    /// running it twice does no harm) counts if this node serves the service or has a client of it.
    /// Else any node that serves the method is asked, and no other one after one that may have run it.
    ///
    /// ```
    /// # use nebula::prelude::*;
    /// # #[service]
    /// # trait Greeter {
    /// #     #[api]
    /// #     async fn hello(&self, name: String) -> String;
    /// # }
    /// # struct English;
    /// # impl Greeter for English {
    /// #     async fn hello(&self, name: String) -> String {
    /// #         format!("Hello, {name}!")
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> nebula::Result<()> {
    /// use serde_json::json;
    ///
    /// let node = Node::builder("tool").serve(English).start().await?;
    /// assert_eq!(node.call_raw("Greeter", "hello", json!(["Ada"])).await?, json!("Hello, Ada!"));
    /// # node.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As those of any call. The method's own error is [`CallError::App`], as JSON. Arguments that the
    /// method does not take are [`CallError::Protocol`], which says why; it has not run then.
    pub fn call_raw(
        &self,
        service: impl Into<String>,
        method: impl Into<String>,
        args: Value,
    ) -> RawCall<'_> {
        let (service, method) = (service.into(), method.into());
        RawCall { node: self, service, method, args, options: Options::default(), to: None }
    }
}

impl<'a> RawCall<'a> {
    /// Sets how long it may take from its first poll, 24 hours at most (more is cut to that).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.timeout(timeout);
        self
    }

    /// Sends this text along with the call, as [`Call::header`](crate::Call::header) does; one of the 32
    /// is taken, by the header that says that the call is in JSON.
    pub fn header(mut self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.options = self.options.header(key, value);
        self
    }

    /// Asks only nodes that the selector means.
    pub fn on(mut self, selector: impl IntoSelector) -> Self {
        self.options = self.options.on(selector);
        self
    }

    /// Asks exactly this node.
    pub fn to(mut self, node: NodeId) -> Self {
        self.to = Some(node);
        self
    }

    /// Makes the call as it is made when it is awaited, and gives with what the method returned who
    /// answered, how long it took and which headers went back, as [`Call::reply`](crate::Call::reply)
    /// does.
    ///
    /// # Errors
    ///
    /// As those of the call; they have no headers.
    pub async fn reply(mut self) -> Result<FullReply<Value>, CallError<Value>> {
        self.options = self.options.header(HEADER, JSON);
        let names = (&*self.service, &*self.method);
        let mut calling = Calling::by_name(self.node, &mut self.options, names, &mut self.args);
        let (heard, began) = (Heard::default(), Instant::now());
        if let Some(calling) = &mut calling {
            calling.hears(&heard);
        }
        let made = async { Known::of(&self).make(&heard).await };
        let value = told(calling, made, outcome).await?;
        Ok(heard.reply(value, began.elapsed()))
    }
}

impl<'a> IntoFuture for RawCall<'a> {
    type Output = Result<Value, CallError<Value>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move { Ok(self.reply().await?.value) }.boxed()
    }
}

impl fmt::Debug for RawCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments are never printed: they are the application's.
        f.debug_struct("RawCall")
            .field("service", &self.service)
            .field("method", &self.method)
            .field("options", &self.options)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use macula::rpc::{Headers, Lease, Term};
    use serde_json::json;

    use super::*;
    use crate::call::Log;
    use crate::context::Scope;

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_nobody_waits_for_makes_no_calls() {
        let (network, at) = (macula::MemoryNetwork::new(1), "10.0.0.1:1".parse().unwrap());
        let node = Node::builder("tool").cookie("of a test").memory(network, at);
        let node = node.start().await.unwrap();
        let term = Term::fixed(Instant::now() + Duration::from_secs(1));
        let lease = Lease::new(term);
        lease.cancel();
        let mut scope = Scope::new(term, Some(lease), Headers::new());
        let call = node.call_raw("Users", "find", json!([]));
        let made = scope.enter(|| call.into_future().now_or_never());
        assert_eq!(made, Some(Err(CallError::Cancelled(Log::default()))));
    }
}
