use nebula::prelude::*;

#[service]
trait Users {
    #[api]
    async fn types<T: Send>(&self, value: T) -> u64;
    #[api]
    async fn lifetimes<'a>(&'a self, id: u64) -> u64;
    #[api]
    async fn clause(&self) -> u64
    where
        u64: Copy;
}

fn main() {}
