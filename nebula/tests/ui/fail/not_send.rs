use std::rc::Rc;

use nebula::prelude::*;

#[service]
pub trait Users {
    #[api]
    async fn find(&self, id: u64) -> u64;
}

struct Store;

impl Users for Store {
    async fn find(&self, id: u64) -> u64 {
        let shared = Rc::new(id);
        std::future::ready(()).await;
        *shared
    }
}

struct Single(std::cell::Cell<u64>);

impl Users for Single {
    async fn find(&self, id: u64) -> u64 {
        self.0.get() + id
    }
}

fn main() {}
