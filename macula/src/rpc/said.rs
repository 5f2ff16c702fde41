//! What is to go beside a reply, and by whom it was said.
//!
//! The words of the body may be taken back, if it is given up and somebody else answers in its
//! place; those of others stay.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use super::headers::{HeaderError, Headers};

#[derive(Default)]
pub(super) struct Said {
    all: Headers,
    /// The words of others, from the first word of the body on.
    others: Option<Headers>,
    given_up: bool,
}

impl Said {
    /// All that goes beside the reply.
    pub(super) fn all(&self) -> &Headers {
        &self.all
    }

    /// Adds what somebody else than the body says, in place of another one under this key.
    pub(super) fn say(&mut self, key: &str, value: &str) -> Result<(), HeaderError> {
        let mut all = self.all.clone();
        all.insert(key, value)?;
        if let Some(others) = &mut self.others {
            // Without the body's words there may be a longer one of before in their place.
            others.insert(key, value)?;
        }
        self.all = all;
        Ok(())
    }

    /// The same of the body; false if it was given up.
    pub(super) fn say_of_body(&mut self, key: &str, value: &str) -> Result<bool, HeaderError> {
        if self.given_up {
            return Ok(false);
        }
        let before = self.all.clone();
        self.all.insert(key, value)?;
        self.others.get_or_insert(before);
        Ok(true)
    }

    /// The body was given up: its words are taken back, and it gets no others.
    pub(super) fn give_up_body(&mut self) {
        self.given_up = true;
        if let Some(others) = self.others.take()
            && !cfg!(mutant = "given_up_body_is_heard")
        {
            self.all = others;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::headers::{MAX_HEADER_VALUE_BYTES, MAX_HEADERS};

    fn said(said: &Said) -> Vec<(&str, &str)> {
        said.all().iter().collect()
    }

    #[test]
    fn the_words_of_a_body_that_is_given_up_are_taken_back() {
        let mut words = Said::default();
        words.say("first", "plugin").unwrap();
        assert_eq!(words.say_of_body("First", "body"), Err(HeaderError::Key));
        for key in ["body", "first", "both"] {
            assert_eq!(words.say_of_body(key, "body"), Ok(true));
        }
        words.say("both", "plugin").unwrap();
        words.say("plugin", "plugin").unwrap();
        let all = [("body", "body"), ("both", "plugin"), ("first", "body"), ("plugin", "plugin")];
        assert_eq!(said(&words), all);
        words.give_up_body();
        let others = [("both", "plugin"), ("first", "plugin"), ("plugin", "plugin")];
        assert_eq!(said(&words), others);
        assert_eq!(words.say_of_body("late", "body"), Ok(false));
        words.say("first", "again").unwrap();
        assert_eq!((said(&words).len(), words.all().get("first")), (3, Some("again")));
    }

    #[test]
    fn a_body_that_said_nothing_takes_nothing_back() {
        let mut words = Said::default();
        words.say("k", "plugin").unwrap();
        words.give_up_body();
        assert_eq!(said(&words), [("k", "plugin")]);
    }

    #[test]
    fn who_is_heard_with_the_body_is_heard_without_it() {
        let mut words = Said::default();
        let long = "v".repeat(MAX_HEADER_VALUE_BYTES);
        for key in ["a", "b", "c"] {
            words.say(key, &long).unwrap();
        }
        assert_eq!(words.say_of_body("a", ""), Ok(true));
        // There is room as long as the body is there, and none once it is given up.
        assert!(words.say("d", &long).is_err());
        words.say("e", "v").unwrap();
        for n in words.all().len()..MAX_HEADERS {
            words.say(&format!("k{n}"), "").unwrap();
        }
        assert_eq!(words.say_of_body("z", ""), Err(HeaderError::TooMany));
        let others = words.all().len();
        words.give_up_body();
        assert_eq!((words.all().len(), words.all().get("a")), (others, Some(&*long)));
        assert_eq!(words.all().get("e"), Some("v"));
    }
}
