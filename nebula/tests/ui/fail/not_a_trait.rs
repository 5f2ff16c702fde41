use nebula::prelude::*;

#[service]
pub struct Users;

trait Plain {
    fn find(&self) -> u8;
}

#[service(global)]
impl Plain for Users {
    #[api]
    fn find(&self) -> u8 {
        1
    }
}

fn main() {}
