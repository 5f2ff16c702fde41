//! Policies in attributes and in code: each has one name, and the description carries it.

#![deny(warnings)]

use nebula::__private::Service as _;
use nebula::prelude::*;

#[service(global, policy = "least_loaded")]
trait Ordered {
    #[api]
    async fn as_the_service(&self) -> u8;
    #[api(policy = "local_first")]
    async fn local_first(&self) -> u8;
    #[api(idempotent, policy = "round_robin", timeout = "1s")]
    async fn round_robin(&self) -> u8;
    #[api(policy = "random")]
    async fn random(&self) -> u8;
    #[api(policy = "least_loaded")]
    async fn least_loaded(&self) -> u8;
    #[api(policy = "closest")]
    async fn closest(&self) -> u8;
}

struct Alone;
impl Ordered for Alone {
    async fn as_the_service(&self) -> u8 {
        1
    }

    async fn local_first(&self) -> u8 {
        2
    }

    async fn round_robin(&self) -> u8 {
        3
    }

    async fn random(&self) -> u8 {
        4
    }

    async fn least_loaded(&self) -> u8 {
        5
    }

    async fn closest(&self) -> u8 {
        6
    }
}

#[test]
fn attributes_and_texts_have_the_same_names() {
    assert_eq!(OrderedClient::INFO.chosen_by(), Some(Policy::LeastLoaded));
    assert_eq!(OrderedClient::INFO.at(0).unwrap().chosen_by(), None);
    let said = [
        (1, Policy::LocalFirst),
        (2, Policy::RoundRobin),
        (3, Policy::Random),
        (4, Policy::LeastLoaded),
        (5, Policy::Closest),
    ];
    for (index, policy) in said {
        let method = OrderedClient::INFO.at(index).unwrap();
        assert_eq!(method.chosen_by(), Some(policy));
        assert_eq!(method.method_name().parse(), Ok(policy));
    }
}

#[tokio::test]
async fn a_service_alone_takes_every_call() {
    let client = OrderedClient::local(Alone).with(|options| options.policy(Policy::Random));
    assert_eq!(client.as_the_service().await, Ok(1));
    assert_eq!(client.local_first().policy(Policy::sticky(("cart", 7_u64))).await, Ok(2));
    assert_eq!(client.round_robin().policy(Policy::Closest).hedge().await, Ok(3));
    assert_eq!(client.random().on(tag("any")).policy(Policy::default()).await, Ok(4));
    assert_eq!(client.least_loaded().await, Ok(5));
    assert_eq!(client.closest().await, Ok(6));
}
