//! The numbers are those of the cases of Malla. What takes several threads is in [`threads`], and
//! [`model`] compares any sequence of operations with plain tables.

mod model;
mod threads;

use std::sync::{Arc, Mutex};

use super::{Domain, Registry, ValueError};

fn billing() -> Domain {
    Registry::default().domain("billing")
}

/// KV.2: of a name that is taken the holder is found, and dropping its guard frees it.
#[test]
fn a_name_is_had_by_one_value() {
    let registry = Registry::default();
    let first = registry.register("pool", 1_u8).unwrap();
    assert_eq!((first.name(), **first), ("pool", 1));
    assert!(Arc::ptr_eq(&first, &registry.get("pool").unwrap()));

    let error = registry.register("pool", "another").unwrap_err();
    assert_eq!(error.name(), "pool");
    assert_eq!(
        error.to_string(),
        "the name `pool` is taken by a value of the type `u8`: choose another one, or drop what \
         was registered under it first"
    );
    assert_eq!(registry.get::<u8>("pool").as_deref(), Some(&1));

    let kept = registry.get::<u8>("pool").unwrap();
    drop(first);
    assert!(!registry.contains("pool"));
    let second = registry.register("pool", "another").unwrap();
    assert_eq!((*kept, *second.clone()), (1, "another"));
}

/// KV.2: a name is found only as the type it has.
#[test]
fn a_name_of_another_type_is_not_found() {
    let registry = Registry::default();
    let _guard = registry.register("pool", 1_u8).unwrap();
    assert_eq!(registry.get::<u16>("pool"), None);
    assert!(registry.contains("pool"));
    assert!(!registry.contains("Pool"));
}

/// KV.2: whoever dies leaves no name behind.
#[test]
fn a_panic_frees_the_name() {
    let registry = Registry::default();
    let theirs = registry.clone();
    let died = std::thread::spawn(move || {
        let _name = theirs.register("pool", ()).unwrap();
        let _place = theirs.add("workers", ());
        assert!(theirs.contains("pool") && theirs.count("workers") == 1);
        panic!("on purpose");
    });
    assert!(died.join().is_err());
    assert_eq!((registry.contains("pool"), registry.count("workers")), (false, 0));
}

/// KV.2: so does an aborted task.
#[tokio::test(start_paused = true)]
async fn an_abort_frees_the_name() {
    let registry = Registry::default();
    let theirs = registry.clone();
    let task = tokio::spawn(async move {
        let _name = theirs.register("pool", ()).unwrap();
        std::future::pending::<()>().await;
    });
    tokio::task::yield_now().await;
    assert!(registry.contains("pool"));
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(!registry.contains("pool"));
}

/// KV.3: many under a key, in order, each for as long as its guard.
#[test]
fn a_key_is_shared() {
    let registry = Registry::default();
    assert_eq!((registry.values::<u8>("workers").len(), registry.count("workers")), (0, 0));
    let one = registry.add("workers", 1_u8);
    let text = registry.add("workers", "text");
    let two = registry.add("workers", 2_u8);
    let again = registry.add("workers", 1_u8);
    let other = registry.add("others", 9_u8);

    let values = |key| registry.values::<u8>(key).iter().map(|value| **value).collect::<Vec<_>>();
    assert_eq!(values("workers"), [1, 2, 1]);
    assert_eq!(*registry.values::<&str>("workers")[0], "text");
    assert_eq!((registry.count("workers"), registry.count("others")), (4, 1));
    assert_eq!((one.key(), **two, other.key()), ("workers", 2, "others"));

    drop(one);
    assert_eq!(values("workers"), [2, 1]);
    drop((two, text, again));
    assert_eq!((values("workers"), registry.count("workers")), (vec![], 0));
    assert_eq!(values("others"), [9]);
    // A name is no key.
    assert!(!registry.contains("others"));
    // Nothing is left of a key that has no values.
    assert!(!format!("{registry:?}").contains("workers"), "{registry:?}");
}

/// KV.4: put, get, a default, removal; and what was put first stays, if asked for that.
#[test]
fn a_domain_keeps_values() {
    let billing = billing();
    assert_eq!((billing.get::<u32>("rate"), billing.contains("rate")), (None, false));
    assert_eq!(*billing.get_or("rate", 7_u32), 7);
    assert!(!billing.contains("rate"));

    assert!(billing.put_new("rate", 19_u32));
    assert!(!billing.put_new("rate", 20_u32));
    assert!(!billing.put_new("rate", "of another type"));
    assert_eq!(*billing.get_or("rate", 7_u32), 19);
    assert_eq!(billing.put("rate", 21_u32).as_deref(), Some(&19));
    assert_eq!(billing.put("rate", "high"), None);
    assert_eq!((billing.get::<u32>("rate"), billing.get("rate").as_deref()), (None, Some(&"high")));
    assert_eq!(*billing.get_or("rate", 7_u32), 7);

    assert!(billing.remove("rate"));
    assert!(!billing.remove("rate"));
    assert!(!billing.contains("rate"));
}

/// KV.4: a domain is one room, by whatever handle, and no other.
#[test]
fn domains_are_apart() {
    let registry = Registry::default();
    registry.domain("billing").put("rate", 1_u8);
    registry.domain("storage").put("rate", 2_u8);
    let again = registry.clone().domain(String::from("billing"));
    assert_eq!(again.name(), "billing");
    assert_eq!(again.get::<u8>("rate").as_deref(), Some(&1));
    assert!(again.remove("rate"));
    assert!(!format!("{registry:?}").contains("billing"), "{registry:?}");
    assert!(registry.domain("storage").contains("rate"));
    assert!(!Registry::default().domain("storage").contains("rate"));

    assert!(format!("{registry:?}").contains(r#""storage": {"rate""#), "{registry:?}");
    registry.clear();
    assert!(!registry.domain("storage").contains("rate"));
}

/// KV.4: an increment needs a number to begin with, and room for the sum.
#[test]
fn increments() {
    let billing = billing();
    let error = billing.increment("hits", 1).unwrap_err();
    assert_eq!(error, ValueError::Missing { domain: "billing".into(), key: "hits".into() });
    assert_eq!(
        error.to_string(),
        "`hits` in `billing` has no value: put one there first, for example with `put_new(..)` \
         where the service starts"
    );
    assert!(!billing.contains("hits"));

    billing.put("hits", 40_i64);
    assert_eq!((billing.increment("hits", 5), billing.increment("hits", -3)), (Ok(45), Ok(42)));
    assert_eq!(billing.get::<i64>("hits").as_deref(), Some(&42));

    for (value, by) in [(i64::MAX, 1), (i64::MIN, -1), (-2, i64::MIN)] {
        billing.put("hits", value);
        let error = billing.increment("hits", by).unwrap_err();
        assert!(matches!(error, ValueError::Overflow { .. }), "{error}");
        assert!(
            error.to_string().ends_with(&format!("adding {by} to it is too much for an `i64`"))
        );
        assert_eq!(billing.get::<i64>("hits").as_deref(), Some(&value));
    }

    billing.put("hits", 0);
    assert_eq!(
        billing.increment("hits", 1).unwrap_err().to_string(),
        "`hits` in `billing` is of the type `i32`, where `i64` was expected"
    );
    assert_eq!(billing.get::<i32>("hits").as_deref(), Some(&0));
}

/// KV.4: an update that panics, or finds nothing it could change, changes nothing.
#[test]
fn updates() {
    let billing = billing();
    let push = |to: u8| billing.update("list", move |list: &mut Vec<u8>| list.push(to));
    assert!(matches!(push(1), Err(ValueError::Missing { .. })));
    billing.put("list", vec![7_u8]);
    assert_eq!((push(1), push(2)), (Ok(()), Ok(())));
    assert_eq!(*billing.get::<Vec<u8>>("list").unwrap(), [7, 1, 2]);
    assert_eq!(billing.update("list", |list: &mut Vec<u8>| list.pop()), Ok(Some(2)));

    let before = billing.get::<Vec<u8>>("list").unwrap();
    let error = billing.update("list", |list: &mut Vec<u8>| {
        list.clear();
        panic!("no {}", "paper");
    });
    let error: ValueError = error.unwrap_err();
    assert_eq!(error.to_string(), "the update of `list` in `billing` panicked: no paper");
    assert!(Arc::ptr_eq(&before, &billing.get("list").unwrap()));

    let error = billing.update("list", |_: &mut Vec<u16>| unreachable!()).unwrap_err();
    assert!(matches!(error, ValueError::WrongType { .. }), "{error}");
    assert!(Arc::ptr_eq(&before, &billing.get("list").unwrap()));
    // Neither is in the way of the next.
    assert_eq!(push(3), Ok(()));
}

/// KV.4: a list without equals, the newest in front; what is no list stays what it is.
#[test]
fn lists_without_equals() {
    let billing = billing();
    let list = || billing.get::<Vec<&str>>("countries").unwrap();
    assert_eq!(billing.insert_unique("countries", "de"), Ok(true));
    assert_eq!(billing.insert_unique("countries", "fr"), Ok(true));
    let before = list();
    assert_eq!(billing.insert_unique("countries", "de"), Ok(false));
    assert!(Arc::ptr_eq(&before, &list()));
    assert_eq!(billing.insert_unique("countries", "es"), Ok(true));
    assert_eq!(*list(), ["es", "fr", "de"]);

    billing.put("countries", "all");
    let error = billing.insert_unique("countries", "de").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`countries` in `billing` is of the type `&str`, where `alloc::vec::Vec<&str>` was expected"
    );
    assert_eq!(billing.get::<&str>("countries").as_deref(), Some(&"all"));
}

/// Code of the application that `insert_unique` runs may panic like that of an update.
#[test]
fn a_comparison_may_panic() {
    #[derive(Clone, Debug)]
    struct Odd(bool);
    impl PartialEq for Odd {
        fn eq(&self, other: &Self) -> bool {
            assert!(!self.0 && !other.0, "not comparable");
            false
        }
    }
    let billing = billing();
    assert_eq!(billing.insert_unique("odd", Odd(false)), Ok(true));
    let error = billing.insert_unique("odd", Odd(true)).unwrap_err();
    assert!(matches!(error, ValueError::Panicked { .. }), "{error}");
    assert_eq!(billing.insert_unique("odd", Odd(false)), Ok(true));
    assert_eq!(billing.get::<Vec<Odd>>("odd").unwrap().len(), 2);
}

/// Updates do not wait for each other, whatever they do inside.
#[test]
fn an_update_is_no_place_for_another() {
    let registry = Registry::default();
    let (billing, storage) = (registry.domain("billing"), registry.domain("storage"));
    for domain in [&billing, &storage] {
        domain.put("rate", 1_i64);
    }
    let elsewhere = Registry::default().domain("billing");
    elsewhere.put("rate", 1_i64);
    billing
        .update("rate", |rate: &mut i64| {
            *rate = 2;
            // What reads is free, and sees the value from before.
            assert_eq!(billing.get::<i64>("rate").as_deref(), Some(&1));
            for domain in [&billing, &storage, &elsewhere] {
                let update = domain.update("rate", |_: &mut i64| unreachable!());
                let insert = domain.insert_unique("list", 1_u8);
                for error in [update, insert.map(drop), domain.increment("rate", 1).map(drop)] {
                    assert!(matches!(error, Err(ValueError::Nested { .. })), "{error:?}");
                }
            }
            assert!(!billing.put_new("rate", 5_i64));
            storage.put("rate", 3_i64);
        })
        .unwrap();
    assert_eq!(billing.get::<i64>("rate").as_deref(), Some(&2));
    assert_eq!(storage.increment("rate", 1), Ok(4));
    assert_eq!(elsewhere.increment("rate", 1), Ok(2));
}

#[test]
fn an_update_that_is_overtaken_changes_nothing() {
    let registry = Registry::default();
    let billing = registry.domain("billing");
    let overtaken = |by: &dyn Fn()| {
        billing.put("rate", 1_i64);
        billing.update("rate", |rate: &mut i64| {
            by();
            *rate = 2;
        })
    };
    let rate = || billing.get::<i64>("rate").as_deref().copied();
    let error = ValueError::Overtaken { domain: "billing".into(), key: "rate".into() };

    assert_eq!(overtaken(&|| drop(billing.put("rate", 3_i64))), Err(error.clone()));
    assert_eq!(rate(), Some(3));
    assert_eq!(overtaken(&|| assert!(billing.remove("rate"))), Err(error.clone()));
    assert_eq!(rate(), None);
    // Though the value looks as if nothing had been.
    let renew = || assert!(billing.remove("rate") && billing.put_new("rate", 1_i64));
    assert_eq!(overtaken(&renew), Err(error.clone()));
    assert_eq!(rate(), Some(1));
    assert_eq!(overtaken(&|| registry.clear()), Err(error));
    assert_eq!(rate(), None);
    // What is overtaken leaves no turn behind.
    billing.put("rate", 5_i64);
    assert_eq!(billing.increment("rate", 1), Ok(6));
}

/// A value that does all sorts of things here when it is dropped, and notes whether it was inside
/// an update.
#[derive(Clone)]
struct Curious {
    registry: Registry,
    drops: Arc<Mutex<Vec<&'static str>>>,
}

impl Drop for Curious {
    fn drop(&mut self) {
        let domain = self.registry.domain("of the curious");
        assert!(!self.registry.contains("name") && self.registry.count("key") == 0);
        let guards = (self.registry.register("name", ()), self.registry.add("key", ()));
        assert!(guards.0.is_ok() && format!("{:?}", self.registry).contains("name"));
        domain.put("value", 1_i64);
        let changed = [
            domain.update("value", |value: &mut i64| *value += 1).map(|()| 2),
            domain.increment("value", 1),
        ];
        assert!(domain.remove("value"));
        self.drops.lock().unwrap().push(match changed {
            [Ok(2), Ok(3)] => "outside",
            [Err(ValueError::Nested { .. }), Err(ValueError::Nested { .. })] => "inside",
            _ => panic!("{changed:?}"),
        });
    }
}

#[test]
fn a_value_may_look_and_write_here_when_it_goes() {
    threads::in_time(|| {
        let registry = Registry::default();
        let drops = Arc::default();
        let curious = || Curious { registry: registry.clone(), drops: Arc::clone(&drops) };
        let gone = || std::mem::take(&mut *drops.lock().unwrap());

        drop(registry.register("name", curious()).unwrap());
        drop(registry.add("key", curious()));
        assert_eq!(gone(), ["outside"; 2]);

        let guard = registry.register("taken", ()).unwrap();
        assert!(registry.register("taken", curious()).is_err());
        drop(guard);
        assert_eq!(gone(), ["outside"]);

        let billing = registry.domain("billing");
        billing.put("value", curious());
        assert!(billing.put("value", curious()).is_some());
        assert!(billing.put("value", ()).is_none());
        billing.put("value", curious());
        assert!(!billing.put_new("value", curious()));
        assert_eq!(gone(), ["outside"; 3]);

        // The clone goes while the update changes it, the value of before after that.
        billing.update("value", |value: &mut Curious| *value = curious()).unwrap();
        assert_eq!(gone(), ["inside", "outside"]);
        assert!(billing.update("value", |_: &mut Curious| panic!("on purpose")).is_err());
        assert_eq!(gone(), ["inside"]);
        let overtaken = billing.update("value", |_: &mut Curious| drop(billing.put("value", ())));
        assert!(matches!(overtaken, Err(ValueError::Overtaken { .. })));
        assert_eq!(gone(), ["outside"; 2]);
        // Overtaken, and panicked.
        billing.put("value", curious());
        let panicked = billing.update("value", |_: &mut Curious| {
            billing.remove("value");
            panic!("on purpose");
        });
        let _: ValueError = panicked.unwrap_err();
        assert_eq!(gone(), ["inside", "outside"]);

        billing.put("value", curious());
        assert!(billing.remove("value"));
        billing.put("value", curious());
        registry.clear();
        assert_eq!(gone(), ["outside"; 2]);
    });
}
