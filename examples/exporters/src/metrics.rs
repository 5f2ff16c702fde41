//! What is counted, as text that Prometheus reads.

use std::net::SocketAddr;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

/// In seconds. Without buckets of its own a histogram is shown as quantiles, which nobody can add up
/// over several nodes.
const BUCKETS: [f64; 9] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 1.0, 10.0];

/// Takes what goes to the facade `metrics`, and answers `GET /metrics` at this address from now on.
/// It must be called inside a runtime, and before nodes and services start: those register what
/// they count when they do. The endpoint asks nobody who he is: keep it in a network of your own.
pub fn serve(at: SocketAddr) -> Result<(), BuildError> {
    let buckets = |builder: PrometheusBuilder, name: &str| {
        builder.set_buckets_for_metric(Matcher::Full(name.into()), &BUCKETS)
    };
    let builder = PrometheusBuilder::new().with_http_listener(at);
    buckets(buckets(builder, "nebula_call_seconds")?, "nebula_client_call_duration_seconds")?
        .install()
}
