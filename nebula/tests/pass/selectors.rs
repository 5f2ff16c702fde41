//! `sel!` reads what the text form reads.

#![deny(warnings)]

use nebula::{Selector, sel};

#[test]
fn tokens_and_text_give_the_same_selector() {
    for (made, text) in [
        (sel!(&db), "&db"),
        (sel!(&db !@backup), "&db !@backup"),
        (sel!((&db | &x) !@db-1.eu), "(&db | &x) !@db-1.eu"),
        (sel!(@"full@host" | !(&a &b)), "@\"full@host\" | !(&a &b)"),
        (sel!(&type &1db &2.5), "&type &1db &2.5"),
        (sel!(*), "*"),
        (sel!(&"with \"quotes\" and \\"), "&\"with \\\"quotes\\\" and \\\\\""),
    ] {
        let read: Selector = text.parse().unwrap();
        assert_eq!(made.to_string(), read.to_string());
    }
}

macro_rules! on {
    ($name:ident $($rest:tt)*) => {
        sel!(&$name $($rest)*)
    };
}

#[test]
fn tokens_may_come_from_a_macro() {
    assert_eq!(on!(db !@backup-1).to_string(), sel!(&db !@backup-1).to_string());
}
