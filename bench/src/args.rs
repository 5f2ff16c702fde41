use std::collections::VecDeque;

use crate::Failure;

/// The words of a command line, taken one by one.
#[derive(Debug)]
pub struct Args(VecDeque<String>);

impl Args {
    /// All words but the name of the program.
    pub fn new(words: impl IntoIterator<Item = String>) -> Self {
        Self(words.into_iter().collect())
    }

    /// Takes the value of an option that may stand anywhere: `--slice 500`.
    pub fn option(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|word| word == name)?;
        self.0.remove(at);
        self.0.remove(at)
    }

    /// Takes a flag that may stand anywhere: whether it was there.
    pub fn flag(&mut self, name: &str) -> bool {
        let at = self.0.iter().position(|word| word == name);
        at.and_then(|at| self.0.remove(at)).is_some()
    }

    /// The next word as a number.
    ///
    /// # Errors
    /// It is missing, or none.
    pub fn number<T: std::str::FromStr>(&mut self, what: &str) -> Result<T, Failure> {
        let word = self.next().ok_or_else(|| format!("{what} is missing"))?;
        word.parse().map_err(|_| format!("{what} is a number, not `{word}`").into())
    }

    /// An option as a number.
    ///
    /// # Errors
    /// It is there, and not a number.
    pub fn number_option<T: std::str::FromStr>(
        &mut self,
        name: &str,
        default: T,
    ) -> Result<T, Failure> {
        match self.option(name) {
            Some(word) => {
                word.parse().map_err(|_| format!("{name} takes a number, not `{word}`").into())
            }
            None => Ok(default),
        }
    }

    /// Says that nothing may be left.
    ///
    /// # Errors
    /// Something is.
    pub fn end(&mut self) -> Result<(), Failure> {
        match self.next() {
            Some(word) => Err(format!("what does `{word}` mean here?").into()),
            None => Ok(()),
        }
    }
}

impl Iterator for Args {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.0.pop_front()
    }
}
