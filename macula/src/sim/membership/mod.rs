//! The membership machine, many times over.

mod cluster;
mod heal;
mod node;
