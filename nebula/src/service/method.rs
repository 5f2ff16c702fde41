//! The markers that generated code implements: one type per method, one per service.

use super::info::{MethodInfo, ServiceInfo};
use super::shape::ShapeOf;
use super::wire::Args;

/// One method of a service. `#[service]` generates a unit struct for each method marked `#[api]`.
pub trait Method: Sized + Send + Sync + 'static {
    /// The service it belongs to.
    type Api: Service;
    /// Its arguments, without `&self` and `cx`.
    type Args: Args;
    /// What its body returns.
    type Reply: Send + 'static;
    /// Whether that is a `Result`.
    type Shape: ShapeOf<Self::Reply>;
    /// Its names, ids and defaults.
    const INFO: &'static MethodInfo;
}

/// One service. Its generated client is its marker.
pub trait Service: Sized + Send + Sync + 'static {
    /// Its names and methods.
    const INFO: &'static ServiceInfo;
}

/// A method that may run twice without harm, so that its calls may be retried or hedged on
/// another node. `#[api(idempotent)]` says so.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not idempotent, so its calls cannot be hedged",
    label = "may run the method twice",
    note = "if running it twice is harmless, say so in the trait: `#[api(idempotent)]`"
)]
pub trait Idempotent: Method {}

/// What a successful call of `M` gives.
pub type Value<M> = <<M as Method>::Shape as ShapeOf<<M as Method>::Reply>>::Value;

/// What the method `M` itself may fail with; `Infallible` when it returns no `Result`.
pub type Error<M> = <<M as Method>::Shape as ShapeOf<<M as Method>::Reply>>::Error;
