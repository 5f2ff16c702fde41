//! What a node to be is told of its build.

use super::{NodeBuilder, Settings};
use crate::Result;
use crate::boot::{Boot, Roles, boot};
use crate::error::Error;

impl NodeBuilder {
    /// Says which roles this build carries: `.roles(nebula::roles![db, web])`. A node has the roles
    /// that are its tags or its short name. One that has a role which the build leaves out does
    /// not start, and neither does one that has none of the roles of a build that leaves some out.
    /// Without this, the build is taken to carry everything.
    ///
    /// ```
    /// # use nebula::{Node, Roles};
    /// # #[tokio::main]
    /// # async fn main() {
    /// // What `nebula::roles![db, web]` gives when built for `db` alone:
    /// const ROLES: Roles = Roles::new(&[("db", true), ("web", false)]);
    /// let refused = Node::builder("n1").tag("web").roles(ROLES).start().await.unwrap_err();
    /// assert!(refused.to_string().contains("add `--features web` to the build"));
    /// # }
    /// ```
    pub fn roles(mut self, roles: Roles) -> Self {
        self.settings.roles = Some(roles);
        self
    }

    /// Whether a node that [`roles`](Self::roles) would refuse is started all the same, with a
    /// warning, and serves nothing: what it was given to serve is neither advertised nor used by
    /// its own calls, which go to other nodes. False unless set.
    ///
    /// It is meant for an operator with a shell on the wrong machine. The library reads no variable
    /// for it; a program can:
    ///
    /// ```
    /// # use nebula::Node;
    /// let builder = Node::builder("shell")
    ///     .generic_on_mismatch(std::env::var("ALLOW_GENERIC").as_deref() == Ok("1"));
    /// # drop(builder);
    /// ```
    pub fn generic_on_mismatch(mut self, on: bool) -> Self {
        self.settings.generic_on_mismatch = on;
        self
    }
}

/// Whether the node is to serve nothing.
pub(super) fn is_generic(settings: &Settings) -> Result<bool> {
    let Settings { name, tags, roles, generic_on_mismatch, .. } = settings;
    match boot(*roles, name, tags, *generic_on_mismatch) {
        Boot::Serve => Ok(false),
        Boot::Generic { why } => {
            tracing::warn!(%why, "this node serves nothing; its calls go to other nodes");
            Ok(true)
        }
        Boot::Refuse { why } => Err(Error::msg(why.to_string())),
    }
}
