use nebula::prelude::*;

#[service]
trait Users {
    #[api]
    async fn some(&self, name: impl Into<String>) -> u64;
    #[api]
    async fn object(&self, name: Box<dyn std::any::Any>) -> u64;
    #[api]
    async fn function(&self, name: fn(u8) -> u8, pointer: *const u8) -> u64;
    #[api]
    async fn me(&self) -> Option<Self>;
    #[api]
    async fn reply(&self) -> impl Sized;
}

fn main() {}
