//! `on_nodes!` and `roles!` in a crate that carries the role `db` and leaves out `web`.

#![deny(warnings)]

use nebula::{Roles, on_nodes, roles};

on_nodes!(&db {
    /// Of a build that carries the role.
    mod store {
        pub(crate) const ROWS: u32 = 3;
    }
    use store::ROWS;

    macro_rules! rows {
        () => { ROWS };
    }

    on_nodes!(&web {
        const BOTH: bool = true;
    } else {
        const BOTH: bool = false;
    });
} else {
    compile_error!("this test is built with the role `db`");
});

on_nodes!(&web {
    use no_such_crate::Page;

    fn page() -> Page {
        on_nodes!(if &db { Page::rich() } else { Page::plain() })
    }
} else if !@db {
    fn page() -> u8 {
        no_such_function()
    }
} else {
    fn page() -> &'static str {
        "neither"
    }
});

struct Counter(u32);

impl Counter {
    on_nodes!(&db {
        /// Methods are items here.
        fn get(&self) -> u32 {
            self.0
        }

        const STEP: u32 = 2;
    });

    on_nodes!(&web {
        fn get(&self) -> String {
            unreachable!()
        }
    });
}

#[test]
fn items_are_there_or_absent() {
    assert_eq!((rows!(), BOTH, page()), (3, false, "neither"));
    assert_eq!(Counter(1).get() + Counter::STEP, 3);
}

fn shared(text: &str) -> Result<usize, std::num::ParseIntError> {
    let mut seen = Vec::new();
    on_nodes!(if &db {
        // Early returns, `?` and what is borrowed outside work as in any block.
        let number: usize = text.parse()?;
        seen.push(number);
        if number == 0 {
            return Ok(0);
        }
    });
    on_nodes! { if &web { seen.push(no_such_name); } }
    let factor = on_nodes!(if &web {
        "none"
    } else if &db | &web {
        10
    } else {
        "none"
    });
    let [only] = seen[..] else { return Ok(99) };
    Ok(only * factor + on_nodes!(if !&web { 1 } else { page() }))
}

#[test]
fn bodies_are_blocks() {
    assert_eq!(shared("4"), Ok(41));
    assert_eq!(shared("0"), Ok(0));
    assert!(shared("x").is_err());
}

#[tokio::test]
async fn a_body_may_await() {
    let value = on_nodes!(if &db { std::future::ready(1).await } else { 2 });
    assert_eq!(value, 1);
}

macro_rules! for_db {
    ($body:block, $($rest:tt)*) => {
        on_nodes!(if &db $body $($rest)*)
    };
}

#[test]
fn tokens_may_come_from_a_macro() {
    assert_eq!(for_db!({ 1 }, else { no_such_name }), 1);
}

#[test]
fn roles_know_what_is_carried() {
    const ROLES: Roles = roles![db, "web"];
    assert_eq!(ROLES, Roles::new(&[("db", true), ("web", false)]));
    assert!(ROLES.carries("db") && !ROLES.carries("web") && !ROLES.carries("other"));
    assert!(!ROLES.is_whole() && roles![crate = nebula; db].is_whole());
}
