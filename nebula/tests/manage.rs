//! Services that are managed badly: operations in any order, with plugins that are broken, given up
//! half-way, two at once, on nodes that leave. Virtual time, and an in-memory network.

#[path = "manage/callers.rs"]
mod callers;
#[path = "manage/ends.rs"]
mod ends;
#[path = "manage/hooks.rs"]
mod hooks;
#[path = "manage/model.rs"]
mod model;
#[path = "manage/odds.rs"]
mod odds;
#[path = "manage/restarts.rs"]
mod restarts;
#[path = "manage/sequences.rs"]
mod sequences;
#[path = "living/site.rs"]
mod site;
