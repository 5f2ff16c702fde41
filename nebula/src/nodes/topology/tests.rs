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

#[test]
fn filters_as_the_conformance_list_says() {
    for (selector, expected) in [
        ("*", "full4 nebula1 search3 storage2"),
        ("&db", "full4 nebula1 search3"),
        ("&db &search", "full4 search3"),
        ("&db &storage &search", "full4"),
        ("&storage", "full4 storage2"),
        ("&unheard", ""),
        ("!&db", "storage2"),
        ("!&search", "nebula1 storage2"),
        ("!&db !&storage", ""),
        (r#"@"search@host3""#, "search3"),
        ("@search", "search3"),
        (r#"@search | @"full@host4""#, "full4 search3"),
        ("@search @full", ""),
        (r#"!@"nebula@host1""#, "full4 search3 storage2"),
        ("!@nebula", "full4 search3 storage2"),
        (r#"!@nebula !@"storage@host2""#, "full4 search3"),
        ("!@unheard", "full4 nebula1 search3 storage2"),
    ] {
        assert_eq!(configured(selector).join(" "), expected, "{selector}");
    }
    assert!(Topology::new().configured(&Selector::any()).is_empty());
}

#[test]
fn known_selectors_pass_the_check() {
    for selector in ["&db", "@nebula", r#"@"nebula@host1""#, "*", "!&search", "!@nebula &db"] {
        assert_eq!(four().check(&parse(selector).unwrap()), Ok(()), "{selector}");
    }
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
    assert_eq!(told("@nebula &search"), "no configured node matches `@nebula &search`");
    assert_eq!(told("!*"), "no configured node matches `!*`");

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

#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    let why = "white space, quotes, control characters and any of `&|!@()` are kept out";
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
    assert_eq!(Topology::new().hash(), 0xcbf2_9ce4_8422_2325_u64.to_be_bytes());
    let one = Topology::new().node("a@h", ["x", "y"]).unwrap();
    assert_eq!(one.hash(), 0x5466_8b11_122d_5576_u64.to_be_bytes());
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
