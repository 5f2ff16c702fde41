use nebula::prelude::*;

#[service]
trait Users: Send + Clone + std::fmt::Debug + 'static {
    #[api]
    async fn find(&self, id: u64) -> u64;
}

fn main() {}
