//! Time zones of the world, from the IANA table `zone1970.tab`.
//!
//! Promise: a [`Table`] holds at least one zone, every name once, and only coordinates that exist
//! on Earth. A file that says otherwise is refused with the line at fault.
//!
//! Limits: a file of at most [`MAX_BYTES`](load::MAX_BYTES); comments of at most
//! [`MAX_COMMENT`](table::MAX_COMMENT) characters.

pub mod error;
pub mod load;
mod row;
pub mod table;

pub use error::{CorrectionError, LoadError, ParseError};
pub use table::{Table, Zone};
