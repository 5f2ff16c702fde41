//! A receiver of OTLP over HTTP, as small as it can be.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
pub(crate) use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Keeps what it is sent.
pub(crate) struct Collector {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Exported>>>,
}

/// A span that was sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exported {
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    /// Empty if there is none.
    pub(crate) parent: Vec<u8>,
    pub(crate) links: usize,
    pub(crate) events: Vec<String>,
    attributes: Vec<(String, String)>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, received) = (listener.local_addr().unwrap(), Arc::default());
        let keeping = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(receive(stream, Arc::clone(&keeping)));
            }
        });
        Self { address, received }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn received(&self) -> Vec<Exported> {
        self.received.lock().unwrap().clone()
    }
}

impl Exported {
    /// The text of an attribute; there is at most one of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.attributes.iter().filter(|(key, _)| key == name);
        let one = found.next()?;
        assert_eq!(found.next(), None);
        Some(&one.1)
    }

    fn new(span: Span) -> Self {
        let text = |value| match value {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        let attribute = |value: Option<opentelemetry_proto::tonic::common::v1::AnyValue>| {
            text(value.and_then(|value| value.value))
        };
        Self {
            kind: span.kind(),
            name: span.name,
            trace: span.trace_id,
            id: span.span_id,
            parent: span.parent_span_id,
            links: span.links.len(),
            events: span.events.into_iter().map(|event| event.name).collect(),
            attributes: span
                .attributes
                .into_iter()
                .map(|pair| (pair.key, attribute(pair.value)))
                .collect(),
        }
    }
}

/// Reads the requests of one connection.
async fn receive(stream: TcpStream, received: Arc<Mutex<Vec<Exported>>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            // The other side is done with the connection.
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(bytes) = line.strip_prefix("content-length: ") {
                length = bytes.parse().unwrap();
            }
            head.push(line);
        }
        assert_eq!(head[0], "post /v1/traces http/1.1");
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans);
        received.lock().unwrap().extend(spans.map(Exported::new));
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.get_mut().write_all(answer).await.unwrap();
    }
}
