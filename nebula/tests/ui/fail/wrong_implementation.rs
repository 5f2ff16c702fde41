use nebula::prelude::*;

#[service]
pub trait Users {
    #[api]
    async fn find(&self, id: u64) -> u64;
    #[api]
    async fn put(&self, id: u64) -> u64;
}

struct Store;

impl Users for Store {
    async fn find(&self, id: u32) -> u64 {
        id.into()
    }
}

struct Text;

impl Users for Text {
    async fn find(&self, id: u64) -> String {
        id.to_string()
    }

    async fn put(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
