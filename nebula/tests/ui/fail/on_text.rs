use nebula::prelude::*;

#[service(global)]
trait Users {
    #[api]
    async fn find(&self) -> u64;
}

async fn ask(users: &UsersClient) {
    let _ = users.find().on("db").await;
}

fn main() {}
