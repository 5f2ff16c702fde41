use nebula::prelude::*;

#[service(bogus)]
trait Users: Clone {
    #[api(max_concurrent = 0)]
    async fn fine(&self, id: u64) -> u64;
    #[api]
    fn wrong(&mut self, name: &str) -> Option<&str>;
}

#[derive(Clone)]
struct Store;

impl Users for Store {
    async fn fine(&self, id: u64) -> u64 {
        id
    }

    fn wrong(&mut self, _name: &str) -> Option<&str> {
        None
    }
}

fn main() {
    // No errors but those of the trait: what is right is still expanded.
    let _ = UsersClient::local(Store).fine(1);
}
