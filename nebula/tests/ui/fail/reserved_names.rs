use nebula::prelude::*;

#[service]
trait Users {
    #[api]
    async fn new(&self) -> u64;
    #[api]
    async fn with(&self, id: u64) -> u64;
    #[api]
    async fn clone(&self) -> u64;
    #[api]
    async fn fine(&self) -> u64;
}

fn main() {}
