//! What the example programs share: the table of time zones that they serve.

pub mod quickstart;
pub mod zones;
