use nebula::prelude::*;

#[service]
pub trait Users {
    #[api(idempotent)]
    async fn find(&self, id: u64) -> u64;
}

async fn calls(users: UsersClient) {
    let _ = users.find(1).hedge().timeout(std::time::Duration::from_secs(1)).await;
    let _ = users.find(1).hedge().all().await;
}

fn main() {}
