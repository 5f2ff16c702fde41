//! The short form of a selector, read from text: `&db !@backup`.
//!
//! ```text
//! selector = all { "|" all }
//! all      = clause { clause }                      side by side means and
//! clause   = [ "!" ] ( "&" name | "@" name | "(" selector ")" | "*" )
//! name     = a run of anything but white space, quotes and & | ! @ ( )
//!          | '"' anything, with \" and \\ for the two '"'
//! ```
//!
//! A full node name holds an `@`, so it is written in quotes: `@"db-1@host"`. `*` is every node.
//!
//! Limits: 4 KiB of text, 32 parentheses inside each other. Any text gives a selector or an error.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fmt;
use std::str::FromStr;

use super::selector::{Selector, is_bare, node, tag};

/// The longest text of a selector, in bytes.
const MAX_BYTES: usize = 4096;

/// How many parentheses may be open at once.
const MAX_DEPTH: usize = 32;

/// Reads the short form of a selector, such as `&db !@backup` or `(&eu | &us) !@"db-1@host"`.
///
/// `&tag` and `@node` are the clauses, `!` excludes, clauses side by side must all hold, `|` is
/// or and binds weaker, parentheses group, and `*` is every node. Names that hold white space,
/// quotes or any of `&|!@(),;` are written in double quotes.
///
/// # Errors
///
/// Names the first place that cannot be read. An empty text is an error, so that a selector
/// nobody filled in never means every node; so are a text over 4 KiB and more than 32
/// parentheses inside each other.
pub fn parse(text: &str) -> Result<Selector, SelectorParseError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.selector_to_end().map_err(|(offset, fault)| SelectorParseError {
        text: text.chars().take(MAX_BYTES).collect(),
        offset,
        fault,
    })
}

impl FromStr for Selector {
    type Err = SelectorParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text)
    }
}

/// A text is not a selector: what is wrong, and where.
///
/// `Display` is one sentence. `{:#}` adds the text with a caret under the place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SelectorParseError {
    text: Box<str>,
    offset: usize,
    fault: SelectorFault,
}

impl SelectorParseError {
    /// Where in the text, in bytes from its start.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong there.
    pub fn fault(&self) -> &SelectorFault {
        &self.fault
    }
}

/// What can be wrong in the text of a selector.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorFault {
    /// Nothing but white space.
    #[error("a selector is empty: leave it out to mean every node, or write `*`")]
    Empty,
    /// More than 4 KiB.
    #[error("a selector may be {MAX_BYTES} bytes long, this one is {bytes}")]
    TooLong {
        /// The length of the text.
        bytes: usize,
    },
    /// More than 32 open parentheses.
    #[error("at most {MAX_DEPTH} parentheses may be inside each other")]
    TooDeep,
    /// A word without `&` or `@`.
    #[error("a bare word: write `&{word}` for a tag or `@{word}` for a node")]
    BareWord {
        /// The word, or its first 40 characters.
        word: Box<str>,
    },
    /// The text, or a group, ends where a clause should begin.
    #[error("`&tag`, `@node` or `(` is expected here")]
    ClauseExpected,
    /// A `,` or `;` between clauses.
    #[error("no `{found}` here: clauses side by side must all hold, and `|` is or")]
    Separator {
        /// `,` or `;`.
        found: char,
    },
    /// `&` or `@` with nothing behind it.
    #[error(
        "a name is expected right after `{sigil}` (clauses side by side must all hold, and `|` is or)"
    )]
    NameExpected {
        /// `&` or `@`.
        sigil: char,
    },
    /// `@name@host` without quotes.
    #[error("a full name needs quotes: write `@\"{name}\"`")]
    FullNameUnquoted {
        /// The full name, or its first 40 characters.
        name: Box<str>,
    },
    /// `"` or `'` where no name begins.
    #[error("a quote is out of place: names are quoted right after `&` or `@`, with `\"`")]
    QuoteMisplaced,
    /// A `"` that is never closed.
    #[error("a closing quote is missing")]
    QuoteOpen,
    /// A `(` that is never closed.
    #[error("a closing `)` is missing")]
    ParenthesisOpen,
    /// A `)` that closes nothing.
    #[error("this `)` closes nothing")]
    ParenthesisStray,
}

impl fmt::Display for SelectorParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)?;
        if !f.alternate() {
            return Ok(());
        }
        // One line, and no more of it than a terminal shows: the text may be long.
        let (before, after) = self.text.split_at_checked(self.offset).unwrap_or((&self.text, ""));
        let blank = |c: char| if c.is_whitespace() || c.is_control() { ' ' } else { c };
        let mut lead: Vec<char> = before.chars().rev().take(SHOWN).map(blank).collect();
        lead.reverse();
        let cut = if before.chars().nth(SHOWN).is_some() { "…" } else { "" };
        let more = if after.chars().nth(SHOWN).is_some() { "…" } else { "" };
        let indent = " ".repeat(2 + cut.chars().count() + lead.iter().map(columns).sum::<usize>());
        let lead = lead.into_iter().collect::<String>();
        let rest = after.chars().take(SHOWN).map(blank).collect::<String>();
        write!(f, "\n  {cut}{lead}{rest}{more}\n{indent}^")
    }
}

impl std::error::Error for SelectorParseError {}

/// How many columns of a terminal a character takes, for scripts that are common in names: the
/// wide ones of East Asia and most pictures take two, marks that join the letter before them none.
fn columns(c: &char) -> usize {
    match u32::from(*c) {
        0x0300..=0x036F | 0x200B..=0x200F | 0x20D0..=0x20FF | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F
        | 0x2E80..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1F64F
        | 0x1F900..=0x1F9FF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// How many characters `{:#}` shows on either side of the place.
const SHOWN: usize = 40;

type Parsed<T> = Result<T, (usize, SelectorFault)>;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn selector_to_end(&mut self) -> Parsed<Selector> {
        if self.text.len() > MAX_BYTES {
            return Err((0, SelectorFault::TooLong { bytes: self.text.len() }));
        }
        if self.peek_token().is_none() {
            return Err((0, SelectorFault::Empty));
        }
        let selector = self.selector()?;
        match self.peek_token() {
            None => Ok(selector),
            Some(_) => Err((self.at, SelectorFault::ParenthesisStray)),
        }
    }

    fn selector(&mut self) -> Parsed<Selector> {
        let mut selector = self.all()?;
        while self.peek_token() == Some('|') {
            self.at += 1;
            selector = selector | self.all()?;
        }
        Ok(selector)
    }

    fn all(&mut self) -> Parsed<Selector> {
        let mut selector = self.clause()?;
        while !matches!(self.peek_token(), None | Some('|' | ')')) {
            selector = selector & self.clause()?;
        }
        Ok(selector)
    }

    fn clause(&mut self) -> Parsed<Selector> {
        match self.peek_token() {
            Some('!') => {
                self.at += 1;
                self.positive().map(|inner| !inner)
            }
            _ => self.positive(),
        }
    }

    fn positive(&mut self) -> Parsed<Selector> {
        let next = self.peek_token();
        let start = self.at;
        match next {
            Some('&') => self.name('&').map(tag),
            Some('@') => self.name('@').map(node),
            Some('(') => {
                self.at += 1;
                self.group(start)
            }
            Some('"' | '\'') => Err((start, SelectorFault::QuoteMisplaced)),
            Some(found @ (',' | ';')) => Err((start, SelectorFault::Separator { found })),
            None | Some('|' | ')' | '!') => Err((start, SelectorFault::ClauseExpected)),
            Some(_) => match self.bare() {
                "*" => Ok(Selector::any()),
                word => Err((start, SelectorFault::BareWord { word: shortened(word) })),
            },
        }
    }

    fn group(&mut self, opened: usize) -> Parsed<Selector> {
        if self.depth == MAX_DEPTH {
            return Err((opened, SelectorFault::TooDeep));
        }
        self.depth += 1;
        let selector = self.selector()?;
        self.depth -= 1;
        match self.peek_token() {
            Some(')') => {
                self.at += 1;
                Ok(selector)
            }
            _ => Err((opened, SelectorFault::ParenthesisOpen)),
        }
    }

    /// A name behind its sigil, which is the next character.
    fn name(&mut self, sigil: char) -> Parsed<String> {
        let start = self.at;
        self.at += 1;
        let name = match self.rest().chars().next() {
            Some('"') => self.quoted()?,
            _ => self.bare().to_owned(),
        };
        if name.is_empty() {
            return Err((start, SelectorFault::NameExpected { sigil }));
        }
        // Read as two clauses, `@db@host` would quietly mean a node with two names, so none.
        if sigil == '@' && self.rest().starts_with('@') {
            let whole = self.rest().find(|c| c != '@' && !is_bare(c));
            let host = self.rest().get(..whole.unwrap_or(self.rest().len())).unwrap_or_default();
            let name = shortened(&format!("{name}{host}"));
            return Err((start, SelectorFault::FullNameUnquoted { name }));
        }
        Ok(name)
    }

    fn bare(&mut self) -> &'a str {
        let rest = self.rest();
        let (word, _) = rest
            .split_at_checked(rest.find(|c| !is_bare(c)).unwrap_or(rest.len()))
            .unwrap_or((rest, ""));
        self.at += word.len();
        word
    }

    fn quoted(&mut self) -> Parsed<String> {
        let opened = self.at;
        let mut name = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = opened + i + 1;
                    return Ok(name);
                }
                '\\' => {
                    let escaped = chars.next_if(|(_, c)| matches!(c, '"' | '\\'));
                    name.push(escaped.map_or('\\', |(_, c)| c));
                }
                c => name.push(c),
            }
        }
        Err((opened, SelectorFault::QuoteOpen))
    }

    /// Skips white space and looks at what follows.
    fn peek_token(&mut self) -> Option<char> {
        let rest = self.rest().trim_start();
        self.at = self.text.len() - rest.len();
        rest.chars().next()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

fn shortened(word: &str) -> Box<str> {
    word.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nodes::selector::tests::{chosen, selectors};

    fn refused(text: &str) -> (usize, String) {
        let error = parse(text).unwrap_err();
        (error.offset(), error.to_string())
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(naive in selectors()) {
            let selector = naive.build();
            let again = parse(&selector.to_string()).unwrap();
            prop_assert_eq!(chosen(&again), chosen(&selector), "{} became {}", selector, again);
            prop_assert_eq!(again.to_string(), selector.to_string());
        }

        #[test]
        fn any_name_reads_back(name in ".{1,20}") {
            prop_assert_eq!(parse(&tag(&*name).to_string()), Ok(tag(&*name)));
            prop_assert_eq!(parse(&(!node(&*name)).to_string()), Ok(!node(&*name)));
        }

        #[test]
        fn any_text_gives_a_selector_or_an_error_that_prints(
            text in r#"([&@!|()* "'\\]|[a-cé ]){0,30}"#,
        ) {
            match parse(&text) {
                Ok(selector) => prop_assert_eq!(parse(&selector.to_string()), Ok(selector)),
                Err(error) => {
                    prop_assert!(text.is_char_boundary(error.offset()));
                    prop_assert_eq!(format!("{error:#}").lines().count(), 3);
                }
            }
        }
    }

    #[test]
    fn reads_the_forms_of_the_grammar() {
        for (text, expected) in [
            ("&db", tag("db")),
            (" !&db ", !tag("db")),
            ("@db-1.eu", node("db-1.eu")),
            ("!@backup", !node("backup")),
            (r#"@"db@h1""#, node("db@h1")),
            (r#"&"two words""#, tag("two words")),
            ("&db !@backup", tag("db") & !node("backup")),
            ("&db!@backup", tag("db") & !node("backup")),
            ("&a &b | &c", tag("a") & tag("b") | tag("c")),
            ("&a|&b &c", tag("a") | tag("b") & tag("c")),
            ("&a (&b|&c)", tag("a") & (tag("b") | tag("c"))),
            ("!( &a | @b ) &c", !(tag("a") | node("b")) & tag("c")),
            ("@a @b", node("a") & node("b")),
            ("*", Selector::any()),
            ("!*", !Selector::any()),
            ("&é\n\u{a0}&type", tag("é") & tag("type")),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
            assert_eq!(text.parse::<Selector>(), parse(text));
        }
    }

    /// What the list has beyond these (functions, variables and lists in the place of a selector)
    /// is told by types here, or when the attribute is compiled.
    #[test]
    fn reads_what_the_conformance_list_has() {
        for (case, text, expected) in [
            ("SEL-01", "@db", node("db")),
            ("SEL-02", "&worker", tag("worker")),
            ("SEL-03", "!@backup", !node("backup")),
            ("SEL-03", "!&legacy", !tag("legacy")),
            ("SEL-04", r#"@"full@host4""#, node("full@host4")),
            ("SEL-06", "&db !@backup", tag("db") & !node("backup")),
            ("SEL-12", "&db &eu !@backup", tag("db") & tag("eu") & !node("backup")),
        ] {
            assert_eq!(parse(text), Ok(expected), "{case}");
        }
        // SEL-07: a number or a string; SEL-06, SEL-11: a list; SEL-08, SEL-09: a function.
        for text in ["3", "\"db\"", "[&db, !@backup]", "|n| n", "f/1", "&f()"] {
            assert!(parse(text).is_err(), "{text}");
        }
        // SEL-10
        for text in ["", "  ", "()", "[]"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn every_fault_says_where_and_what() {
        let empty = "a selector is empty: leave it out to mean every node, or write `*`";
        let clause = "`&tag`, `@node` or `(` is expected here";
        let quote = "a quote is out of place: names are quoted right after `&` or `@`, with `\"`";
        let tag_name = "a name is expected right after `&` (clauses side by side must all hold, and \
                        `|` is or)";
        let node_name = "a name is expected right after `@` (clauses side by side must all hold, and \
                         `|` is or)";
        let comma = "no `,` here: clauses side by side must all hold, and `|` is or";
        for (text, offset, sentence) in [
            ("&db, &eu", 3, comma),
            (", &eu", 0, comma),
            ("", 0, empty),
            (" \n", 0, empty),
            ("db", 0, "a bare word: write `&db` for a tag or `@db` for a node"),
            ("&db !backup", 5, "a bare word: write `&backup` for a tag or `@backup` for a node"),
            ("&é **", 4, "a bare word: write `&**` for a tag or `@**` for a node"),
            ("&db |", 5, clause),
            ("| &db", 0, clause),
            ("&a || &b", 4, clause),
            ("()", 1, clause),
            ("!", 1, clause),
            ("!!&a", 1, clause),
            ("& db", 0, tag_name),
            ("&a @", 3, node_name),
            (r#"&"""#, 0, tag_name),
            ("&&a", 0, tag_name),
            ("&x @db@h1 &y", 3, r#"a full name needs quotes: write `@"db@h1"`"#),
            (r#"&a @"b"#, 4, "a closing quote is missing"),
            (r#"@"b\""#, 1, "a closing quote is missing"),
            (r#"&a"b""#, 2, quote),
            ("@'b'", 0, node_name),
            ("&a 'b'", 3, quote),
            ("&a (&b", 3, "a closing `)` is missing"),
            ("&a) &b", 2, "this `)` closes nothing"),
        ] {
            assert_eq!(refused(text), (offset, sentence.to_owned()), "{text}");
        }
    }

    #[test]
    fn length_and_depth_are_bounded() {
        let nested = |n| format!("{}&a{}", "(".repeat(n), ")".repeat(n));
        assert_eq!(parse(&nested(MAX_DEPTH)), Ok(tag("a")));
        let (offset, sentence) = refused(&nested(MAX_DEPTH + 1));
        assert_eq!((offset, &*sentence), (32, "at most 32 parentheses may be inside each other"));
        assert_eq!(refused(&"(".repeat(4096)).0, 32);

        let long = format!("&{}", "a".repeat(MAX_BYTES - 1));
        assert!(parse(&long).is_ok());
        let sentence = refused(&format!("{long}a")).1;
        assert_eq!(sentence, "a selector may be 4096 bytes long, this one is 4097");
    }

    #[test]
    fn the_long_form_points_at_the_place() {
        let shown = format!("{:#}", parse("&é !backup").unwrap_err());
        let (_, drawing) = shown.split_once('\n').unwrap();
        assert_eq!(drawing, "  &é !backup\n      ^");

        // The place is where a terminal shows it, whatever the bytes before it.
        for (text, column) in [("&数据 b", 6), ("&e\u{301} b", 3), ("&📦 b", 4), ("&a\t b", 4)]
        {
            let shown = format!("{:#}", parse(text).unwrap_err());
            let caret = shown.lines().last().unwrap();
            assert_eq!(caret, format!("  {}^", " ".repeat(column)), "{shown}");
        }

        let shown = format!(
            "{:#}",
            parse(&format!("{}b{}", "&a ".repeat(50), " &c".repeat(50))).unwrap_err()
        );
        let mut lines = shown.lines().skip(1);
        let (text, caret) = (lines.next().unwrap(), lines.next().unwrap());
        assert!(text.starts_with("  …") && text.ends_with('…') && text.chars().count() < 90);
        assert_eq!(text.chars().nth(caret.chars().count() - 1), Some('b'));
    }
}
