//! What the macros must refuse, and the words in which they do.
//!
//! After a change of a message: `TRYBUILD=overwrite cargo test -p nebula --test ui`, and read the
//! diff as a user would.

#[test]
fn refusals_and_crate_wide_lints() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
