//! The plugins that come with nebula, on nodes of an in-memory network in virtual time: each of them
//! for callers on the node that serves and on another one.

#[path = "plugins/authorize.rs"]
mod authorize;
#[path = "plugins/both.rs"]
mod both;
#[path = "plugins/cache.rs"]
mod cache;
#[path = "plugins/concurrency_limit.rs"]
mod concurrency_limit;
#[path = "plugins/layer.rs"]
mod layer;
#[path = "plugins/meter.rs"]
mod meter;
#[path = "plugins/rate_limit.rs"]
mod rate_limit;
#[path = "living/site.rs"]
mod site;
#[path = "plugins/timeout.rs"]
mod timeout;
#[path = "plugins/trace.rs"]
mod trace;
