//! Plugins that most services need.
//!
//! | plugin | does | hook |
//! |---|---|---|
//! | [`RateLimit`] | lets so many calls a second through | `before` |
//! | [`ConcurrencyLimit`] | lets so many calls run at once | `around` |
//! | [`Timeout`] | ends calls that take too long | `around` |
//! | [`Cache`] | gives replies again | `around` |
//! | [`Authorize`] | refuses calls by who makes them | `before` |
//! | [`Tracing`] | runs each call in a span | `around`, `after` |
//! | `Metrics`, with the feature `metrics` | counts calls and their times | `around`, `after` |
//! | `TowerPlugin`, with the feature `tower` | lays a layer of `tower` around calls | `around` |
//!
//! All `before` hooks of a service come before all `around` hooks; among those of one kind, the
//! plugin that was added first stands on top. So a call that is refused by a rate or by a rule is
//! never looked up in a cache, takes no place among those that run, and gets no span.
//!
//! Each has a section in the configuration of its service, which may be changed while the service
//! runs; what the code says holds where that says nothing:
//!
//! ```
//! # use std::time::Duration;
//! # use nebula::prelude::*;
//! # use nebula::Service;
//! use nebula::plugins::{RateLimit, Timeout, Tracing};
//! # #[service]
//! # trait Greeter {
//! #     #[api]
//! #     async fn hello(&self, name: String) -> String;
//! # }
//! # struct English;
//! # impl Greeter for English {
//! #     async fn hello(&self, name: String) -> String {
//! #         format!("Hello, {name}!")
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> nebula::Result<()> {
//! # let node = Node::builder("server").start().await?;
//! let greeter = Service::new(English)
//!     .plugin(Tracing::new())
//!     .plugin(RateLimit::per_second(500).per_caller())
//!     .plugin(Timeout::new(Duration::from_secs(5)))
//!     .start_on(&node)
//!     .await?;
//! greeter.reconfigure("plugins.rate_limit.per_second = 800").await?;
//! # node.shutdown().await
//! # }
//! ```

mod authorize;
mod cache;
mod clock;
mod concurrency_limit;
mod end;
#[cfg(feature = "tower")]
mod layer;
mod live;
#[cfg(feature = "metrics")]
mod meter;
mod rate_limit;
mod timeout;
mod trace;

pub use authorize::{Authorize, AuthorizeConfig, MalformedRule, Rule, Verdict, Who};
pub use cache::{Cache, CacheConfig};
pub use concurrency_limit::{ConcurrencyLimit, ConcurrencyLimitConfig};
#[cfg(feature = "tower")]
pub use layer::{TowerCall, TowerNext, TowerPlugin, TowerReply};
#[cfg(feature = "metrics")]
pub use meter::Metrics;
pub use rate_limit::{RateLimit, RateLimitConfig};
pub use timeout::{Timeout, TimeoutConfig};
pub use trace::{Tracing, TracingConfig, Verbosity};
