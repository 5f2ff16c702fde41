//! What the macros must refuse, and the words in which they do.
//!
//! After a change of a message: `TRYBUILD=overwrite cargo test -p nebula --test ui`, and read the
//! diff as a user would.

use std::path::Path;
use std::{fs, io};

#[test]
fn refusals_and_crate_wide_lints() {
    place_topologies().unwrap();
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}

/// `topology!` reads files from the folder of the manifest, which trybuild keeps among what is
/// built.
fn place_topologies() -> io::Result<()> {
    let manifest = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tests/trybuild/nebula");
    fs::create_dir_all(&manifest)?;
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui/topologies"))? {
        let file = file?;
        fs::copy(file.path(), manifest.join(file.file_name()))?;
    }
    Ok(())
}
