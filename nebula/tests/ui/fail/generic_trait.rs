use nebula::prelude::*;

#[service]
trait OfTypes<T: Send, U> {
    #[api]
    async fn find(&self, id: u64) -> u64;
}

#[service]
trait OfLifetimes<'a> {
    #[api]
    async fn find(&self, id: u64) -> u64;
}

#[service]
trait OfConsts<const N: usize> {
    #[api]
    async fn find(&self, id: u64) -> u64;
}

#[service]
trait WithClause
where
    Self: Sized,
{
    #[api]
    async fn find(&self, id: u64) -> u64;
}

fn main() {}
