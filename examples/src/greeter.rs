//! What `hello_server` and `hello_client` agree on.

use nebula::prelude::*;

/// Greets people.
#[service(global)]
pub trait Greeter {
    /// A greeting for `name`, and which node gives it.
    #[api(idempotent)]
    async fn hello(&self, name: String) -> String;
}

/// The realm of both: in one of their own they do not meet the nodes of other programs.
pub const REALM: &str = "hello";
