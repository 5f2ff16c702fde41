//! What the example programs share: the table of time zones, and the service that
//! answers from it.

pub mod contract;
pub mod quickstart;
pub mod store;
pub mod zones;
