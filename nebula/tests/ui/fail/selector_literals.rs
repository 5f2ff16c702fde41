use nebula::prelude::*;

#[service(on = "&db !backup")]
trait Users {
    #[api(on = "&db |")]
    async fn a(&self) -> u64;
    #[api(on = "")]
    async fn b(&self) -> u64;
    #[api(on = "@db@host")]
    async fn c(&self) -> u64;
    #[api(on = "(&db")]
    async fn d(&self) -> u64;
}

fn main() {}
