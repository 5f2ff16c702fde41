use nebula::prelude::*;

#[service(globl)]
trait Misspelt {
    #[api]
    async fn find(&self) -> u64;
}

#[service(global = true, global, version = "1.2", name = users, crate = "no path", idempotent)]
trait Wrong {
    #[api]
    async fn find(&self) -> u64;
}

struct Store;

impl Wrong for Store {
    async fn find(&self) -> u64 {
        1
    }
}

fn main() {
    // The trait and its client are there all the same.
    let _ = WrongClient::local(Store).find();
}
