use nebula::prelude::*;

#[service]
pub trait Users {
    #[api(idempotent)]
    async fn find(&self, id: u64) -> u64;
}

async fn calls(users: UsersClient) {
    let _ = users.find(1).on(tag("db")).pick(|nodes| nodes.connected().next()).await;
    let _ = users.find(1).pick(|nodes| nodes.connected().next()).on(tag("db")).await;
}

fn main() {}
