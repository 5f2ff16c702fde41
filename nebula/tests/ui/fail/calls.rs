use nebula::prelude::*;

#[service]
pub trait Users {
    #[api]
    async fn find(&self, id: u64) -> u64;
    async fn private(&self);
}

async fn calls(users: UsersClient) {
    users.find("1").await.unwrap();
    users.private().await;
    let _: u64 = users.find(1).await;
}

fn main() {}
