//! The seeds of a node: those that its code names, those of the environment, and those of files,
//! which are read again while it runs.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Seed, SeedError};
use crate::limits::{SEED_FILE, SEEDS};

/// The environment variable that holds seeds.
pub(crate) const SEEDS_VARIABLE: &str = "MACULA_SEEDS";

/// The lists of one node, each seed once.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeedLists {
    fixed: Vec<Seed>,
    files: Vec<(PathBuf, Vec<Seed>)>,
}

impl SeedLists {
    /// The seeds of the code, of the variable's value and of the files, as they are now. All must
    /// be well: what a node is told and cannot use is a fault that somebody is there to see.
    pub(crate) fn read(
        named: &[String],
        variable: Option<OsString>,
        files: Vec<PathBuf>,
    ) -> Result<Self, SeedError> {
        let mut fixed =
            named.iter().map(|text| Seed::parse(text, "")).collect::<Result<Vec<_>, _>>()?;
        fixed.extend(variable.map_or(Ok(Vec::new()), |value| in_variable(&value))?);
        let files = files.into_iter().map(|path| Ok((path.clone(), in_file(&path)?)));
        let lists = Self { fixed, files: files.collect::<Result<_, SeedError>>()? };
        lists.bounded()
    }

    /// The same with the files as they are now. A file that is at fault counts as it was; gives the
    /// faults.
    pub(crate) fn again(&self) -> (Self, Vec<SeedError>) {
        let (mut lists, mut faults) = (self.clone(), Vec::new());
        for (path, seeds) in &mut lists.files {
            match in_file(path) {
                Ok(now) => *seeds = now,
                Err(fault) => faults.push(fault),
            }
        }
        let lists = lists.bounded().unwrap_or_else(|fault| {
            faults.push(fault);
            self.clone()
        });
        (lists, faults)
    }

    pub(crate) fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// Each seed once, in the order in which they are named.
    pub(crate) fn seeds(&self) -> Vec<Seed> {
        let all = self.fixed.iter().chain(self.files.iter().flat_map(|(_, seeds)| seeds));
        let mut seen = std::collections::BTreeSet::new();
        all.filter(|seed| seen.insert(seed.text())).cloned().collect()
    }

    fn bounded(self) -> Result<Self, SeedError> {
        let count = self.seeds().len();
        if count > SEEDS { Err(SeedError::TooMany(count)) } else { Ok(self) }
    }
}

/// The seeds in a variable, between commas and white space.
fn in_variable(value: &OsStr) -> Result<Vec<Seed>, SeedError> {
    let at = SEEDS_VARIABLE;
    let text = value.to_str().ok_or(SeedError::Text { at: at.into() })?;
    let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    words.map(|word| Seed::parse(word, at)).collect()
}

fn in_file(path: &Path) -> Result<Vec<Seed>, SeedError> {
    let failed = |source| SeedError::File { path: path.into(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(SEED_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > SEED_FILE {
        return Err(SeedError::TooLong { path: path.into() });
    }
    let at = path.display().to_string();
    let text = str::from_utf8(&bytes).map_err(|_| SeedError::Text { at: at.clone() })?;
    in_lines(text, &at)
}

/// One seed a line; what follows a `#` is a comment.
fn in_lines(text: &str, at: &str) -> Result<Vec<Seed>, SeedError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = (1..).zip(text.lines()).filter_map(|(number, line): (usize, _)| {
        let seed = line.split('#').next().unwrap_or_default().trim();
        (!seed.is_empty()).then(|| Seed::parse(seed, &format!("{at}:{number}")))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn texts(lists: &SeedLists) -> Vec<String> {
        lists.seeds().iter().map(|seed| seed.text().to_owned()).collect()
    }

    #[test]
    fn each_list_adds_to_the_others_and_a_seed_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seeds");
        fs::write(&path, "\u{feff}# the first two\r\nfile-1\r\n\r\n  b:2 # again\nfile-2").unwrap();
        let named = ["a:1".to_owned(), "b:2".to_owned()];
        let variable = Some(", c, users@d.example\n[::1]:9,,a:1 ".into());
        let lists = SeedLists::read(&named, variable, vec![path]).unwrap();
        let all = ["a:1", "b:2", "c", "users@d.example", "[::1]:9", "file-1", "file-2"];
        assert_eq!(texts(&lists), all);
        // CL-5: none at all is well.
        assert!(texts(&SeedLists::read(&[], Some("".into()), Vec::new()).unwrap()).is_empty());
    }

    #[test]
    fn faults_say_where_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seeds");
        let fault = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            SeedLists::read(&[], None, vec![path.clone()]).unwrap_err().to_string()
        };
        let shown = path.display();
        let error = fault(b"a:1\n# b\nc:1 d:1\n");
        assert!(error.starts_with(&format!("{shown}:3: `c:1 d:1` is not a seed: ")), "{error}");
        assert!(fault(b"\xff").starts_with(&format!("{shown}: this is not UTF-8")));
        let long = fault(&vec![b'#'; usize::try_from(SEED_FILE).unwrap() + 1]);
        assert!(long.contains("more than 262144 bytes"), "{long}");
        let many: String = (0..=SEEDS).map(|n| format!("h{n}\n")).collect();
        assert!(fault(many.as_bytes()).starts_with("these are 1025 seeds"));
        fs::remove_file(&path).unwrap();
        let missing = SeedLists::read(&[], None, vec![path.clone()]).unwrap_err().to_string();
        assert!(missing.starts_with(&format!("cannot read the seed file `{shown}`: ")));

        let error = SeedLists::read(&[], Some("a:1 b:x".into()), Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("MACULA_SEEDS: `b:x` is not a seed"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_no_text_is_refused() {
        let value = std::os::unix::ffi::OsStringExt::from_vec(vec![b'a', 0xff]);
        let error = SeedLists::read(&[], Some(value), Vec::new()).unwrap_err().to_string();
        assert!(error.starts_with("MACULA_SEEDS: this is not UTF-8"), "{error}");
    }

    #[test]
    fn a_file_is_read_again_and_counts_as_it_was_while_it_is_at_fault() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        fs::write(&one, "a:1").unwrap();
        fs::write(&two, "b:1").unwrap();
        let lists = SeedLists::read(&["c:1".into()], None, vec![one.clone(), two.clone()]).unwrap();
        fs::write(&one, "a:x").unwrap();
        fs::write(&two, "d:1\ne:1").unwrap();
        let (lists, faults) = lists.again();
        assert_eq!(texts(&lists), ["c:1", "a:1", "d:1", "e:1"]);
        assert_eq!(faults.len(), 1);
        fs::write(&one, "").unwrap();
        fs::remove_file(&two).unwrap();
        let (lists, faults) = lists.again();
        assert_eq!(texts(&lists), ["c:1", "d:1", "e:1"]);
        assert_eq!(faults.len(), 1);
        let many: String = (0..=SEEDS).map(|n| format!("h{n}\n")).collect();
        fs::write(&one, many).unwrap();
        fs::write(&two, "f:1").unwrap();
        let (lists, faults) = lists.again();
        assert_eq!(texts(&lists), ["c:1", "d:1", "e:1"]);
        assert!(matches!(faults[..], [SeedError::TooMany(1027)]), "{faults:?}");
    }
}
