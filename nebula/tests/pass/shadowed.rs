//! Every name that an expansion might lean on means something else here.

#![deny(warnings)]
#![allow(dead_code, non_camel_case_types)]

mod core {}
mod std {}
mod nebula_private {}
mod __private {}

struct Option<T>(T);
struct Display;
struct ToString;
struct String;
struct Send;
struct Sync;
struct Future;
struct Output;
struct Clone;
struct Debug;
struct Self_;
struct FnOnce;
struct Arc;
struct Call;
struct Node;
struct Options;
struct Method;
struct Service;
struct Shape;
struct Provider;
struct Started;
struct Input;
struct Status;
struct From;
trait IntoStatus {}
trait Provides {}
trait Sized {}

/// Extensions that every type has, with the names of generated calls.
trait Extension {
    fn call(self, _: ())
    where
        Self: ::core::marker::Sized,
    {
    }
    fn unknown(&self) {}
    fn clone(&self) {}
    fn find(self)
    where
        Self: ::core::marker::Sized,
    {
    }
    fn with(self, _: &str, _: ::std::string::String)
    where
        Self: ::core::marker::Sized,
    {
    }
    fn internal(self)
    where
        Self: ::core::marker::Sized,
    {
    }
    fn status(&self) {}
    fn shown(&self) {}
}
impl<T> Extension for T {}

#[::nebula::service]
trait Shadowed {
    #[::nebula::api(idempotent)]
    async fn find(&self, id: ::core::option::Option<u8>) -> Result<u8, Failure>;
    #[::nebula::api]
    async fn doubled(&self, id: u8) -> u8 {
        id + id
    }
}

type Result<T, E> = ::core::result::Result<T, E>;

#[derive(::core::fmt::Debug, ::serde::Serialize, ::serde::Deserialize)]
struct Failure;

struct Store;
impl Shadowed for Store {
    async fn find(&self, id: ::core::option::Option<u8>) -> Result<u8, Failure> {
        id.ok_or(Failure)
    }
}

#[derive(::nebula::IntoStatus)]
enum Told {
    #[status(code = 404, message = "Not here", public)]
    Coded(#[status(data = "id")] u8),
    #[status(message = "not for you")]
    Internal,
    #[status(transparent)]
    Inner(::nebula::CallError),
}

#[test]
fn statuses_lean_on_nothing() {
    let status = ::nebula::IntoStatus::status(&Told::Coded(3));
    assert_eq!((status.code(), status.get("id")), ("coded", Some("3")));
    assert!(!::nebula::IntoStatus::status(&Told::Internal).is_public());
}

#[::tokio::test]
async fn nothing_leans_on_the_prelude() {
    let client = ShadowedClient::local(Store);
    // The extension's `find(self)` wins on every value, so the method is named by its path.
    assert_eq!(ShadowedClient::find(&client, Some(3)).await.unwrap(), 3);
    assert_eq!(client.doubled(3).await.unwrap(), 6);
    let _ = ::nebula::sel!(&db);
}
