//! What runs on a node, and what generated code says about it.
//!
//! A service is described by constants ([`info`]), typed by markers ([`method`], [`shape`],
//! [`wire`]) and erased into one object that runs a method by its number ([`serve`]). The same
//! generated arm serves both paths: typed arguments for callers in this process, bytes for the
//! others ([`input`]).

mod bounded;
pub(crate) mod children;
pub(crate) mod codec;
pub(crate) mod config;
pub(crate) mod contracts;
pub(crate) mod exported;
pub(crate) mod extensions;
pub(crate) mod info;
pub(crate) mod input;
pub(crate) mod instance;
pub(crate) mod lifecycle;
pub(crate) mod method;
pub mod plugin;
pub(crate) mod serve;
pub(crate) mod served;
pub(crate) mod services;
pub(crate) mod shape;
pub(crate) mod slot;
pub(crate) mod whole;
pub(crate) mod wire;
