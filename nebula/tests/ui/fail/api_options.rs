use nebula::prelude::*;

#[service]
trait Users {
    #[api(idempotant)]
    async fn a(&self) -> u64;
    #[api(timeout = 2)]
    async fn b(&self) -> u64;
    #[api(timeout = "2 s", queue = -1, max_concurrent = 0)]
    async fn c(&self) -> u64;
    #[api(timeout = "0ms", stragglers = "keep", spawn = true)]
    async fn d(&self) -> u64;
    #[api(timeout = "25h", version = "2", global, max_extensions = 1001)]
    async fn e(&self) -> u64;
    #[api(timeout("2s"))]
    async fn f(&self) -> u64;
    #[api(idempotent spawn)]
    async fn g(&self) -> u64;
    #[api]
    #[api(idempotent)]
    async fn h(&self) -> u64;
    #[api = "idempotent"]
    async fn i(&self) -> u64;
}

fn main() {}
