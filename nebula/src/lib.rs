//! nebula

pub mod call;
pub mod nodes;
pub mod service;
