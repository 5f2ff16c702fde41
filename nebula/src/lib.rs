//! Annotate a trait, serve it, and call it from any node of an encrypted, self-assembling cluster.
//!
//! A trait marked [`#[service]`](macro@service) is a contract. It stays an ordinary trait; beside
//! it a client is generated, whose calls go to one node, to all, to the first that succeeds or to a
//! quorum. A [`Node`] serves implementations and is what clients call through. Nodes that share a
//! realm and its cookie find each other by themselves; the crate `macula` does that, and moves the
//! bytes.
//!
//! ```
//! use nebula::prelude::*;
//!
//! #[service(global)]
//! pub trait Greeter {
//!     #[api(idempotent)]
//!     async fn hello(&self, name: String) -> String;
//! }
//!
//! struct English;
//! impl Greeter for English {
//!     async fn hello(&self, name: String) -> String {
//!         format!("Hello, {name}!")
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> nebula::Result<()> {
//!     // Without any node, as in a test; `GreeterClient::new(&node)` calls through a node.
//!     let greeter = GreeterClient::local(English);
//!     assert_eq!(greeter.hello("Ada".into()).await?, "Hello, Ada!");
//!     Ok(())
//! }
//! ```
//!
//! The README has the same with two nodes, the guarantees, the limits and the configuration.
//!
//! # Where to read
//!
//! The life of a call, in the order in which it passes the modules:
//!
//! 1. The generated client holds a `Handle` (`call::handle`) and makes a [`Call`] (`call::unary`)
//!    from a method's descriptor (`service::info`) and its arguments. Nothing happens yet.
//! 2. Awaited, the call gets its deadline, once (`call::unicast`). [`Context`] says what a call
//!    inside a handler inherits.
//! 3. If this node serves the method and the call is for anyone, `call::local` runs it in place:
//!    no encoding, no task.
//! 4. Else its options are merged to an `Ask`, and `call::engine`: the roster finds who serves the method and is meant ([`nodes`]:
//!    selectors, topology, live figures, order), a leg makes one attempt over the mesh, and
//!    `unicast` goes on to the next node as far as the rule in `call::retry` allows, or `hedged`
//!    asks a second one when the first is slow.
//! 5. `call::several` asks many at once; what their answers amount to is decided by the machines in
//!    `call::all`, `call::first` and `call::quorum`, which are plain values without clocks.
//! 6. On the other node `service::exported` takes the call from the mesh and gives it to the
//!    generated dispatcher (`service::serve`). Calls from inside and outside pass the same gates
//!    (`service::served`).
//! 7. What failed says so: [`call::CallError`] and its kin carry the attempts (`call::log`) or why
//!    there was nobody to ask (`call::why`); [`Error`] is what `main` returns.
//! 8. What all of it shows of itself is in `trace` (traces and spans) and `events`.
//! 9. What would become of a call is answered by the same search (`call::engine::reach`), without
//!    making it: `call::inspect`, `nodes::inspect`, and for the whole cluster [`nodes::Routes`].

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
#[path = "fuzz.rs"]
pub mod __fuzz;
mod boot;
mod builder;
pub mod call;
pub mod config;
mod context;
mod declared;
mod error;
mod events;
mod exhausted;
pub mod intercept;
mod node;
pub mod nodes;
mod not_said;
pub mod plugins;
pub mod prelude;
pub mod registry;
mod service;
#[cfg(test)]
mod sim;
pub mod status;
#[cfg(feature = "testing")]
pub mod testing;
mod trace;

pub use boot::Roles;
pub use builder::NodeBuilder;
pub use call::{
    Call, CallError, Entry, Executed, FirstError, FullReply, NoTarget, NodeRef, Options,
    QuorumError, Replies, Reply, Votes,
};
pub use context::{Caller, Context};
pub use error::Error;
pub use events::{Events, NodeEvent, ServiceEvent};
pub use exhausted::Exhausted;
pub use macula::Io;
pub use macula::identity::NodeId;
pub use macula::rpc::{HeaderError, Headers};
/// ```
/// nebula::topology!(mod cluster = "tests/pass/cluster.toml");
///
/// let replicas = cluster::tags::DB & !cluster::nodes::DB_2;
/// assert_eq!(replicas, cluster::sel!(&db !@db-2));
/// assert_eq!(cluster::topology().configured(&replicas), ["db-1@h1"]);
/// ```
///
/// A tag that the file does not have is a compile error:
///
/// ```compile_fail
/// nebula::topology!(mod cluster = "tests/pass/cluster.toml");
///
/// let nobody = cluster::sel!(&dbb);
/// ```
pub use macula_macros::topology;
pub use macula_macros::{IntoStatus, api, on_nodes, plugin, roles, sel, service};
pub use node::Node;
pub use nodes::{
    BadVersion, MissingServices, NodeInfo, Nodes, Policy, Selector, ServiceInstance, Topology,
    VersionRequirement,
};
pub use not_said::NotSaid;
pub use registry::Registry;
pub use service::children::{Children, Outcome, Restart, Strategy};
pub use service::extensions::Extensions;
pub use service::info::{BadServiceName, Stragglers};
pub use service::instance::{Service, ServiceError, ServiceHandle};
pub use service::lifecycle::{
    Admin, Failure, LifecycleError, NotReady, Running, ServiceStatus, UnknownStatus,
};
pub use service::method::Idempotent;
pub use service::plugin;
pub use service::serve::Serve;
pub use status::{IntoStatus, Status};
pub use trace::{BadTraceContext, TraceContext};

/// What a program of this crate returns: a value, or an [`Error`] that explains itself.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What generated code names. Nothing here is for other code, or stable.
#[doc(hidden)]
pub mod __private {
    pub use crate::call::handle::Handle;
    pub use crate::nodes::Policy;
    pub use crate::nodes::known::topology;
    pub use crate::service::info::{
        MethodInfo, ServiceInfo, method_id, parse_selector, signature_key,
    };
    pub use crate::service::input::{Fault, Input, Slot, Started};
    pub use crate::service::method::{Error, Method, Service, Value};
    pub use crate::service::serve::{Described, Dispatch, Provider, Provides, Serve, erase};
    pub use crate::service::shape::{Probe, ProbeFallback, Shape, ShapeOf};
    pub use crate::service::wire::{Args, Malformed, Unencodable, Wire, assert_wire};
    pub use crate::status::into::worded;
    pub use macula_macros::sel_of;
}

/// The code in the README and in the guide compiles and runs.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[cfg(feature = "json")]
    #[doc = include_str!("../../docs/guide/discovery.md")]
    struct Discovery;
    #[doc = include_str!("../../docs/guide/errors.md")]
    struct Errors;
    #[doc = include_str!("../../docs/guide/multicast.md")]
    struct Multicast;
    #[cfg(feature = "metrics")]
    #[doc = include_str!("../../docs/guide/observability.md")]
    struct Observability;
    #[doc = include_str!("../../docs/guide/selectors.md")]
    struct Selectors;
    #[doc = include_str!("../../docs/guide/services.md")]
    struct Services;
    #[doc = include_str!("../../docs/guide/state.md")]
    struct State;
    #[doc = include_str!("../../docs/guide/statuses.md")]
    struct Statuses;
    #[cfg(feature = "testing")]
    #[doc = include_str!("../../docs/guide/testing.md")]
    struct Testing;
    #[doc = include_str!("../../docs/guide/time.md")]
    struct Time;
    #[doc = include_str!("../../docs/guide/traces.md")]
    struct Traces;
}
