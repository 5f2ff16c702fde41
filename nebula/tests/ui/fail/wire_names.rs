use nebula::prelude::*;

#[service]
trait Users {
    #[api]
    async fn find(&self, id: u64) -> u64;
    #[api(name = "find")]
    async fn find_by_name(&self, name: String) -> u64;
    #[api(name = "a/b")]
    async fn slash(&self) -> u64;
    #[api(name = "")]
    async fn empty(&self) -> u64;
}

fn main() {}
