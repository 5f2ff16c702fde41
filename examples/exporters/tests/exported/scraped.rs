//! What Prometheus would read.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One answer of the endpoint.
#[derive(Debug)]
pub(crate) struct Scraped {
    /// The kinds of what is there, by its name.
    pub(crate) kinds: BTreeMap<String, String>,
    values: BTreeMap<String, f64>,
}

impl Scraped {
    pub(crate) async fn from(endpoint: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(endpoint).await.unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let (mut kinds, mut values) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                kinds.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').unwrap();
                values.insert(series.to_owned(), value.parse().unwrap());
            }
        }
        Self { kinds, values }
    }

    /// The value of a series: its name and its labels, in the order in which they were given.
    pub(crate) fn get(&self, series: &str) -> Option<f64> {
        self.values.get(series).copied()
    }
}
