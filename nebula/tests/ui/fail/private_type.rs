use nebula::prelude::*;

#[derive(serde::Serialize, serde::Deserialize)]
struct Private;

#[service]
pub trait Users {
    #[api]
    async fn find(&self, id: Private) -> u64;
}

fn main() {}
