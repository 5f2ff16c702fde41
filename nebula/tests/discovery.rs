//! Which services there are, and calls that choose by version, wait for no reply or go by name: on
//! nodes of an in-memory network in virtual time. The numbers are those of the cases of Malla.

#[path = "discovery/casts.rs"]
mod casts;
#[path = "discovery/instances.rs"]
mod instances;
#[path = "discovery/raw.rs"]
mod raw;
#[path = "discovery/site.rs"]
mod site;
#[path = "discovery/versions.rs"]
mod versions;
#[path = "discovery/watches.rs"]
mod watches;
