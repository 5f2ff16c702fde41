//! What the macros must accept: traits and their like are expanded, compiled and called.

#[path = "pass/arguments.rs"]
mod arguments;
#[path = "pass/attributes.rs"]
mod attributes;
#[path = "pass/names.rs"]
mod names;
#[path = "pass/places.rs"]
mod places;
#[path = "pass/policies.rs"]
mod policies;
#[path = "pass/selectors.rs"]
mod selectors;
#[path = "pass/shadowed.rs"]
mod shadowed;
#[path = "pass/shapes.rs"]
mod shapes;
#[path = "pass/statuses.rs"]
mod statuses;
#[path = "pass/topology.rs"]
mod topology_macro;
#[path = "pass/transparent.rs"]
mod transparent;
