use std::borrow::Cow;

use nebula::prelude::*;

pub struct User;

#[service]
trait Users {
    #[api]
    async fn text(&self, name: &str) -> u64;
    #[api]
    async fn list(&self, names: &[User]) -> u64;
    #[api]
    async fn value(&self, user: &User) -> u64;
    #[api]
    async fn nested(&self, name: Option<&str>, all: Vec<(u8, &mut User)>) -> u64;
    #[api]
    async fn cow(&self, name: Cow<'_, str>) -> u64;
    #[api]
    async fn reply(&self) -> &str;
    #[api]
    async fn unsized_types(&self, a: str, b: [u8]) -> u64;
}

fn main() {}
