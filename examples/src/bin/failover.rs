//! One of two nodes goes while calls flow: `cargo run -p examples --bin failover`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nebula::prelude::*;
use tokio::sync::Notify;

#[service(global)]
trait Work {
    #[api(idempotent)]
    async fn quick(&self) -> String;
    #[api]
    async fn slow(&self) -> String;
}

struct Worker {
    name: &'static str,
    /// A slow call has begun here.
    slow: Arc<Notify>,
}

impl Work for Worker {
    async fn quick(&self) -> String {
        self.name.into()
    }

    async fn slow(&self) -> String {
        self.slow.notify_one();
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.name.into()
    }
}

fn node(name: &str) -> nebula::NodeBuilder {
    Node::builder(name).realm("failover").grace(Duration::from_millis(300))
}

#[tokio::main]
async fn main() -> nebula::Result<()> {
    let slow = Arc::<Notify>::default();
    let worker = |name| Worker { name, slow: slow.clone() };
    let a = node("a").serve(worker("a")).start().await?;
    let b = node("b").serve(worker("b")).start().await?;
    let client = node("client").start().await?;
    examples::assembled(&client, 3).await?;
    let work = WorkClient::new(&client);

    // Both answer; then `a` shuts down, and no call may fail while or after it does.
    let mut answers = BTreeMap::from([("a".to_owned(), 0), ("b".to_owned(), 0)]);
    while answers.values().any(|count| *count < 100) {
        *answers.entry(work.quick().await?).or_default() += 1;
    }
    let leaving = tokio::spawn(async move { a.shutdown().await });
    while !leaving.is_finished() {
        *answers.entry(work.quick().await?).or_default() += 1;
    }
    println!("a has left and no call failed; answers: {answers:?}");

    // A call that is under way when its node goes, and that may not run twice, is not repeated.
    let call = tokio::spawn({
        let work = work.clone();
        async move { work.slow().timeout(Duration::from_secs(30)).await }
    });
    slow.notified().await;
    println!("{}", b.shutdown().await.expect_err("a slow call outlives the grace period"));
    let error = call.await.expect("the task ends").expect_err("the node has gone");
    println!("{error:#}");
    println!("it {}", error.executed());
    client.shutdown().await
}
