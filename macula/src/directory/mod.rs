//! Who serves what: each node owns one versioned record, every node holds a replica of all.

pub(crate) mod facts;
pub(crate) mod record;
pub(crate) mod replica;
