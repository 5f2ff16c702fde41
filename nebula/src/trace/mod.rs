//! The trace that a call belongs to: how it is written, how it is handed down from a call to those
//! made inside it, and the spans that calls show to whoever listens.
//!
//! A trace travels in the headers `traceparent` and `tracestate` of W3C Trace Context. A call made
//! inside a handler continues the trace of the call that the handler serves, without being asked.
//! Where no header is there, nothing is looked at and nothing is made.

pub(crate) mod call;
mod context;
pub(crate) mod handed;
pub(crate) mod serve;
mod state;

pub use context::{BadTraceContext, TraceContext};

use std::fmt;

use tracing::level_filters::LevelFilter;

/// Whether anybody listens who may want spans: one load, as long as nobody does.
#[inline]
pub(crate) fn wanted() -> bool {
    LevelFilter::current() >= LevelFilter::DEBUG
}

/// The random source of ids, which is no secret.
fn random() -> u64 {
    use rand::Rng as _;
    rand::rng().next_u64()
}

/// Bytes as hexadecimal digits.
struct Hex<'b>(&'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
