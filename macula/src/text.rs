//! Texts of other nodes, on their way to a terminal or a log.
//!
//! Promise: what [`Safe`] shows neither steers a terminal nor looks like another text because a
//! part of it is not seen. What is seen and only looks alike, such as letters of two scripts, is
//! left alone.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use std::fmt::{self, Write as _};

/// Shows a text with its hidden characters escaped as in Rust: `\u{1b}[2J`, `a\nb`.
///
/// ```
/// use macula::text::Safe;
/// assert_eq!(Safe("db\u{1b}[2J").to_string(), "db\\u{1b}[2J");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Safe<'a>(pub &'a str);

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for shown in self.0.split_inclusive(is_hidden) {
            let mut chars = shown.chars();
            match chars.next_back() {
                Some(hidden) if is_hidden(hidden) => {
                    f.write_str(chars.as_str())?;
                    hidden.escape_default().try_for_each(|c| f.write_char(c))?;
                }
                _ => f.write_str(shown)?,
            }
        }
        Ok(())
    }
}

/// Whether a character is a control character, changes the direction of what follows, or is not
/// seen: a name with it looks like another one. White space is seen.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
                | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_seen_is_escaped() {
        for (text, shown) in [
            ("", ""),
            ("db-1@h1 ärger 東京", "db-1@h1 ärger 東京"),
            ("\u{1b}[2Jdb", "\\u{1b}[2Jdb"),
            ("db\r\nroot\u{7}", "db\\r\\nroot\\u{7}"),
            ("\u{9b}", "\\u{9b}"),
            ("a\u{202e}b\u{200b}\u{e0101}", "a\\u{202e}b\\u{200b}\\u{e0101}"),
        ] {
            assert_eq!(Safe(text).to_string(), shown);
        }
        for c in ['\u{34f}', '\u{115f}', '\u{1160}', '\u{17b5}', '\u{180e}', '\u{3164}', '\u{fe0f}']
        {
            assert!(is_hidden(c), "{c:?}");
        }
        for c in ['a', ' ', 'é', '\u{301}', 'ᄀ', '가', '\u{1d172}', '\u{e00ff}', '👍'] {
            assert!(!is_hidden(c), "{c:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn nothing_hidden_is_shown(text in ".*|[\\x00-\\x1f\u{200b}-\u{2030}]*") {
            let shown = Safe(&text).to_string();
            prop_assert!(!shown.contains(is_hidden));
            prop_assert_eq!(shown == text, !text.contains(is_hidden));
        }
    }
}
