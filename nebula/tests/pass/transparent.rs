//! Transparent services: a function of the trait takes a store and a client alike.

#![deny(warnings)]

use nebula::CallError;
use nebula::prelude::*;

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum BookError {
    Unknown,
    Call(String),
}

impl From<CallError> for BookError {
    fn from(error: CallError) -> Self {
        Self::Call(error.to_string())
    }
}

#[service(transparent)]
trait Books {
    #[api(idempotent)]
    async fn title(&self, id: u64) -> Result<String, BookError>;
    #[cfg(doctest)]
    #[api]
    async fn gone(&self) -> Result<Gone, BookError>;
    fn shelf(&self) -> &'static str {
        "default"
    }
}

struct Library;
impl Books for Library {
    async fn title(&self, id: u64) -> Result<String, BookError> {
        if id == 1 { Ok("Dune".to_owned()) } else { Err(BookError::Unknown) }
    }
}

async fn shout(books: &impl Books, id: u64) -> Result<String, BookError> {
    books.title(id).await.map(|title| format!("{} ({})", title.to_uppercase(), books.shelf()))
}

#[tokio::test]
async fn a_client_stands_in_for_the_store() {
    let client = BooksClient::local(Library);
    assert_eq!(shout(&Library, 1).await.as_deref(), Ok("DUNE (default)"));
    assert_eq!(shout(&client, 1).await.as_deref(), Ok("DUNE (default)"));
    assert_eq!(shout(&client, 2).await, Err(BookError::Unknown));
    // On the client itself, the call comes first: it can still be set up.
    assert_eq!(client.title(1).await.ok().as_deref(), Some("Dune"));
    // And a client is a service: a relay.
    let relay = BooksClient::local(client.clone());
    assert_eq!(shout(&relay, 1).await.as_deref(), Ok("DUNE (default)"));
}
