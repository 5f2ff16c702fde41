//! What runs on a node, and what generated code says about it.
//!
//! A service is described by constants ([`info`]), typed by markers ([`method`], [`shape`],
//! [`wire`]) and erased into one object that runs a method by its number ([`serve`]). The same
//! generated arm serves both paths: typed arguments for callers in this process, bytes for the
//! others ([`input`]).

mod bounded;
#[cfg_attr(not(test), expect(dead_code, reason = "the service instance uses it"))]
pub(crate) mod children;
pub(crate) mod contracts;
pub(crate) mod exported;
pub(crate) mod info;
pub(crate) mod input;
#[cfg_attr(not(test), expect(dead_code, reason = "the service instance uses it"))]
pub(crate) mod lifecycle;
pub(crate) mod method;
pub(crate) mod serve;
pub(crate) mod served;
pub(crate) mod shape;
pub(crate) mod whole;
pub(crate) mod wire;
