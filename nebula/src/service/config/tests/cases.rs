//! The promises of a configuration, with their numbers in the conformance list (CFG).

use super::*;
use crate::service::config::section::Merge;
use crate::service::config::unused::UnusedKey;

/// CFG-1, CFG-2: the service and its plugins have their own, of one start.
#[test]
fn a_start_is_over_the_code() {
    let cell = cell(vec![start("decimals = 2\n[plugins.limit]\nper_second = 7")]);
    assert_eq!(*store(&cell), Store { decimals: 2, ..Store::default() });
    assert_eq!(limit(&cell), 7);
    assert_eq!(cell.get::<Limit>(&Part::Service), None);
    assert_eq!(cell.get::<Limit>(&plugin("other")), None);
    assert_eq!(cell.table(&plugin("limit")).unwrap()["per_second"].as_integer(), Some(7));
}

/// CFG-5: code < file < environment < start < run time.
#[test]
fn later_layers_win() {
    let all = [
        file("decimals = 1"),
        environment(&[("USERS__DECIMALS", "2")]),
        start("decimals = 3"),
        runtime("decimals = 4"),
    ];
    let cell = cell(vec![]);
    assert_eq!(store(&cell).decimals, 0);
    for (layer, expected) in all.into_iter().zip(1..) {
        change(&cell, vec![layer]).unwrap();
        assert_eq!(store(&cell).decimals, expected);
    }
    // A layer below that speaks again wins over nothing.
    for below in [file("decimals = 9"), start("decimals = 8"), environment(&[])] {
        assert_eq!(change(&cell, vec![below]).unwrap(), []);
        assert_eq!(store(&cell).decimals, 4);
    }
    change(&cell, vec![Change::Reset]).unwrap();
    assert_eq!(store(&cell).decimals, 8);
    change(&cell, vec![start("")]).unwrap();
    assert_eq!(store(&cell).decimals, 9);
}

/// CFG-6: the usual merge is deep.
#[test]
fn tables_are_merged_and_arrays_replaced() {
    let merged = |base: &str, over: &str| {
        let origin = layer::Origin::whole(Layer::Start);
        let node = |text: &str| text::parse(text, &|_| origin.clone()).unwrap();
        let mut all = node(base);
        all.merge(node(over));
        all.to_table()
    };
    let table = |text: &str| text.parse::<toml::Table>().unwrap();
    for (base, over, expected) in [
        ("x = 1\ny.z = 1", "y.w = 2", "x = 1\ny = { z = 1, w = 2 }"),
        ("a = [1, 2]", "a = [3]", "a = [3]"),
        ("a = [{ b = 1 }]", "a = [{ c = 1 }]", "a = [{ c = 1 }]"),
        ("a.b.c.d = 1", "a.b.c.e = 2", "a.b.c = { d = 1, e = 2 }"),
        ("a = 1", "a.b = 1", "a.b = 1"),
        ("a.b = 1", "a = 1", "a = 1"),
        ("a = 1", "", "a = 1"),
    ] {
        assert_eq!(merged(base, over), table(expected), "{base} / {over}");
    }
}

/// A table that was put in the place of something else at run time stays without what is below.
#[test]
fn updates_add_up_as_they_were_made() {
    let (part, texts) = (plugin("free"), ["a = 1", "a = {}", "a.c = 1"]);
    let code: toml::Table = "a.b = 1".parse().unwrap();
    let sections = BTreeMap::from([(part.clone(), section(&part, &code))]);
    let cell = ConfigCell::new(vec![Change::Sections(sections)]).unwrap();
    for text in texts {
        change(&cell, vec![runtime(&format!("plugins.free.{text}"))]).unwrap();
    }
    assert_eq!(cell.table(&part), Some("a.c = 1".parse().unwrap()));
}

/// A plugin whose updates are added to what is there, if there is a `+` in them.
fn adding() -> Sections {
    let part = plugin("sum");
    let merge: Merge = Arc::new(|current, update| {
        if update.contains_key("refused") {
            return Err("not today".to_owned());
        }
        let Some(plus) = update.get("plus").and_then(toml::Value::as_integer) else {
            return Ok(None);
        };
        let mut merged = current.clone();
        let sum = merged["sum"].as_integer().unwrap() + plus;
        merged.insert("sum".into(), sum.into());
        Ok(Some(merged))
    });
    let section = section(&part, &toml::Table::from_iter([("sum".to_owned(), 1.into())]));
    BTreeMap::from([(part, section.merging(merge))])
}

fn sum(cell: &ConfigCell) -> i64 {
    cell.table(&plugin("sum")).unwrap()["sum"].as_integer().unwrap()
}

/// CFG-8: once for each layer, and at run time once for each update. What a merge returns is not
/// merged again: `plus` is not in it.
#[test]
fn a_plugins_own_merge_runs_for_each_layer_and_is_final() {
    let cell = ConfigCell::new(vec![
        Change::Sections(adding()),
        file("plugins.sum.plus = 10"),
        start("plugins.sum.plus = 100"),
    ])
    .unwrap();
    assert_eq!(sum(&cell), 111);
    assert_eq!(cell.table(&plugin("sum")).unwrap().len(), 1);
    change(&cell, vec![runtime("plugins.sum.plus = 1000")]).unwrap();
    change(&cell, vec![runtime("plugins.sum.plus = 1000")]).unwrap();
    assert_eq!(sum(&cell), 2111);
    // Below what was said at run time.
    change(&cell, vec![file("plugins.sum.plus = 20")]).unwrap();
    assert_eq!(sum(&cell), 2121);
    change(&cell, vec![runtime("plugins.sum.sum = 5")]).unwrap();
    assert_eq!(sum(&cell), 5);
    change(&cell, vec![runtime("plugins.sum.plus = 1")]).unwrap();
    assert_eq!(sum(&cell), 6);
    change(&cell, vec![Change::Reset]).unwrap();
    assert_eq!(sum(&cell), 121);
}

/// Updates that are not kept apart any more still count, until they are forgotten.
#[test]
fn there_may_be_any_number_of_updates_with_a_merge() {
    let cell = ConfigCell::new(vec![Change::Sections(adding())]).unwrap();
    let note: String = (0..300).map(|key| format!("plugins.sum.k{key} = 1\n")).collect();
    for times in 1..=200 {
        let patch = format!("plugins.sum.plus = 1\n{}", if times > 100 { &note } else { "" });
        change(&cell, vec![runtime(&patch)]).unwrap();
        assert_eq!(sum(&cell), 1 + times);
    }
    // Of another section in its place it is said as well.
    change(&cell, vec![Change::Sections(adding())]).unwrap();
    assert_eq!(sum(&cell), 201);
    change(&cell, vec![Change::Reset]).unwrap();
    assert_eq!(sum(&cell), 1);
}

/// CFG-9: the refusal of a merge is returned, and nothing has changed.
#[test]
fn a_merge_that_refuses_changes_nothing() {
    let cell = ConfigCell::new(vec![Change::Sections(adding())]).unwrap();
    let refused = change(&cell, vec![runtime("plugins.sum.refused = 1")]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the plugin `sum` does not take what is in an update at run time, line 1: not today"
    );
    assert_eq!(sum(&cell), 1);
    change(&cell, vec![runtime("plugins.sum.plus = 1")]).unwrap();
    assert_eq!(sum(&cell), 2);
}

/// CFG-10: keys that name the service are refused by name, in each layer.
#[test]
fn reserved_keys_are_refused_by_name() {
    for key in ["class", "name", "paused", "silent", "version"] {
        let text = format!("a = 1\n{key} = 'x'");
        let variable = format!("USERS__{}", key.to_uppercase());
        let variables = owned(&[(&variable, "x")]);
        for (refused, place) in [
            (Given::file(Path::new("u.toml"), &text), "in the file `u.toml`, line 2"),
            (Given::start(text.as_str().into()), "in what was given at the start, line 2"),
            (Given::runtime(text.as_str().into()), "in an update at run time, line 2"),
            (Given::environment("USERS", variables), &format!("in the environment ({variable})")),
        ] {
            let refused = refused.err().unwrap();
            assert_eq!(
                refused.to_string(),
                format!(
                    "`{key}` {place} cannot be configured: that is said in the code, where the \
                     service is built"
                )
            );
            assert_eq!(refused.key(), Some(key));
        }
        // Further down, and of plugins, it is a key like any other.
        assert!(Given::start(format!("a.{key} = 1\nplugins.p.{key} = 1").into()).is_ok());
    }
    for (text, expected) in [
        ("plugins = ['limit']", "`plugins` is an array of length 1 in what was given at the start"),
        ("plugins.limit = 5", "`plugins.limit` is 5 in what was given at the start, line 1"),
    ] {
        let told = Given::start(text.into()).err().unwrap().to_string();
        assert!(told.starts_with(expected), "{told}");
    }
}

/// A key that no layer may give is no key of a service's configuration either.
#[test]
fn reserved_keys_are_no_fields_of_a_service() {
    for key in ["class", "name", "paused", "plugins", "silent", "version"] {
        let mine = toml::Table::from_iter([(key.to_owned(), 1.into())]);
        let refused = Section::new(&Part::Service, &mine, None).err().unwrap();
        assert_eq!(
            refused.to_string(),
            format!(
                "`{key}` in the code cannot be configured: no layer could give this field, since \
                 its key is kept for the service itself; call it otherwise, or give it another key \
                 with `#[serde(rename = \"..\")]`"
            )
        );
        assert_eq!((refused.key(), refused.layer()), (Some(key), Some(Layer::Code)));
        // Of a plugin it is a key like any other.
        assert!(Section::new(&Part::Plugin("limit".into()), &mine, None).is_ok());
    }
}

/// CFG-11: the plan names the sections that are affected, and no others.
#[test]
fn a_plan_names_who_is_affected() {
    let cell = cell(vec![]);
    let affected = |text: &str| cell.plan(vec![runtime(text)]).unwrap().changed().to_vec();
    assert_eq!(affected("decimals = 1"), [Part::Service]);
    assert_eq!(affected("plugins.limit.per_second = 1"), [plugin("limit")]);
    assert_eq!(
        affected("decimals = 1\nplugins.limit.per_second = 1"),
        [Part::Service, plugin("limit")]
    );
    // Said, but nothing new.
    assert_eq!(affected("decimals = 0\nplugins.limit.per_second = 100"), []);
    assert_eq!(affected(""), []);

    let planned = cell.plan(vec![runtime("plugins.limit.per_second = 1")]).unwrap();
    let limits = [planned.before(&plugin("limit")), planned.after(&plugin("limit"))];
    let limits = limits.map(|value| value.unwrap().downcast_ref::<Limit>().unwrap().per_second);
    assert_eq!(limits, [100, 1]);
    assert_eq!(limit(&cell), 100);
    // Who is not affected keeps the very same value.
    let before = store(&cell);
    cell.commit(planned).unwrap();
    assert!(Arc::ptr_eq(&before, &store(&cell)));
}

/// CFG-13: what was committed is taken back when those that were told do not take it.
#[tokio::test]
async fn a_change_is_taken_back() {
    let cell = cell(vec![start("decimals = 3")]);
    let before = store(&cell);
    let mut watched = cell.watch::<Store>(&Part::Service).unwrap();
    let committed = cell.commit(cell.plan(vec![runtime("decimals = 4")]).unwrap()).unwrap();
    assert_eq!(watched.changed().await.unwrap().decimals, 4);
    cell.roll_back(committed).unwrap();
    assert!(Arc::ptr_eq(&before, &store(&cell)));
    assert_eq!(watched.changed().await.unwrap().decimals, 3);
    // The update is forgotten, too.
    change(&cell, vec![runtime("label = 'x'")]).unwrap();
    assert_eq!(store(&cell).decimals, 3);

    let committed = cell.commit(cell.plan(vec![runtime("decimals = 4")]).unwrap()).unwrap();
    change(&cell, vec![runtime("decimals = 5")]).unwrap();
    assert!(matches!(cell.roll_back(committed), Err(ConfigError::Stale)));
    assert_eq!(store(&cell).decimals, 5);
}

/// CFG-14: who has a watch sees a change at once, and is woken by it.
#[tokio::test]
async fn a_change_is_seen_while_the_service_runs() {
    let cell = cell(vec![]);
    let mut watched = cell.watch::<Store>(&Part::Service).unwrap();
    assert!(cell.watch::<Limit>(&Part::Service).is_none());
    assert_eq!(watched.current().decimals, 0);
    change(&cell, vec![runtime("decimals = 4")]).unwrap();
    assert_eq!(watched.current().decimals, 4);
    assert_eq!(watched.changed().await.unwrap().decimals, 4);

    // The section of another wakes nobody, nor does what changes nothing.
    change(&cell, vec![runtime("plugins.limit.per_second = 1")]).unwrap();
    change(&cell, vec![runtime("decimals = 4")]).unwrap();
    {
        let mut waiting = std::pin::pin!(watched.changed());
        let polled =
            std::future::poll_fn(|task| std::task::Poll::Ready(waiting.as_mut().poll(task)));
        assert!(polled.await.is_pending());
    }
    // Of several changes the last, and nothing is lost by the wait that was given up above.
    change(&cell, vec![runtime("decimals = 5")]).unwrap();
    change(&cell, vec![runtime("decimals = 6")]).unwrap();
    let mut other = watched.clone();
    assert_eq!(watched.changed().await.unwrap().decimals, 6);
    change(&cell, vec![runtime("decimals = 7")]).unwrap();
    drop(cell);
    assert_eq!(watched.changed().await.unwrap().decimals, 7);
    assert!(watched.changed().await.is_none());
    assert_eq!(watched.current().decimals, 7);
    assert_eq!(other.changed().await.unwrap().decimals, 7);
}

#[tokio::test]
async fn a_waiter_is_woken() {
    let cell = cell(vec![]);
    let mut watched = cell.watch::<Limit>(&plugin("limit")).unwrap();
    let change = async {
        tokio::task::yield_now().await;
        change(&cell, vec![runtime("plugins.limit.per_second = 5")]).unwrap();
    };
    let (seen, ()) = tokio::join!(watched.changed(), change);
    assert_eq!(seen.unwrap().per_second, 5);
}

/// Of two plans from one state only the first is taken.
#[test]
fn a_plan_whose_ground_has_shifted_is_refused() {
    let cell = cell(vec![]);
    let (one, two) = (
        cell.plan(vec![runtime("decimals = 1")]).unwrap(),
        cell.plan(vec![runtime("decimals = 2\nplugins.limit.per_second = 2")]).unwrap(),
    );
    cell.commit(one).unwrap();
    assert!(matches!(cell.commit(two), Err(ConfigError::Stale)));
    assert_eq!((store(&cell).decimals, limit(&cell)), (1, 100));
}

#[test]
fn plugins_come_and_go_with_their_sections() {
    let cell = cell(vec![file("[plugins.limit]\nper_second = 5\n[plugins.sum]\nplus = 1")]);
    change(&cell, vec![runtime("plugins.limit.per_second = 6")]).unwrap();
    let mut with_sum = cell.sections();
    with_sum.extend(adding());
    // What a file said of it before it was there counts.
    assert_eq!(change(&cell, vec![Change::Sections(with_sum.clone())]).unwrap(), []);
    assert_eq!((sum(&cell), limit(&cell)), (2, 6));

    let mut without_limit = with_sum.clone();
    without_limit.remove(&plugin("limit"));
    change(&cell, vec![Change::Sections(without_limit)]).unwrap();
    assert_eq!(cell.get::<Limit>(&plugin("limit")), None);
    // It comes back with its file, and without what was said at run time.
    change(&cell, vec![Change::Sections(with_sum)]).unwrap();
    assert_eq!(limit(&cell), 5);

    // A plugin that comes together with an update of it.
    let name = plugin("more");
    let mut more = cell.sections();
    more.insert(name.clone(), section(&name, &Limit { per_second: 1 }));
    let given = Given::plugin(&"more".into(), "per_second = 2".into()).unwrap();
    change(&cell, vec![Change::Sections(more), Change::Layer(given)]).unwrap();
    assert_eq!(cell.get::<Limit>(&name).unwrap().per_second, 2);
}

/// Variables say nothing of case, so a plugin that is called like its type is meant by one of them.
#[test]
fn a_variable_means_a_plugin_in_any_case() {
    let name = plugin("Limit");
    let sections = || BTreeMap::from([(name.clone(), section(&name, &Limit { per_second: 1 }))]);
    let variable = || environment(&[("USERS__PLUGINS__LIMIT__PER_SECOND", "7")]);
    let cell = ConfigCell::new(vec![Change::Sections(sections()), variable()]).unwrap();
    assert_eq!(cell.get::<Limit>(&name).unwrap().per_second, 7);
    assert!(cell.plan(vec![variable()]).unwrap().unused().is_empty());
    // A file says what it means.
    let other = file("[plugins.limit]\nper_second = 9");
    let planned = cell.plan(vec![other]).unwrap();
    assert!(planned.unused()[0].to_string().starts_with("nobody asks for `plugins.limit`"));
    cell.commit(planned).unwrap();
    assert_eq!(cell.get::<Limit>(&name).unwrap().per_second, 7);
}

/// The program itself is told that there is no such plugin; what others may share is not refused.
#[test]
fn what_is_for_an_unknown_plugin_is_refused() {
    let cell = cell(vec![file("plugins.limits.per_second = 5")]);
    let shared = vec![environment(&[("USERS__PLUGINS__LIMITS__PER_SECOND", "7")])];
    change(&cell, shared).unwrap();
    for layer in [start, runtime] {
        let refused = change(&cell, vec![layer("decimals = 3\nplugins.limits = {}")]).unwrap_err();
        assert!(matches!(refused, ConfigError::UnknownPlugin { .. }), "{refused:?}");
        assert_eq!(refused.key(), Some("plugins.limits"));
        assert!(
            refused.to_string().ends_with("did you mean `limit`? (plugins: `limit`)"),
            "{refused}"
        );
        assert_eq!((store(&cell).decimals, limit(&cell)), (0, 100));
    }
    // One that comes with the same change is known.
    let limits = plugin("limits");
    let mut both = cell.sections();
    both.insert(limits.clone(), section(&limits, &Limit { per_second: 1 }));
    let at_once = vec![runtime("plugins.limits.per_second = 9"), Change::Sections(both)];
    change(&cell, at_once).unwrap();
    assert_eq!(cell.get::<Limit>(&limits).unwrap().per_second, 9);
}

/// Keys that nobody asks for are listed once, with the one that may have been meant.
#[test]
fn unused_keys_are_noticed() {
    let cell = cell(vec![file("decimls = 3\n[pool]\nmaxx = 1")]);
    let unused = |changes| {
        let planned = cell.plan(changes).unwrap();
        planned.unused().iter().map(UnusedKey::to_string).collect::<Vec<_>>()
    };
    assert_eq!(unused(vec![runtime("decimals = 1")]), [""; 0]);
    assert_eq!(
        unused(vec![file("a = 1\ndecimls = 3\n[pool]\nmaxx = 1\n[plugins.limits]\nx = 1")]),
        [
            "nobody asks for `a` in the file `users.toml`, line 1",
            "nobody asks for `decimls` in the file `users.toml`, line 2, did you mean `decimals`?",
            "nobody asks for `pool.maxx` in the file `users.toml`, line 4, did you mean `max`?",
            "nobody asks for `plugins.limits` in the file `users.toml`, line 5, did you mean `limit`?",
        ]
    );
    let plain = ConfigCell::new(vec![Change::Sections(adding())]).unwrap();
    let planned = plain.plan(vec![environment(&[("USERS__DECIMALS", "1")])]).unwrap();
    assert_eq!(
        planned.unused()[0].to_string(),
        "nobody asks for `decimals` in the environment (USERS__DECIMALS)"
    );
}
