//! The tables in docs/conformance are complete, and each test that they name is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A table: its file, its cases by group, and how many features and complaints it has.
struct Table {
    file: &'static str,
    /// With their numbers: what is missing in between was never one.
    cases: &'static [(&'static str, &'static [u8])],
    features: u8,
    pains: u8,
}

const NEBULA: Table = Table { file: "nebula.md", cases: &NEBULA_CASES, features: 67, pains: 25 };
const MALLA: Table = Table { file: "malla.md", cases: &MALLA_CASES, features: 90, pains: 26 };

const NEBULA_CASES: [(&str, &[u8]); 16] = [
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

const MALLA_CASES: [(&str, &[u8]); 15] = [
    ("ORD", &[1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 16]),
    ("CB", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 22, 23]),
    ("META", &[1, 2, 3, 4, 5]),
    (
        "LC",
        &[
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 25, 27, 28,
            29, 30, 31,
        ],
    ),
    ("CFG", &[1, 2, 5, 6, 8, 9, 10, 11, 13, 14]),
    ("RT", &[1, 2, 3, 4, 5, 6, 7, 11, 12, 14, 15, 17]),
    ("CALL", &[1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 21, 23, 24, 25, 26]),
    ("DISC", &[1, 4, 5, 6, 7, 8, 9, 10, 12]),
    ("VM", &[1, 2, 3, 4, 5, 6, 7]),
    ("REQ", &[1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]),
    ("ST", &[1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15]),
    ("TR", &[1, 2, 3, 4, 5, 6, 7, 8]),
    ("KV", &[1, 2, 3, 4]),
    ("CL", &[1, 2, 3, 4, 5]),
    ("EV", &[1, 2, 3, 4]),
];

/// Where the tests that the tables name are looked for.
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

/// The id of each row of a table, and the row.
fn rows(table: &Table) -> Vec<(String, String)> {
    let path = workspace().join("docs/conformance").join(table.file);
    let text = fs::read_to_string(path).unwrap();
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
    for table in [NEBULA, MALLA] {
        let file = table.file;
        let mut rows: BTreeMap<String, u32> =
            rows(&table).into_iter().fold(BTreeMap::new(), |mut counts, (id, _)| {
                *counts.entry(id).or_default() += 1;
                counts
            });
        let cases = table.cases.iter().flat_map(|(group, numbers)| {
            numbers.iter().map(move |number| format!("{group}-{number:02}"))
        });
        let features = (1..=table.features).map(|number| format!("F{number}"));
        let pains = (1..=table.pains).map(|number| format!("G{number}"));
        for id in cases.chain(features).chain(pains) {
            assert_eq!(rows.remove(&id), Some(1), "{id} has one row in {file}");
        }
        assert!(rows.is_empty(), "rows of nothing that is known in {file}: {rows:?}");
    }
}

#[test]
fn every_row_has_a_proof_and_every_test_it_names_is_there() {
    for table in [NEBULA, MALLA] {
        let mut named = 0;
        for (id, proof) in rows(&table) {
            let id = format!("{id} of {}", table.file);
            let tests: Vec<_> =
                proof.split('`').skip(1).step_by(2).filter(|code| code.contains(".rs")).collect();
            let reason = ["type: ", "differs: ", "not ours: ", "not yet: "];
            let reason = reason.iter().any(|word| proof.contains(word));
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
        assert!(named > 100, "only {named} tests are named in {}", table.file);
    }
}

/// What is still to come is no failure, and is said.
#[test]
fn rows_that_are_not_yet_are_counted() {
    for table in [NEBULA, MALLA] {
        let rows = rows(&table);
        let missing: Vec<_> =
            rows.iter().filter(|(_, row)| row.contains("not yet:")).map(|(id, _)| &**id).collect();
        let (count, all) = (missing.len(), rows.len());
        println!("{}: {count} of {all} rows are not yet: {}", table.file, missing.join(", "));
        assert!(count < all / 4, "a table that promises more than it shows");
    }
}

#[test]
fn every_page_of_the_guide_is_compiled() {
    let pages = fs::read_to_string(workspace().join("nebula/src/lib.rs")).unwrap();
    let guide = fs::read_dir(workspace().join("docs/guide")).unwrap();
    let names: Vec<_> =
        guide.map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        let line = format!("include_str!(\"../../docs/guide/{name}\")");
        assert!(pages.contains(&line), "`{name}` is not among the pages that are compiled");
    }
}
