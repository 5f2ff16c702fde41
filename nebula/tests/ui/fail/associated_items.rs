use nebula::prelude::*;

#[service]
trait Users {
    type Id;
    const LIMIT: usize;
    #[api]
    async fn find(&self, id: u64) -> u64;
}

fn main() {}
