use nebula::prelude::*;

#[service]
unsafe trait Users {
    #[api]
    async fn find(&self) -> u64;
}

#[service]
trait Methods {
    #[api]
    async unsafe fn find(&self) -> u64;
    #[api]
    async extern "C" fn put(&self) -> u64;
}

fn main() {}
