//! The strictest crate: nothing generated may trip a lint.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub)]
#![deny(rust_2018_idioms, single_use_lifetimes, unused_qualifications, unused_results)]
#![deny(let_underscore_drop, non_local_definitions, private_interfaces, trivial_casts)]
#![deny(missing_copy_implementations, unit_bindings, unused_lifetimes, unused_import_braces)]
#![deny(absolute_paths_not_starting_with_crate, explicit_outlives_requirements)]
#![forbid(unsafe_code)]

use nebula::{Context, api, service};

/// Public and documented.
#[service(global, stragglers = "finish", max_extensions = 3, transparent)]
pub trait Public {
    /// Finds.
    #[api(idempotent, stragglers = "cancel", max_extensions = 0)]
    async fn find(&self, id: u64) -> Result<u64, Failure>;
}

/// Fails.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub struct Failure;

impl From<nebula::CallError> for Failure {
    fn from(_: nebula::CallError) -> Self {
        Self
    }
}

/// Fails in several ways.
#[derive(Debug, thiserror::Error, nebula::IntoStatus)]
pub enum Several<T> {
    /// Of the method.
    #[error("{0}")]
    #[status(code = 409, public)]
    Own(#[status(data = "own")] T),
    /// Of the call.
    #[error(transparent)]
    #[status(transparent)]
    Call(#[from] nebula::CallError<nebula::Status>),
    /// Of old.
    #[deprecated]
    #[error("old")]
    Old {
        /// How old.
        #[status(data)]
        years: u8,
    },
}

/// Never.
#[derive(Debug, Clone, Copy, nebula::IntoStatus)]
pub enum Never {}

/// Fails in one way.
#[derive(Debug, Clone, Copy, nebula::IntoStatus)]
#[status(code = 404, message = "Not found", public)]
pub struct Missing;

mod private {
    use nebula::{api, service};

    // Never called, never served.
    #[service]
    trait Unused {
        #[api]
        async fn find(&self, cx: &nebula::Context, alias: super::Alias) -> super::Alias {
            drop(cx.clone());
            alias
        }
        async fn helper(&self, _text: &str) {}
    }
}

type Alias = Option<u8>;

#[service]
trait Bare {
    #[api]
    async fn find(&self, cx: &Context) -> Alias;
}

struct Store;

impl Bare for Store {
    async fn find(&self, _cx: &Context) -> Alias {
        None
    }
}

nebula::topology!(pub mod cluster = "nebula.toml");

mod unused {
    nebula::topology!("nebula.toml");
}

nebula::on_nodes!(* {
    /// Everywhere.
    #[must_use]
    pub fn everywhere() -> u8 {
        nebula::on_nodes!(if !* { 0 } else if * { 1 } else { 2 })
    }
    /// There too.
    pub mod there {}
} else {
    compile_error!("is left out");
});

fn main() {
    let _selector = cluster::sel!(&db !@db-2);
    let mut seen = everywhere();
    nebula::on_nodes!(if * { seen += 1; });
    nebula::on_nodes!(if !* { no_such_function() });
    assert_eq!(seen, 2);
    #[service]
    trait Inner {
        #[api(idempotent)]
        async fn find(&self, id: u64) -> u64;
    }
    impl Inner for Store {
        async fn find(&self, id: u64) -> u64 {
            id
        }
    }
    let _client = InnerClient::local(Store);
    let _client = BareClient::local(Store);
}
