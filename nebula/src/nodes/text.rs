//! Selectors in the files and messages of programs: their short form, as a string.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{self, Serialize, Serializer};

use super::parse::parse;
use super::selector::Selector;

/// As its short form, such as `"&db !@backup"`.
///
/// # Errors
///
/// A selector that code has made longer or deeper than a text may be, or with an empty name, could
/// not be read back and is not written.
impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let text = self.to_string();
        parse(&text).map_err(|error| {
            ser::Error::custom(format_args!("the selector could not be read back: {error}"))
        })?;
        to.serialize_str(&text)
    }
}

/// From its short form: a line such as `on = "&db !@backup"` of a program's own configuration.
///
/// # Errors
///
/// What [`parse`](super::parse()) refuses, with the text and a caret under the place.
impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Text)
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Selector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a selector in its short form, such as `&db !@backup`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Selector, E> {
        parse(text).map_err(|error| E::custom(format_args!("{error:#}")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::nodes::selector::tests::selectors;
    use crate::nodes::{node, tag};

    #[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
    struct Config {
        on: Selector,
    }

    #[test]
    fn a_line_of_a_file_is_a_selector() {
        let config: Config = toml::from_str("on = '&db !@backup'").unwrap();
        assert_eq!(config.on, tag("db") & !node("backup"));
    }

    #[test]
    fn what_is_no_selector_is_refused_with_its_place() {
        let told = toml::from_str::<Config>("on = '&db |'").unwrap_err().to_string();
        assert!(told.contains("`&tag`, `@node` or `(` is expected here"), "{told}");
        assert!(told.contains("\n  &db |\n       ^"), "{told}");
        let told = toml::from_str::<Config>("on = 3").unwrap_err().to_string();
        assert!(told.contains("a selector in its short form"), "{told}");
        assert!(toml::from_str::<Config>("on = ''").is_err());
    }

    #[test]
    fn what_could_not_be_read_back_is_not_written() {
        for selector in [tag(""), tag("x".repeat(5000))] {
            let told = postcard::to_stdvec(&selector).is_err();
            assert!(told, "{selector}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(naive in selectors()) {
            let selector = naive.build();
            let bytes = postcard::to_stdvec(&selector).unwrap();
            let again: Selector = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(again.to_string(), selector.to_string());
        }
    }
}
