//! Arguments: none, eight, the context, and names that the expansion uses itself.

use std::borrow::Cow;
use std::time::Duration;

use nebula::prelude::*;

#[service]
pub trait Arguments {
    #[api]
    async fn none(&self) -> u8;
    #[api]
    #[allow(clippy::too_many_arguments)]
    async fn eight(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> u8;
    #[api]
    async fn left(&self, cx: &Context) -> Duration;
    #[api]
    async fn left_of(&self, context: &nebula::Context, whole: Duration) -> Duration;
    #[api]
    async fn same_names(&self, cx: u8, input: u8, method: u8, node: u8, service: u8) -> u8;
    #[api]
    async fn unused(&self, _nothing: ());
    #[api]
    async fn boxed(
        &self,
        text: Box<str>,
        bytes: Option<Box<[u8]>>,
        cow: Cow<'static, str>,
    ) -> usize;
}

struct Adder;
impl Arguments for Adder {
    async fn none(&self) -> u8 {
        0
    }

    async fn eight(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> u8 {
        a + b + c + d + e + f + g + h
    }

    async fn left(&self, cx: &Context) -> Duration {
        cx.remaining()
    }

    async fn left_of(&self, context: &Context, whole: Duration) -> Duration {
        whole.saturating_sub(context.remaining())
    }

    async fn same_names(&self, cx: u8, input: u8, method: u8, node: u8, service: u8) -> u8 {
        cx + input + method + node + service
    }

    async fn unused(&self, _nothing: ()) {}

    async fn boxed(
        &self,
        text: Box<str>,
        bytes: Option<Box<[u8]>>,
        cow: Cow<'static, str>,
    ) -> usize {
        text.len() + bytes.map_or(0, |bytes| bytes.len()) + cow.len()
    }
}

#[tokio::test]
async fn arguments_arrive_in_their_order() {
    let client = ArgumentsClient::local(Adder);
    assert_eq!(client.none().await.unwrap(), 0);
    assert_eq!(client.eight(1, 2, 4, 8, 16, 32, 64, 128).await.unwrap(), 255);
    assert_eq!(client.same_names(1, 2, 3, 4, 5).await.unwrap(), 15);
    client.unused(()).await.unwrap();
    let bytes = Some(vec![1, 2].into());
    assert_eq!(client.boxed("abc".into(), bytes, "d".into()).await.unwrap(), 6);
}

#[tokio::test]
async fn the_context_is_given_and_not_asked_for() {
    let client = ArgumentsClient::local(Adder);
    let hour = Duration::from_secs(3600);
    let left = client.left().timeout(hour).await.unwrap();
    assert!(left <= hour && left > hour / 2, "{left:?}");
    assert!(client.left_of(hour).timeout(hour).await.unwrap() < hour / 2);
}
