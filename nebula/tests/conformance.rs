//! The table in docs/conformance/nebula.md is complete, and each test that it names is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The cases of the table by group, with their numbers: what is missing in between was never one.
const CASES: [(&str, &[u8]); 16] = [
    (
        "CFG",
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 28],
    ),
    ("SEL", &[1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 14]),
    ("DEF", &[1, 2, 3, 4, 5, 7, 8, 9]),
    ("INT", &[1, 2, 3, 4, 5, 6, 7]),
    ("OPT", &[1, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 15, 17, 19, 20]),
    ("BLK", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ("RTE", &[1, 2, 3, 4, 7, 9, 11, 12, 14, 15]),
    ("UNI", &[1, 2, 5]),
    ("MUL", &[2, 3, 4, 5, 6, 7, 9, 11, 13]),
    ("QUO", &[1, 2, 5, 6, 7, 8, 10, 11, 13, 17, 18]),
    ("WRK", &[1, 2, 3, 4, 7, 9, 10]),
    ("HBT", &[1, 2, 5, 7]),
    ("NOD", &[1, 2, 3, 4, 5, 7, 8, 11, 13]),
    ("BOOT", &[1, 2, 4, 6, 7, 8, 9, 10, 11, 12]),
    ("TOOL", &[1, 2, 3, 4, 5]),
    ("MAP", &[1, 2, 3, 4, 5, 7, 8]),
];

/// Where the tests that the table names are looked for.
const ROOTS: [&str; 7] = [
    "nebula/tests",
    "nebula/src",
    "macula/src",
    "macula/tests",
    "macula-macros/src",
    "tests/tests",
    "examples/tests",
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The id of each row, and the row.
fn rows() -> Vec<(String, String)> {
    let text = fs::read_to_string(workspace().join("docs/conformance/nebula.md")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').collect();
        let id = cells.first()?.trim();
        let is_id = id.starts_with(|c: char| c.is_ascii_uppercase())
            && id.ends_with(|c: char| c.is_ascii_digit());
        is_id.then(|| (id.to_owned(), line.to_owned()))
    });
    rows.collect()
}

#[test]
fn every_feature_and_every_case_has_one_row() {
    let mut rows: BTreeMap<String, u32> =
        rows().into_iter().fold(BTreeMap::new(), |mut counts, (id, _)| {
            *counts.entry(id).or_default() += 1;
            counts
        });
    let cases = CASES.iter().flat_map(|(group, numbers)| {
        numbers.iter().map(move |number| format!("{group}-{number:02}"))
    });
    let features = (1..=67).map(|number| format!("F{number}"));
    let pains = (1..=25).map(|number| format!("G{number}"));
    for id in cases.chain(features).chain(pains) {
        assert_eq!(rows.remove(&id), Some(1), "{id} has one row");
    }
    assert!(rows.is_empty(), "rows of nothing that is known: {rows:?}");
}

#[test]
fn every_row_has_a_proof_and_every_test_it_names_is_there() {
    let mut named = 0;
    for (id, proof) in rows() {
        let tests: Vec<_> =
            proof.split('`').skip(1).step_by(2).filter(|code| code.contains(".rs")).collect();
        let reason = ["type: ", "differs: ", "not ours: "].iter().any(|word| proof.contains(word));
        assert!(!tests.is_empty() || reason, "{id} says neither a test nor a reason: {proof}");
        for test in tests {
            named += 1;
            let (file, function) = test.split_once("::").unwrap_or((test, ""));
            let is_there = ROOTS.iter().any(|root| {
                let text = fs::read_to_string(workspace().join(root).join(file));
                let function = format!("fn {function}(");
                text.is_ok_and(|text| !test.contains("::") || text.contains(&function))
            });
            assert!(is_there, "{id}: there is no {test}");
        }
    }
    assert!(named > 100, "only {named} tests are named");
}
