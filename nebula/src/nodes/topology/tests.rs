use proptest::prelude::*;

use super::*;
use crate::nodes::{node, parse, tag};

/// T4 of the conformance list.
fn four() -> Topology {
    Topology::from_toml(
        r#"
        [nodes]
        "nebula@host1" = ["db"]
        "storage@host2" = "storage"
        "search@host3" = ["db", "search"]
        "full@host4" = ["db", "storage", "search"]
        "#,
    )
    .unwrap()
}

fn configured(selector: &str) -> Vec<String> {
    let selector = parse(selector).unwrap();
    four().configured(&selector).into_iter().map(|name| name.replace("@host", "")).collect()
}

fn refused(text: &str) -> String {
    Topology::from_toml(text).unwrap_err().to_string()
}

/// The filters of the list, written as selectors. Nodes come in the order of their names, where the
/// list has that of their declaration.
#[test]
fn filters_as_the_conformance_list_says() {
    for (cases, selector, expected) in [
        ("CFG-01 CFG-08 CFG-14 CFG-19", "*", "full4 nebula1 search3 storage2"),
        ("CFG-02", "&db", "full4 nebula1 search3"),
        ("CFG-03", "&db &search", "full4 search3"),
        ("CFG-04", "&db &storage &search", "full4"),
        ("CFG-06", "&storage", "full4 storage2"),
        ("CFG-07", "&unheard", ""),
        ("CFG-09", "!&db", "storage2"),
        ("CFG-10", "!&search", "nebula1 storage2"),
        ("CFG-12", "!&db !&storage", ""),
        ("CFG-15", r#"@"search@host3""#, "search3"),
        ("CFG-16", "@search", "search3"),
        // The list joins names by `or`. Here all clauses side by side must hold, and `|` is or.
        ("CFG-17", "@search | @full", "full4 search3"),
        ("CFG-17", "@search @full", ""),
        ("CFG-18", r#"@search | @"full@host4""#, "full4 search3"),
        ("CFG-20", r#"!@"nebula@host1""#, "full4 search3 storage2"),
        ("CFG-21", "!@nebula", "full4 search3 storage2"),
        ("CFG-23", r#"!@nebula !@"storage@host2""#, "full4 search3"),
        ("", "!@unheard", "full4 nebula1 search3 storage2"),
    ] {
        assert_eq!(configured(selector).join(" "), expected, "{cases}: {selector}");
    }
    // CFG-05
    let none = Topology::new();
    assert!(none.configured(&Selector::any()).is_empty());
    assert!(none.configured(&tag("db")).is_empty());
}

/// CFG-24
#[test]
fn known_selectors_pass_the_check() {
    for selector in ["&db", "@nebula", r#"@"nebula@host1""#, "*", "!&search", "!@nebula &db"] {
        assert_eq!(four().check(&parse(selector).unwrap()), Ok(()), "{selector}");
    }
}

/// CFG-25: unknown, each as wanted and as excluded.
#[test]
fn what_is_unknown_is_refused_wherever_it_is_mentioned() {
    for selector in ["&x", "!&x", "&db !&x", "&db | &x", "!(&db &x)"] {
        let refused = four().check(&parse(selector).unwrap()).unwrap_err();
        let UnknownInSelector::Tag { tag, .. } = refused else { panic!("{selector}: {refused}") };
        assert_eq!(tag, "x");
    }
    for selector in ["@x", "!@x", "&db !@x", r#"@"nebula@x""#, r#"@db | @"nebula@x""#] {
        let refused = four().check(&parse(selector).unwrap()).unwrap_err();
        assert!(matches!(refused, UnknownInSelector::Node { .. }), "{selector}: {refused}");
    }
}

/// CFG-28, and other ways to mean nobody.
#[test]
fn known_clauses_that_together_mean_nobody_are_refused() {
    for selector in ["&db !&db", "@search @full", "@nebula &search", "!&db !&storage", "!*"] {
        let refused = four().check(&parse(selector).unwrap());
        assert_eq!(refused, Err(UnknownInSelector::NoMatch { selector: selector.into() }));
    }
    assert_eq!(four().check(&parse("&db !&db | &storage").unwrap()), Ok(()));
}

#[test]
fn unknown_names_and_tags_are_told_with_what_may_have_been_meant() {
    let told = |selector: &str| four().check(&parse(selector).unwrap()).unwrap_err().to_string();
    let tags = "(tags: `db`, `search`, `storage`)";
    let nodes = "(nodes: `full@host4`, `nebula@host1`, `search@host3`, `storage@host2`)";
    let expected =
        format!("no configured node has the tag `serach`, did you mean `search`? {tags}");
    assert_eq!(told("&db &serach"), expected);
    assert_eq!(told("!&cache"), format!("no configured node has the tag `cache` {tags}"));
    let expected = format!("no configured node is called `nebul`, did you mean `nebula`? {nodes}");
    assert_eq!(told("&db !@nebul"), expected);
    let expected =
        format!("no configured node is called `full@host9`, did you mean `full@host4`? {nodes}");
    assert_eq!(told(r#"@"full@host9""#), expected);
    assert_eq!(told("&db !&db"), "no configured node matches `&db !&db`");

    let told = Topology::new().check(&tag("db")).unwrap_err().to_string();
    assert_eq!(told, "no configured node has the tag `db` (tags: none are configured)");
    assert!(matches!(Topology::new().check(&node("a")), Err(UnknownInSelector::Node { .. })));
}

#[test]
fn several_nodes_may_share_a_short_name() {
    let two = Topology::new().node("db@h1", ["a"]).and_then(|t| t.node("db@h2", ["a"])).unwrap();
    assert_eq!(two.configured(&node("db")), ["db@h1", "db@h2"]);
    assert_eq!(two.check(&node("db")), Ok(()));
    assert_eq!((two.len(), two.is_empty()), (2, false));
    assert!(two.contains("db@h1") && !two.contains("db"));
    assert!(two.tags_of("db@h2").unwrap().contains("a") && two.tags_of("db").is_none());
    assert_eq!(two.names().collect::<Vec<_>>(), ["db@h1", "db@h2"]);
}

/// CFG-26: a tag is a string here, and so is a list of one; anything else is refused.
#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    let why = "white space, quotes, hidden characters and any of `&|!@(),;` are kept out";
    let tags = "must be a string or a list of strings, not";
    for (text, expected) in [
        ("[nodes]\n\"a\" = 3", format!("line 2: the tags of `a` {tags} integer")),
        ("[nodes]\n\n\"a@h\" = [\"x\", 1.5]", format!("line 3: the tags of `a@h` {tags} float")),
        ("[nodes]\na = {x = 1}", format!("line 2: the tags of `a` {tags} table")),
        ("[nodes]\na.b = \"x\"", format!("line 2: the tags of `a` {tags} table")),
        (
            "[nodes]\na = 'x'\n[node]\nb = 'x'",
            "line 3: the key `node` is not known: the nodes are in the table `[nodes]`".into(),
        ),
        (
            "nodes = 3",
            "line 1: `nodes` must be a table with a line for each node, such as \
             `\"db-1@h1\" = [\"db\"]`"
                .into(),
        ),
        ("[nodes]\n'a b' = 'x'", format!("line 2: a node cannot be called `a b`: {why}")),
        (
            "[nodes]\n'a@b@c' = 'x'",
            "line 2: a node cannot be called `a@b@c`: it has more than one `@`".into(),
        ),
        (
            "[nodes]\n'@h' = 'x'",
            "line 2: a node cannot be called `@h`: a part of it is empty".into(),
        ),
        (
            "[nodes]\na = ['x', '']",
            "line 2: the node `a` cannot have the tag ``: a part of it is empty".into(),
        ),
        ("[nodes]\na = '&x'", format!("line 2: the node `a` cannot have the tag `&x`: {why}")),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

/// The limits are those of the names and tags of running nodes.
#[test]
fn names_and_tags_have_limits() {
    let name = |bytes: usize| Topology::new().node("n".repeat(bytes), ["db"]);
    assert_eq!(name(255).unwrap().len(), 1);
    let told = name(256).unwrap_err().to_string();
    assert!(told.ends_with("`: it is longer than 255 bytes"), "{told}");

    let tag = |bytes: usize| Topology::new().node("db", ["é".repeat(bytes / 2)]);
    assert_eq!(tag(64).unwrap().len(), 1);
    let told = tag(66).unwrap_err().to_string();
    assert!(told.ends_with("`: it is longer than 64 bytes"), "{told}");
    let told = refused(&format!("[nodes]\n\na = '{}'", "x".repeat(65)));
    assert!(told.starts_with("line 3: the node `a` cannot have the tag `xx"), "{told}");

    let tags = |count: usize| Topology::new().node("db", (0..count).map(|i| i.to_string()));
    assert_eq!(tags(64).unwrap().tags_of("db").unwrap().len(), 64);
    let told = tags(65).unwrap_err().to_string();
    assert_eq!(told, "the node `db` has 65 tags, and a node has at most 64");
    // The same one twice is one.
    assert!(Topology::new().node("db", ["x"; 65]).is_ok());
}

#[test]
fn a_node_that_is_there_twice_is_refused() {
    let twice = Topology::new().node("a@h", ["x"]).unwrap().node("a@h", ["y"]).unwrap_err();
    assert_eq!(twice.to_string(), "the node `a@h` is declared twice");
    let told = refused("[nodes]\n\"a@h\" = \"x\"\nb = []\n'a@h' = 'y'");
    assert!(told.starts_with("line 4: duplicate key") && told.contains("a@h"), "{told}");
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    let told = refused("[nodes]\na = \n");
    assert!(told.starts_with("line 2: "), "{told}");
    assert!(refused("[nodes\n").starts_with("line 1: "));
    let large = format!("[nodes]\n#{}", "x".repeat(MAX_FILE as usize));
    assert_eq!(refused(&large), "the configuration of the nodes may be 1 MiB at most");
}

#[test]
fn no_nodes_are_no_error() {
    assert_eq!(Topology::from_toml("").unwrap(), Topology::new());
    assert_eq!(Topology::from_toml("[nodes]").unwrap(), Topology::new());
    let tagless = Topology::from_toml("[nodes]\na = []").unwrap();
    assert_eq!(tagless, Topology::new().node("a", [""; 0]).unwrap());
}

#[test]
fn a_file_is_read_and_named_in_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nodes.toml");
    let told = Topology::from_file(&path).unwrap_err().to_string();
    assert!(told.starts_with(&format!("`{}` cannot be read: ", path.display())), "{told}");
    std::fs::write(&path, "[nodes]\na = 'x'").unwrap();
    assert_eq!(Topology::from_file(&path).unwrap(), Topology::new().node("a", ["x"]).unwrap());
    std::fs::write(&path, "[nodes]\na = 3").unwrap();
    let told = Topology::from_file(&path).unwrap_err().to_string();
    assert!(told.starts_with(&format!("`{}`, line 2: the tags of `a`", path.display())), "{told}");
}

#[test]
fn the_hash_is_the_same_over_releases() {
    // FNV-1a itself: the offset basis is the hash of nothing.
    assert_eq!(Topology::new().hash().to_string(), "cbf29ce484222325");
    let one = Topology::new().node("a@h", ["x", "y"]).unwrap();
    assert_eq!(one.hash().to_string(), "54668b11122d5576");
}

fn declarations() -> impl Strategy<Value = BTreeMap<String, BTreeSet<String>>> {
    prop::collection::btree_map("[ab]{1,2}", prop::collection::btree_set("[xy]{1,2}", 0..3), 0..4)
}

proptest! {
    #[test]
    fn the_hash_depends_on_the_content_alone(
        nodes in declarations(),
        others in declarations(),
        seed: u64,
    ) {
        use rand::SeedableRng;
        use rand::seq::SliceRandom;

        let build = |nodes: &[(String, BTreeSet<String>)]| {
            let mut nodes = nodes.iter();
            nodes.try_fold(Topology::new(), |all, (name, tags)| all.node(name, tags)).unwrap()
        };
        let mut list: Vec<_> = nodes.clone().into_iter().collect();
        let straight = build(&list);
        list.shuffle(&mut rand::rngs::StdRng::seed_from_u64(seed));
        prop_assert_eq!(build(&list).hash(), straight.hash());
        let other = build(&others.clone().into_iter().collect::<Vec<_>>());
        prop_assert_eq!(other.hash() == straight.hash(), nodes == others);
    }
}
