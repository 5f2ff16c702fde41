//! Without the prelude, nothing but absolute paths is left.
#![no_implicit_prelude]
#![deny(warnings)]

#[::nebula::service(global)]
pub trait Users {
    #[::nebula::api(idempotent)]
    async fn find(&self, id: u64) -> ::core::option::Option<u64>;
    #[::nebula::api]
    async fn put(&self, id: u64) -> ::core::result::Result<(), ::std::string::String>;
}

fn main() {
    let _ = ::nebula::sel!(&db !@backup);
}
