//! The membership machine, many times over.

mod cluster;
mod figures;
mod heal;
mod measure;
mod node;
mod targets;
