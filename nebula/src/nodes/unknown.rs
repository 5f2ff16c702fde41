//! A selector that cannot mean what its author had in mind, and what that may have been.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

/// A selector names what is not configured, or can mean no configured node.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownInSelector {
    /// No configured node carries the tag.
    #[error("no configured node has the tag `{tag}`{}", hint(close, "tags", known))]
    Tag {
        /// The tag.
        tag: String,
        /// A configured tag that is at most two letters away.
        close: Option<String>,
        /// All configured tags, sorted.
        known: Vec<String>,
    },
    /// No configured node has the name.
    #[error("no configured node is called `{name}`{}", hint(close, "nodes", known))]
    Node {
        /// The name.
        name: String,
        /// A configured name, short or full, that is at most two letters away.
        close: Option<String>,
        /// The full names of all configured nodes, sorted.
        known: Vec<String>,
    },
    /// Each name and tag is known, but no configured node satisfies all of it.
    #[error("no configured node matches `{selector}`")]
    NoMatch {
        /// The selector in its short form.
        selector: String,
    },
}

/// The candidate that is at most two edits from the word, and so few that something of the word is
/// left. The nearest, then the first in the alphabet.
pub(crate) fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let length = word.chars().count();
    let near = known.filter_map(|other| {
        let far = distance(word, other)?;
        (far < length).then_some((far, other))
    });
    near.min().map(|(_, other)| other.to_owned())
}

/// How many names an error lists.
const LISTED: usize = 20;

fn hint(close: &Option<String>, kind: &str, known: &[String]) -> String {
    let close = close.as_ref().map(|word| format!(", did you mean `{word}`?"));
    let mut list: Vec<String> = known.iter().take(LISTED).map(|word| format!("`{word}`")).collect();
    if known.len() > LISTED {
        list.push(format!("{} more", known.len() - LISTED));
    }
    let list = match list.is_empty() {
        true => "none are configured".to_owned(),
        false => list.join(", "),
    };
    format!("{} ({kind}: {list})", close.unwrap_or_default())
}

/// How many letters must be put in, taken out or changed to make one word of the other
/// (Levenshtein), if that is no more than two.
fn distance(a: &str, b: &str) -> Option<usize> {
    const MOST: usize = 2;
    let b: Vec<char> = b.chars().collect();
    if a.chars().count().abs_diff(b.len()) > MOST {
        return None;
    }
    // `row` holds the distances of what was read of `a` to each beginning of `b`.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (to, pair) in b.iter().zip(row.windows(2)) {
            let (&[diagonal, above], Some(&left)) = (pair, next.last()) else { continue };
            let changed = diagonal + usize::from(from != *to);
            next.push(changed.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().filter(|far| *far <= MOST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, at exponential cost.
    fn slow(a: &[char], b: &[char]) -> usize {
        match (a, b) {
            ([], rest) | (rest, []) => rest.len(),
            ([x, a @ ..], [y, b @ ..]) if x == y => slow(a, b),
            ([_, short_a @ ..], [_, short_b @ ..]) => {
                1 + slow(short_a, b).min(slow(a, short_b)).min(slow(short_a, short_b))
            }
        }
    }

    proptest! {
        #[test]
        fn distance_is_as_defined(a in "[abé]{0,6}", b in "[abé]{0,6}") {
            let chars = |s: &str| s.chars().collect::<Vec<_>>();
            let expected = slow(&chars(&a), &chars(&b));
            prop_assert_eq!(distance(&a, &b), Some(expected).filter(|far| *far <= 2));
        }
    }

    #[test]
    fn the_nearest_word_is_offered() {
        let known = ["cache", "cached", "db", "web"];
        let offered = |word| closest(word, known.into_iter());
        assert_eq!(offered("cahce").as_deref(), Some("cache"));
        assert_eq!(offered("caches").as_deref(), Some("cache"));
        assert_eq!(offered("dc").as_deref(), Some("db"));
        assert_eq!(offered("xy"), None);
        assert_eq!(offered("storage"), None);
    }

    #[test]
    fn long_lists_are_cut() {
        let known = (10..40).map(|i| i.to_string()).collect();
        let error = UnknownInSelector::Tag { tag: "x".into(), close: None, known };
        let text = error.to_string();
        assert!(text.starts_with("no configured node has the tag `x` (tags: `10`, `11`, "));
        assert!(text.ends_with("`29`, 10 more)"), "{text}");
    }
}
