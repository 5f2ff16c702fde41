use nebula::prelude::*;

#[service]
trait Users {
    #[api]
    async fn late(&self, id: u64, cx: &Context) -> u64;
    #[api]
    async fn mutable(&self, cx: &mut Context) -> u64;
    #[api]
    async fn twice(&self, cx: &Context, again: &Context) -> u64;
}

fn main() {}
