use nebula::prelude::*;

#[service]
trait Users {
    #[api]
    fn find(&self, id: u64) -> u64;
}

fn main() {}
