use nebula::prelude::*;

#[service]
trait Users {
    #[api]
    async fn mutable(&self, mut id: u64) -> u64 {
        id += 1;
        id
    }
    #[api]
    async fn nameless(&self, _: u64) -> u64;
    #[api]
    async fn taken_apart(&self, (a, b): (u64, u64)) -> u64 {
        a + b
    }
}

fn main() {}
