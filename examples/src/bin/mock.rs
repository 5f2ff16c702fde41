//! Testing a caller without a network: `cargo test -p examples --bin mock`. Running it shows the
//! same call on a fake (`cargo run -p examples --bin mock`).

use nebula::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, Serialize)]
struct User {
    name: String,
}

#[service(global)]
trait Users {
    #[api(idempotent)]
    async fn find(&self, id: u64) -> Option<User>;
}

/// What is to be tested: it only knows the client.
async fn greeting(users: &UsersClient, id: u64) -> String {
    match users.find(id).await {
        Ok(Some(user)) => format!("Hello, {}!", user.name),
        Ok(None) => "Hello, stranger!".into(),
        Err(_) => "Hello! (Our users cannot be reached.)".into(),
    }
}

/// The fake is an ordinary implementation of the trait.
struct OnlyAda;

impl Users for OnlyAda {
    async fn find(&self, id: u64) -> Option<User> {
        (id == 1).then(|| User { name: "Ada".into() })
    }
}

#[tokio::main]
async fn main() {
    let users = UsersClient::local(OnlyAda);
    println!("{}", greeting(&users, 1).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn people_are_greeted_by_name() {
        let users = UsersClient::local(OnlyAda);
        assert_eq!(greeting(&users, 1).await, "Hello, Ada!");
        assert_eq!(greeting(&users, 2).await, "Hello, stranger!");
    }

    /// A fake that panics, which a client sees as a failed call.
    struct Broken;

    impl Users for Broken {
        async fn find(&self, _id: u64) -> Option<User> {
            panic!("the disk is gone")
        }
    }

    /// A fake that never answers: virtual time makes its deadline pass at once.
    struct Silent;

    impl Users for Silent {
        async fn find(&self, _id: u64) -> Option<User> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_no_reason_to_be_impolite() {
        for users in [UsersClient::local(Broken), UsersClient::local(Silent)] {
            assert_eq!(greeting(&users, 1).await, "Hello! (Our users cannot be reached.)");
        }
    }
}
