//! Services that live: their plugins, their states and their configuration, on nodes of an
//! in-memory network in virtual time. The numbers are those of the cases of Malla.

#[path = "living/chain.rs"]
mod chain;
#[path = "living/given_up.rs"]
mod given_up;
#[path = "living/leaving.rs"]
mod leaving;
#[path = "living/left.rs"]
mod left;
#[path = "living/life.rs"]
mod life;
#[path = "living/limits.rs"]
mod limits;
#[path = "living/named.rs"]
mod named;
#[path = "living/passing.rs"]
mod passing;
#[path = "living/plugins.rs"]
mod plugins;
#[path = "living/registry.rs"]
mod registry;
#[path = "living/replies.rs"]
mod replies;
#[path = "living/settings.rs"]
mod settings;
#[path = "living/site.rs"]
mod site;
#[path = "living/successor.rs"]
mod successor;
