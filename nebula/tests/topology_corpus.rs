//! The texts on which the reader of `topology!`, in another crate, is tested as well.

use nebula::Topology;

/// `name tag tag`, a line for each node.
fn written(topology: &Topology) -> String {
    let node = |name| {
        let tags = topology.tags_of(name).into_iter().flatten();
        tags.fold(String::from(name), |line, tag| line + " " + tag) + "\n"
    };
    topology.names().map(node).collect()
}

#[test]
fn reads_and_refuses_what_the_macro_does() {
    let all = include_str!("../../macula-macros/testdata/topologies.txt");
    let mut cases = 0;
    for case in all.split("=====\n").skip(1) {
        let (text, outcome) = case.split_once("-----\n").expect(case);
        let found = match Topology::from_toml(text) {
            Ok(topology) => written(&topology),
            Err(error) => format!("refused: {error}\n"),
        };
        assert_eq!(found, outcome, "{text}");
        cases += 1;
    }
    assert!(cases > 20);
}
