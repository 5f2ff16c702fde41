//! Runs until Ctrl-C: see `docs/guide/observability.md`.

use std::process;
use std::time::Duration;

use exporters::args::Args;
use exporters::market::Market;
use exporters::metrics;
use exporters::spans::Spans;
use nebula::{Error, Node};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Copies of this program on one machine are of one cluster.
const REALM: &str = "exporters";

#[tokio::main]
async fn main() -> nebula::Result<()> {
    let args = Args::read(std::env::args().skip(1))?;
    let endpoint = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok();
    // As OpenTelemetry has it, an empty variable is as good as none.
    let endpoint = endpoint.filter(|endpoint| !endpoint.is_empty());
    let spans = endpoint.as_deref().map(Spans::to).transpose().map_err(told)?;
    let log = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::registry()
        .with(spans.as_ref().map(Spans::layer))
        .with(tracing_subscriber::fmt::layer().with_filter(log))
        .init();
    metrics::serve(args.metrics).map_err(told)?;

    let node = |name| {
        let node = Node::builder(format!("{name}-{}", process::id())).realm(REALM);
        match &args.join {
            Some(seed) => node.seed(seed),
            None => node,
        }
    };
    let front = match args.listen {
        Some(address) => node("front").listen(address),
        None => node("front"),
    };
    let market = Market::open(front, node("back")).await?;
    println!("metrics: http://{}/metrics", args.metrics);
    match &endpoint {
        Some(endpoint) => println!("spans:   {endpoint}"),
        None => println!("spans:   nowhere, as OTEL_EXPORTER_OTLP_ENDPOINT is not set"),
    }
    println!("others:  --join {}; Ctrl-C ends it", market.front().local_addr());

    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended?,
        never = visitors(&market) => match never {},
    }
    market.close().await?;
    if let Some(spans) = spans {
        spans.stop().await.map_err(told)?;
    }
    Ok(())
}

/// Asks for one article after the other. There is nothing left of the first, and no tenth.
async fn visitors(market: &Market) -> std::convert::Infallible {
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    let mut article = 0;
    loop {
        tick.tick().await;
        market.visit(article).await;
        article = (article + 1) % 10;
    }
}

fn told(error: impl std::fmt::Display) -> Error {
    Error::msg(error.to_string())
}
