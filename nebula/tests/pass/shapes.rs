//! Replies: nothing, plain values, results and their aliases; default bodies.

#![deny(warnings)]

use std::convert::Infallible;

use nebula::CallError;
use nebula::prelude::*;

type Answer<T> = Result<T, String>;
type Sure = Answer<u8>;
type Plain = Vec<u8>;

#[service]
trait Shapes {
    #[api]
    async fn nothing(&self);
    #[api]
    async fn plain(&self) -> Plain;
    #[api]
    async fn tuple(&self) -> (u8, Option<String>);
    #[api]
    async fn alias(&self, fine: bool) -> Answer<u8>;
    #[api]
    async fn alias_of_alias(&self) -> Sure;
    #[api]
    async fn written(&self) -> std::result::Result<(), u8>;
    /// Has a body of its own.
    #[api]
    async fn sum(&self, numbers: Vec<u8>) -> Answer<u8> {
        let mut sum = 0_u8;
        for number in numbers {
            sum = sum.checked_add(number).ok_or("too much")?;
        }
        let more = self.plain().await;
        Ok(sum + more.iter().sum::<u8>())
    }
}

struct Shaped;
impl Shapes for Shaped {
    async fn nothing(&self) {}

    async fn plain(&self) -> Plain {
        vec![1, 2]
    }

    async fn tuple(&self) -> (u8, Option<String>) {
        (1, None)
    }

    async fn alias(&self, fine: bool) -> Answer<u8> {
        if fine { Ok(1) } else { Err("no".into()) }
    }

    async fn alias_of_alias(&self) -> Sure {
        Ok(2)
    }

    async fn written(&self) -> Result<(), u8> {
        Err(3)
    }
}

#[tokio::test]
async fn a_result_is_told_by_its_type() {
    let client = ShapesClient::local(Shaped);
    let nothing: Result<(), CallError<Infallible>> = client.nothing().await;
    nothing.unwrap();
    let plain: Result<Vec<u8>, CallError<Infallible>> = client.plain().await;
    assert_eq!(plain.unwrap(), [1, 2]);
    let tuple: Result<(u8, Option<String>), CallError<Infallible>> = client.tuple().await;
    assert_eq!(tuple.unwrap(), (1, None));
    let alias: Result<u8, CallError<String>> = client.alias(false).await;
    assert_eq!(alias.unwrap_err().to_string(), "no");
    assert_eq!(client.alias(true).await.ok(), Some(1));
    let deep: Result<u8, CallError<String>> = client.alias_of_alias().await;
    assert_eq!(deep.ok(), Some(2));
    let written: Result<(), CallError<u8>> = client.written().await;
    assert!(matches!(written, Err(CallError::App(3))));
}

#[tokio::test]
async fn a_default_body_runs() {
    let client = ShapesClient::local(Shaped);
    assert_eq!(client.sum(vec![1, 2, 3]).await.ok(), Some(9));
    assert_eq!(client.sum(vec![200, 100]).await.unwrap_err().to_string(), "too much");
}
