//! Metrics of nebula for Prometheus and its spans for OpenTelemetry, with something to look at:
//! `cargo run --manifest-path examples/exporters/Cargo.toml`.

pub mod args;
pub mod ids;
pub mod market;
pub mod metrics;
mod post;
pub mod spans;
