//! Tasks that belong to a part of a service, and are started again when they fail.
//!
//! Promise: what a plugin has started runs until it is stopped, and no longer. A child that fails
//! is started again, by its [`Restart`] and the [`Strategy`] of all; if that happens too often, its
//! supervisor gives up and says so, once. Panics are failures. Dropping [`RunningChildren`] aborts
//! all of them.
//!
//! Protocol: a child is started with a token. To stop it is to cancel the token, wait for the grace,
//! and abort it. Several are stopped one after the other, the one started last first. Supervisors of
//! OTP are the model (<https://www.erlang.org/doc/system/sup_princ.html>), with these differences:
//! a restart waits a little, unless it is the first for a while; and a supervisor that gives up
//! restarts nothing any more, but leaves the other children to its owner, who stops the whole
//! service in order.
//!
//! Limits: [`MOST`](spec::MOST) children; restarts that are remembered by the intensity.

mod driver;
mod intensity;
mod spec;
mod supervisor;

pub(crate) use driver::RunningChildren;
pub use spec::{Children, Outcome, Restart, Strategy};
pub(crate) use supervisor::GaveUp;
