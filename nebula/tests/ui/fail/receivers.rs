use std::sync::Arc;

use nebula::prelude::*;

#[service]
trait Users {
    #[api]
    async fn by_mut(&mut self) -> u64;
    #[api]
    async fn by_arc(self: Arc<Self>) -> u64;
    #[api]
    async fn by_nothing(id: u64) -> u64;
    #[api]
    async fn fine(&self) -> u64;
}

#[service]
trait Owned: Sized {
    #[api]
    async fn by_value(self) -> u64;
}

fn main() {}
