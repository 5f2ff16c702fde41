use nebula::prelude::*;

#[service(policy = "sticky")]
trait Users {
    #[api(policy = "round-robin")]
    async fn a(&self) -> u64;
    #[api(policy = "sticky")]
    async fn b(&self) -> u64;
    #[api(policy = Policy::Random)]
    async fn c(&self) -> u64;
    #[api(policy)]
    async fn d(&self) -> u64;
    #[api(policy = "random", policy = "closest")]
    async fn e(&self) -> u64;
}

fn main() {}
