//! Arguments and replies over the limit, wherever the limit is.

use std::time::Duration;

use macula::Limits;
use nebula::Node;
use nebula::call::{CallError, Executed, Outcome};

use crate::desk::{Clerk, DeskClient, Mood};
use crate::site::{PATIENCE, Site, met};

const SMALL: usize = 64 << 10;
const LARGE: usize = 4 << 20;

/// A server and a client with these limits, and a call under way that only a connection which
/// survives will end.
struct Pair {
    server: Node,
    clerk: Clerk,
    desk: DeskClient,
    under_way: tokio::task::JoinHandle<bool>,
}

impl Pair {
    async fn new(server: usize, client: usize) -> Self {
        let limits = |max_body| {
            let mut limits = Limits::default();
            limits.max_body = max_body;
            limits
        };
        let site = Site::new();
        let clerk = Clerk::new("db", Mood::Wait);
        let node = site.node("db").limits(limits(server)).serve(clerk.clone());
        let server = node.start().await.unwrap();
        let client = site.node("client").limits(limits(client)).start().await.unwrap();
        met(&[&server, &client]).await;
        let desk = DeskClient::new(&client);
        let waiting = desk.clone();
        let long = Duration::from_secs(3600);
        let under_way = tokio::spawn(async move { waiting.write().timeout(long).await.is_ok() });
        clerk.until("began", |count| count.began == 1).await;
        Self { server, clerk, desk, under_way }
    }

    async fn arguments_are_refused(self, limit: usize, lengths: &[usize]) {
        for length in lengths {
            let error = self.desk.swap(vec![1; *length], 0).await.map(drop).unwrap_err();
            assert!(
                matches!(error, CallError::TooLarge { limit: told, .. } if told == limit),
                "{length} bytes: {error:?}"
            );
            assert_eq!(error.executed(), Executed::No, "{length} bytes");
            assert_eq!(error.attempts()[0].outcome, Outcome::RequestTooLarge);
            let text = error.to_string();
            let says = format!("the arguments are more than {limit} bytes");
            assert!(text.starts_with(&says), "{text}");
        }
        assert_eq!(self.clerk.count().began, 1, "none of them ran");
        self.survives(limit).await;
    }

    async fn reply_is_refused(self, limit: usize, length: usize) {
        self.clerk.turn(Mood::Answer);
        let error = self.desk.swap(vec![], length).await.map(drop).unwrap_err();
        assert!(
            matches!(error, CallError::TooLarge { limit: told, .. } if told == limit),
            "{length} bytes: {error:?}"
        );
        assert_eq!(error.executed(), Executed::Yes);
        assert_eq!(error.attempts()[0].outcome, Outcome::ReplyTooLarge);
        assert!(error.to_string().starts_with("the reply is more than"), "{error}");
        assert_eq!(self.clerk.count().began, 2, "it ran, and once only");
        self.survives(limit).await;
    }

    /// What was under way goes on, and what fits passes.
    async fn survives(self, limit: usize) {
        self.clerk.turn(Mood::Answer);
        assert!(self.under_way.await.unwrap(), "the connection was lost");
        let fits = limit - 64;
        assert_eq!(self.desk.swap(vec![1; fits], fits).await.unwrap().len(), fits);
        assert_eq!(self.clerk.count().dropped, 0);
        let over = async {
            while self.server.mesh().serving() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, over).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn arguments_over_the_limit_of_both_never_leave() {
    Pair::new(SMALL, SMALL).await.arguments_are_refused(SMALL, &[SMALL, LARGE]).await;
}

#[tokio::test(start_paused = true)]
async fn arguments_over_the_limit_of_the_server_are_refused_there() {
    let lengths = [SMALL, SMALL + 5000, 1 << 20, LARGE - 100];
    Pair::new(SMALL, LARGE).await.arguments_are_refused(SMALL, &lengths).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_over_the_limit_of_the_server_is_not_sent() {
    Pair::new(SMALL, LARGE).await.reply_is_refused(SMALL, LARGE - 100).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_over_the_limit_of_the_caller_is_not_taken() {
    Pair::new(LARGE, SMALL).await.reply_is_refused(SMALL, SMALL + 100).await;
    Pair::new(LARGE, SMALL).await.reply_is_refused(SMALL, LARGE - 100).await;
}
