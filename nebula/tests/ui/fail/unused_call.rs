#![deny(unused_must_use)]

use nebula::prelude::*;

#[service]
pub trait Users {
    #[api]
    async fn find(&self, id: u64) -> u64;
}

async fn calls(users: UsersClient) {
    users.find(1);
}

fn main() {}
