use nebula::prelude::*;

#[service]
pub trait Users {
    #[api(idempotent)]
    async fn find(&self, id: u64) -> Option<u64>;
}

// What NebulaAPI refused when it ran, or in one of two ways to write a call, or never.
async fn calls(users: UsersClient, seconds: f64) {
    // Unknown options, and values of another kind.
    let _ = users.find(1).timout(seconds).await;
    let _ = users.find(1).timeout(100).await;
    let _ = users.find(1).timeout(false).await;
    let _ = users.find(1).max_extensions(-1).await;
    // Whom it is for.
    let _ = users.find(1).on("db").await;
    let _ = users.find(1).pick(|_, _| None).await;
    let _ = users.find(1).pick(7).await;
    // What belongs to several nodes only, or to one of their endings.
    let _ = users.find(1).success(|found| found.is_some()).await;
    let _ = users.find(1).at_least(2).await;
    let _ = users.find(1).all().success(|found| found.is_some()).await;
    let _ = users.find(1).all().quorum(majority()).await;
    let _ = users.find(1).first().hedge().await;
    // What makes a quorum.
    let _ = users.find(1).quorum(2).await;
    let _ = users.find(1).quorum(at_least(-1)).await;
    let _ = users.find(1).quorum(majority(), at_least(2)).await;
    let _ = users.find(1).pick_many(|nodes| nodes).quorum(majority()).await;
    let _ = users.find(1).first().success(true).await;
    let _ = users.find(1).first().success(|a, b| a == b).await;
}

fn main() {}
