//! The kit for tests of clusters, tested.

#[path = "testing/faults.rs"]
mod faults;
#[path = "testing/kit.rs"]
mod kit;
#[path = "testing/links.rs"]
mod links;
#[path = "testing/lives.rs"]
mod lives;
#[path = "testing/notes.rs"]
mod notes;
