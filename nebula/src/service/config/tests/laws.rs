//! What holds of all configurations.

use proptest::prelude::*;
use toml::{Table, Value};

use super::super::node::{Kind, Node};
use super::*;
use crate::service::config::section::Merge;

/// Values with few keys, so that they meet often.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Boolean),
        (0..4_i64).prop_map(Value::Integer),
        "[ab]{0,2}".prop_map(Value::String),
        prop::collection::vec((0..3_i64).prop_map(Value::Integer), 0..3).prop_map(Value::Array),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| table_of(inner).prop_map(Value::Table))
}

fn table_of(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Table> {
    prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(Table::from_iter)
}

fn table() -> impl Strategy<Value = Table> {
    table_of(value())
}

fn node(table: &Table, layer: Layer) -> Node {
    let node = Node::from_value(table.clone().into(), &layer::Origin::whole(layer));
    node.unwrap_or_else(|bound| panic!("{bound:?}"))
}

fn merged(base: &Node, over: &Node) -> Node {
    let mut all = base.clone();
    all.merge(over.clone());
    all
}

/// The merge as it is defined, of plain values.
fn plain(base: &Table, over: &Table) -> Table {
    let mut all = base.clone();
    for (key, value) in over {
        let value = match (all.get(key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => Value::Table(plain(base, over)),
            (_, value) => value.clone(),
        };
        all.insert(key.clone(), value);
    }
    all
}

/// What is no table, by its path.
fn leaves(node: &Node, path: &mut Vec<String>, all: &mut Vec<(Vec<String>, Value, Layer)>) {
    match &node.kind {
        Kind::Table(nodes) => {
            for (name, node) in nodes {
                path.push(name.clone());
                leaves(node, path, all);
                path.pop();
            }
        }
        _ => all.push((path.clone(), node.to_value(), node.origin.layer())),
    }
}

fn at<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (name, rest) = path.split_first()?;
    let value = table.get(name)?;
    match rest {
        [] => Some(value),
        rest => at(value.as_table()?, rest),
    }
}

/// A plugin that takes any table, with or without a merge of its own.
fn free(code: &Table, merge: Option<Merge>) -> (Part, Sections) {
    let part = plugin("free");
    let section = section(&part, code);
    let section = match merge {
        Some(merge) => section.merging(merge),
        None => section,
    };
    (part.clone(), BTreeMap::from([(part, section)]))
}

fn of_plugin(table: &Table) -> Patch {
    let section = Table::from_iter([("free".to_owned(), Value::Table(table.clone()))]);
    Table::from_iter([("plugins".to_owned(), Value::Table(section))]).into()
}

const LAYERS: [Layer; 5] =
    [Layer::Code, Layer::File, Layer::Environment, Layer::Start, Layer::Runtime];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn merging_is_associative(a in table(), b in table(), c in table()) {
        let [a, b, c] = [(a, Layer::Code), (b, Layer::Start), (c, Layer::Runtime)]
            .map(|(table, layer)| node(&table, layer));
        let (left, right) = (merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert!(left.same(&right));
        let (mut one, mut other) = (Vec::new(), Vec::new());
        leaves(&left, &mut Vec::new(), &mut one);
        leaves(&right, &mut Vec::new(), &mut other);
        prop_assert_eq!(one, other);
    }

    #[test]
    fn merging_is_as_defined_and_idempotent(a in table(), b in table()) {
        let (base, over) = (node(&a, Layer::Code), node(&b, Layer::Start));
        let once = merged(&base, &over);
        prop_assert_eq!(once.to_table(), plain(&a, &b));
        prop_assert!(merged(&once, &over).same(&once));
        prop_assert!(merged(&base, &node(&Table::new(), Layer::Start)).same(&base));
    }

    /// Each value is that of the last layer that has one there, and says so.
    #[test]
    fn the_last_layer_wins_and_is_named(tables in prop::collection::vec(table(), 5)) {
        let nodes: Vec<Node> =
            tables.iter().zip(LAYERS).map(|(table, layer)| node(table, layer)).collect();
        let all = nodes.iter().skip(1).fold(nodes[0].clone(), |all, node| merged(&all, node));
        let mut found = Vec::new();
        leaves(&all, &mut Vec::new(), &mut found);
        for (path, value, layer) in found {
            let last = tables.iter().zip(LAYERS).rev().find(|(table, _)| {
                at(table, &path).is_some()
            });
            let (table, last) = last.unwrap();
            prop_assert_eq!(at(table, &path), Some(&value));
            prop_assert_eq!(last, layer, "{:?}", path);
        }
    }

    /// Updates at run time are put over each other, whatever happens to the layers below.
    #[test]
    fn updates_are_kept(code in table(), start in table(), updates in prop::collection::vec(table(), 0..4)) {
        let (part, sections) = free(&code, None);
        let cell = ConfigCell::new(vec![Change::Sections(sections)]).unwrap();
        for update in &updates {
            let given = Given::runtime(of_plugin(update)).unwrap();
            change(&cell, vec![Change::Layer(given)]).unwrap();
        }
        change(&cell, vec![Change::Layer(Given::start(of_plugin(&start)).unwrap())]).unwrap();
        let expected = updates.iter().fold(plain(&code, &start), |all, update| plain(&all, update));
        prop_assert_eq!(cell.table(&part), Some(expected));
    }

    /// Nothing of the update comes on top of what a merge has returned.
    #[test]
    fn a_merge_is_final(code in table(), update in table(), result in table()) {
        let returned = result.clone();
        let merge: Merge = Arc::new(move |_, _| Ok(Some(returned.clone())));
        let (part, sections) = free(&code, Some(merge));
        let cell = ConfigCell::new(vec![
            Change::Sections(sections),
            Change::Layer(Given::start(of_plugin(&update)).unwrap()),
        ]).unwrap();
        prop_assert_eq!(cell.table(&part), Some(result));
    }

    /// What a merge has taken over says where it comes from.
    #[test]
    fn what_is_merged_is_attributed(code in table(), update in table(), result in table()) {
        let (current, update) = (node(&code, Layer::Code), node(&update, Layer::Start));
        let mut made = node(&result, Layer::Runtime);
        made.attribute(Some(&current), Some(&update));
        prop_assert_eq!(made.to_table(), result);
        let mut found = Vec::new();
        leaves(&made, &mut Vec::new(), &mut found);
        for (path, value, layer) in found {
            let has = |node: &Node| at(&node.to_table(), &path) == Some(&value);
            let expected = match (has(&update), has(&current)) {
                (true, _) => Layer::Start,
                (false, true) => Layer::Code,
                (false, false) => Layer::Runtime,
            };
            prop_assert_eq!(layer, expected, "{:?}", path);
        }
    }

    /// Whatever is refused, the configuration is as it was, and takes the next change.
    #[test]
    fn a_refusal_changes_nothing(decimals in 0..=12_u8, bad in 13..400_i64, limit in any::<bool>()) {
        let cell = cell(vec![start(&format!("decimals = {decimals}"))]);
        let before = (store(&cell), cell.table(&plugin("limit")));
        let mut text = format!("label = 'new'\ndecimals = {bad}\n");
        if limit {
            text.push_str("plugins.limit.per_second = 1");
        }
        prop_assert!(change(&cell, vec![runtime(&text)]).is_err());
        prop_assert!(Arc::ptr_eq(&before.0, &store(&cell)));
        prop_assert_eq!(&before.1, &cell.table(&plugin("limit")));
        change(&cell, vec![runtime("pool.max = 9")]).unwrap();
        let expected = Store { decimals, pool: Pool { max: 9, ..Pool::default() }, ..Store::default() };
        prop_assert_eq!(&*store(&cell), &expected);
    }

    /// No variable makes it panic; a string gets each text as it is, but for those in quotes.
    #[test]
    fn variables_never_panic(names in prop::collection::vec("U__[A-C_]{0,6}", 0..4), raw in ".{0,12}|[\\[\\]{}=\"'0-9a.,\\-+: \n]{0,12}") {
        let variables = names.iter().map(|name| (name.into(), raw.clone().into()));
        let _ = Given::environment("U", variables);
        let one = [("U__TEXT".into(), raw.clone().into())];
        let node = environment::parse("U", one).unwrap();
        let read: Result<(BTreeMap<String, String>, _), _> = reader::read(&node, &key::Key::Top);
        let text = read.unwrap().0.remove("text").unwrap();
        let quoted = raw.starts_with(['"', '\'']);
        prop_assert!(text == raw || quoted, "{:?} {:?}", text, raw);
    }

    /// What was written in TOML is read as it was, wherever it comes from.
    #[test]
    fn texts_never_panic(text in "[\\[\\]{}=\"'0-9a-c.,#\n ]{0,40}") {
        let given = Given::file(Path::new("x"), &text);
        prop_assert_eq!(given.is_ok(), text.parse::<Table>().is_ok());
    }
}
