use nebula::prelude::*;

#[service]
pub trait Users {
    #[api]
    async fn find(&self) -> u64;
}

#[service]
pub trait Books {
    #[api]
    async fn find(&self) -> u64;
}

struct Both;

impl Users for Both {
    async fn find(&self) -> u64 {
        1
    }
}

impl Books for Both {
    async fn find(&self) -> u64 {
        2
    }
}

fn main() {
    let _ = Node::builder("a").serve_as::<UsersClient>(Both);
    let _ = Node::builder("b").serve(Both);
}
