use nebula::prelude::*;

#[service(transparent)]
trait Users {
    #[api]
    async fn plain(&self, id: u64) -> Option<u64>;
    #[api]
    async fn nothing(&self);
    #[api]
    async fn context(&self, cx: &Context) -> Result<u64, String>;
    fn required(&self) -> u64;
}

fn main() {}
