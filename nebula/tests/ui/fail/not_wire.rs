use nebula::prelude::*;

pub struct Opaque;

#[derive(Debug)]
pub struct Failure;

#[service]
pub trait Users {
    #[api]
    async fn argument(&self, id: u64, opaque: Opaque) -> u64;
    #[api]
    async fn reply(&self) -> Option<Opaque>;
    #[api]
    async fn error(&self) -> Result<u64, Failure>;
}

fn main() {}
