//! What became of a request, told in a form that other programs and people understand.
//!
//! Promise: a [`Status`] has a code for machines, an HTTP number, a sentence and data, whatever
//! failed. [`IntoStatus`] makes one of an error. What is not marked as public is never shown to a
//! stranger: they get a [`Reference`], under which the log has the rest.
//!
//! In: `value` is the status, `table` the ones that every service knows, `into` the trait, `calls`
//! what the failures of calls become. Out: `text` is serde's form, `bytes` the bounded one of the
//! wire, `withheld` the one place that draws a reference and writes the log.
//!
//! Limits: a code has 64 bytes; the form of the wire has 4 KiB, and what is longer is cut.

mod bytes;
mod calls;
pub(crate) mod into;
mod reference;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod value;
mod withheld;

pub use bytes::{MAX_BYTES, MalformedStatus};
pub use into::IntoStatus;
pub use reference::Reference;
pub use value::Status;
