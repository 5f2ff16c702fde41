//! The membership machine, many times over.

mod cluster;
mod figures;
mod glue;
mod heal;
mod measure;
mod node;
mod records;
mod targets;
