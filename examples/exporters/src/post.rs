//! Requests of threads that have no runtime.

use async_trait::async_trait;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

/// Sends what the thread of the exporter wants to send, on the runtime where this was made: `hyper`
/// needs one, and that thread has none.
#[derive(Debug)]
pub(crate) struct Post {
    client: HyperClient,
    runtime: Handle,
}

impl Post {
    pub(crate) fn new(client: HyperClient) -> Self {
        Self { client, runtime: Handle::current() }
    }
}

#[async_trait]
impl HttpClient for Post {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}
