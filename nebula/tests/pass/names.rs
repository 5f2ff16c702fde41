//! Names: raw identifiers, names that look alike, and a renamed crate.

#![deny(warnings)]

use nebula::__private::Service as _;
use nebula::{api, service};

mod far {
    pub(crate) use nebula as away;
}

#[service]
#[allow(non_snake_case)]
trait Odd {
    #[api]
    async fn r#type(&self, r#fn: u8) -> u8;
    #[api]
    async fn a_b(&self) -> u8;
    #[api]
    async fn a__b(&self) -> u8;
    #[api]
    async fn self_(&self) -> u8;
    #[api]
    async fn _hidden(&self) -> u8;
}

struct Plain;
#[allow(non_snake_case)]
impl Odd for Plain {
    async fn r#type(&self, r#fn: u8) -> u8 {
        r#fn
    }

    async fn a_b(&self) -> u8 {
        1
    }

    async fn a__b(&self) -> u8 {
        2
    }

    async fn self_(&self) -> u8 {
        3
    }

    async fn _hidden(&self) -> u8 {
        4
    }
}

#[tokio::test]
async fn odd_names_work() {
    let client = OddClient::local(Plain);
    assert_eq!(client.r#type(9).await.unwrap(), 9);
    assert_eq!(client.a_b().await.unwrap(), 1);
    assert_eq!(client.a__b().await.unwrap(), 2);
    assert_eq!(client.self_().await.unwrap(), 3);
    assert_eq!(client._hidden().await.unwrap(), 4);
    assert_eq!(OddClient::INFO.methods()[0].method_name(), "type");
}

#[service(crate = "far::away")]
trait Renamed {
    #[nebula::api(idempotent)]
    async fn find(&self) -> u8;
    #[far::away::api]
    async fn seek(&self) -> u8;
}

impl Renamed for Plain {
    async fn find(&self) -> u8 {
        5
    }

    async fn seek(&self) -> u8 {
        6
    }
}

#[tokio::test]
async fn nebula_may_have_another_name() {
    let client = RenamedClient::local(Plain);
    assert_eq!((client.find().await.unwrap(), client.seek().await.unwrap()), (5, 6));
}

/// A user's own module of the trait's name is free.
mod users {
    pub(super) const ANSWER: u8 = 6;
}

#[service]
trait Users {
    #[api]
    async fn answer(&self) -> u8 {
        users::ANSWER
    }
}

impl Users for Plain {}

#[tokio::test]
async fn the_hidden_module_is_in_nobodys_way() {
    assert_eq!(UsersClient::local(Plain).answer().await.unwrap(), 6);
}
