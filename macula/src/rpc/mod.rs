//! Calls between nodes.

pub mod admission;
