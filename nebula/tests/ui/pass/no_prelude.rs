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

#[derive(::nebula::IntoStatus)]
enum Failed {
    #[status(code = 404, message = "Not found", public)]
    NotFound(#[status(data = "id")] u64),
    #[status(transparent)]
    Call(::nebula::CallError),
}

::nebula::topology!(pub mod cluster = "nebula.toml");

::nebula::on_nodes!(* {
    fn here() -> u8 {
        ::nebula::on_nodes!(if * { 1 } else { 2 })
    }
});

fn main() {
    let _ = cluster::topology();
    let _ = cluster::sel!(&db !@db-2 | @web);
    let _ = cluster::tags::DB & !cluster::nodes::DB_2;
    let _ = here();
    let _ = ::nebula::IntoStatus::public(&Failed::NotFound(1));
    let _: fn(::nebula::CallError) -> Failed = Failed::Call;
    let _ = ::nebula::sel!(&db !@backup);
}
