//! What came out, as tables on the terminal and in `docs/performance.md`, and as a chart.

pub mod chart;
pub mod machine;
pub mod tables;

use std::path::PathBuf;

use crate::Failure;
use crate::compare::{Plan, Results};

/// Prints everything, and writes it into the documents unless the run was dry.
///
/// # Errors
/// The documents cannot be written, or lack the marks between which the tables stand.
pub fn publish(plan: &Plan, results: &Results) -> Result<(), Failure> {
    let figures = format!("{}\n{}", machine::describe(plan, results), tables::figures(results));
    let targets = tables::targets(results);
    println!("{figures}\n{targets}");
    if plan.dry {
        return Ok(());
    }
    let docs = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"));
    let path = docs.join("performance.md");
    let text = std::fs::read_to_string(&path)?;
    let text = between(&text, "figures", &figures)?;
    let text = between(&text, "targets", &targets)?;
    std::fs::write(path, text)?;
    Ok(std::fs::write(docs.join("performance.svg"), chart::draw(results))?)
}

/// Replaces what stands between two marks.
pub(crate) fn between(text: &str, name: &str, new: &str) -> Result<String, Failure> {
    let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
    let missing = || format!("docs/performance.md lacks `{begin}` or `{end}`");
    let (head, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, tail) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{head}{begin}\n{}\n{end}{tail}", new.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let text = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n";
        let new = between(text, "x", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb\n");
        assert_eq!(between(&new, "x", "new").unwrap(), new, "again");
        assert!(between(text, "y", "new").is_err());
    }
}
