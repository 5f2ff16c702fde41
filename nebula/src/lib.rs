//! Annotate a trait, serve it, and call it from any node of an encrypted, self-assembling cluster.

mod builder;
pub mod call;
mod context;
mod error;
mod node;
pub mod nodes;
pub mod prelude;
mod service;

pub use builder::NodeBuilder;
pub use call::{
    Call, CallError, Entry, Executed, FirstError, NoTarget, NodeRef, Options, QuorumError, Replies,
    Reply, Votes,
};
pub use context::{Caller, Context};
pub use error::Error;
pub use macula_macros::{api, sel, service};
pub use node::Node;
pub use nodes::{NodeInfo, Nodes, Selector, Topology};
pub use service::info::Stragglers;
pub use service::method::Idempotent;
pub use service::serve::Serve;

/// What a program of this crate returns: a value, or an [`Error`] that explains itself.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What generated code names. Nothing here is for other code, or stable.
#[doc(hidden)]
pub mod __private {
    pub use crate::call::handle::Handle;
    pub use crate::service::info::{
        MethodInfo, ServiceInfo, method_id, parse_selector, signature_key,
    };
    pub use crate::service::input::{Fault, Input, Slot, Started};
    pub use crate::service::method::{Error, Method, Service, Value};
    pub use crate::service::serve::{Described, Dispatch, Provider, Provides, Serve, erase};
    pub use crate::service::shape::{Probe, ProbeFallback, Shape, ShapeOf};
    pub use crate::service::wire::{Args, Malformed, Unencodable, Wire, assert_wire};
}
