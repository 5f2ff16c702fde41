use nebula::prelude::*;

struct Nothing;

fn main() {
    let _ = Node::builder("a").serve(Nothing);
}
