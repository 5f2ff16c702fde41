use nebula::prelude::*;

trait Users {
    #[api(idempotent)]
    fn find(&self) -> u64;
}

struct Store;

impl Users for Store {
    #[api]
    fn find(&self) -> u64 {
        1
    }
}

fn main() {}
