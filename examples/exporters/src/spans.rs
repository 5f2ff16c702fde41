//! What is shown in spans, for a receiver of OTLP.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::ids::{Ids, NebulaTracer};
use crate::post::Post;

/// One request to the receiver takes no longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The way of spans to a receiver. What has ended goes there every few seconds, and when this is
/// told to [`stop`](Self::stop).
#[derive(Clone, Debug)]
pub struct Spans(SdkTracerProvider);

impl Spans {
    /// To the receiver of OTLP over HTTP at this address, such as `http://localhost:4318`; without
    /// TLS. It must be called inside a runtime that outlives the exporter.
    pub fn to(endpoint: &str) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Post::new(HyperClient::with_default_connector(PATIENCE, None)))
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_id_generator(Ids::default())
            .with_resource(Resource::builder().with_service_name("exporters").build())
            .with_batch_exporter(exporter)
            .build();
        Ok(Self(provider))
    }

    /// Listens to nebula's spans on both sides of calls, those of the plugin `Tracing`, and those of
    /// this program. Nothing else is exported: sending would show spans of its own, without end.
    pub fn layer<S: Subscriber + for<'s> LookupSpan<'s>>(&self) -> impl Layer<S> + use<S> {
        let exported = Targets::new()
            .with_target("nebula::client", Level::DEBUG)
            .with_target("nebula::server", Level::DEBUG)
            .with_target("nebula::call", Level::INFO)
            .with_target("exporters", Level::INFO)
            .with_default(LevelFilter::OFF);
        tracing_opentelemetry::layer()
            .with_tracer(NebulaTracer(self.0.tracer("nebula")))
            .with_filter(exported)
    }

    /// Sends what has ended so far, and is back when the receiver has it.
    pub async fn flush(&self) -> OTelSdkResult {
        let provider = self.0.clone();
        aside(move || provider.force_flush()).await
    }

    /// Sends what has ended, and nothing more from then on.
    pub async fn stop(self) -> OTelSdkResult {
        aside(move || self.0.shutdown()).await
    }
}

/// The exporter waits where it is called, and what it waits for happens on the runtime.
async fn aside(wait: impl FnOnce() -> OTelSdkResult + Send + 'static) -> OTelSdkResult {
    match tokio::task::spawn_blocking(wait).await {
        Ok(done) => done,
        Err(gone) => std::panic::resume_unwind(gone.into_panic()),
    }
}
