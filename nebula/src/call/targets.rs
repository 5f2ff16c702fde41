#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Where the targets of a call come from, as a type: they are chosen once, and some thresholds make
//! sense for some of them only.

/// The call has not said whom it is for: the client or the attributes may have, else it is for
/// anyone who serves the method.
#[derive(Clone, Copy, Debug)]
pub struct Unsaid;

/// The targets follow from the configuration: tags, names, or a node's identity. How many there
/// should be is known whether they are live or not.
#[derive(Clone, Copy, Debug)]
pub struct Configured;

/// A closure chose the targets among the live nodes: there is no configured number to compare with.
#[derive(Clone, Copy, Debug)]
pub struct Chosen;
