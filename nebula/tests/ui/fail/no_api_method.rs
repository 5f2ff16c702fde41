use nebula::prelude::*;

#[service]
trait Users {
    async fn find(&self, id: u64) -> u64;
}

fn main() {}
