use nebula::prelude::*;

#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Failure;

#[service(transparent)]
pub trait Users {
    #[api]
    async fn find(&self, id: u64) -> Result<u64, Failure>;
}

fn main() {}
