//! The bad days of a cluster, each shown on nodes inside this process: real QUIC and TLS over a
//! network in memory, on a paused clock, so that a deadline costs no time and nothing depends on
//! how busy the machine is.

#[path = "bad_days/desk.rs"]
mod desk;
#[path = "bad_days/site.rs"]
mod site;

#[path = "bad_days/bounds.rs"]
mod bounds;
#[path = "bad_days/ends.rs"]
mod ends;
#[path = "bad_days/extend.rs"]
mod extend;
#[path = "bad_days/handlers.rs"]
mod handlers;
#[path = "bad_days/joining.rs"]
mod joining;
#[path = "bad_days/load.rs"]
mod load;
#[path = "bad_days/names.rs"]
mod names;
#[path = "bad_days/nested.rs"]
mod nested;
#[path = "bad_days/payload.rs"]
mod payload;
#[path = "bad_days/pit.rs"]
mod pit;
#[path = "bad_days/selectors.rs"]
mod selectors;
#[path = "bad_days/several.rs"]
mod several;
#[path = "bad_days/shapes.rs"]
mod shapes;
#[path = "bad_days/stragglers.rs"]
mod stragglers;
#[path = "bad_days/targets.rs"]
mod targets;
#[path = "bad_days/waits.rs"]
mod waits;
