use nebula::prelude::*;

#[service]
pub trait Users {
    #[api(idempotent)]
    async fn find(&self, id: u64) -> u64;
    #[api]
    async fn put(&self, id: u64) -> u64;
}

async fn calls(users: UsersClient) {
    let _ = users.find(1).hedge().await;
    let _ = users.put(1).hedge().await;
}

fn main() {}
