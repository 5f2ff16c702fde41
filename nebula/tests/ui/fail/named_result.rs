use nebula::prelude::*;

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Result(u64);

#[service]
pub trait Users {
    #[api]
    async fn find(&self) -> Result;
}

fn main() {}
