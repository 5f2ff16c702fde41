//! What is wrong with the settings of a node, said before anything starts.

use std::collections::BTreeSet;
use std::time::Duration;

use macula::directory::{MAX_NODE_NAME_BYTES, MAX_TAG_BYTES, MAX_TAGS};
use macula::text::Safe;

use super::Settings;
use crate::Result;
use crate::call::options::TIMEOUT_MAX;
use crate::error::Error;
use crate::nodes::topology::{name_fault, tag_fault};

/// Whether a node can be started with these settings.
pub(super) fn check(settings: &Settings) -> Result<()> {
    let name = ("the name of a node", &settings.name, MAX_NODE_NAME_BYTES);
    let tags = settings.tags.iter().map(|tag| ("a tag", tag, MAX_TAG_BYTES));
    for (what, text, most) in std::iter::once(name).chain(tags) {
        if text.is_empty() || text.len() > most {
            return Err(Error::msg(format!(
                "{what} has 1 to {most} bytes, and `{}` has {}",
                text.chars().take(32).collect::<String>(),
                text.len(),
            )));
        }
    }
    if let Some(why) = name_fault(&settings.name) {
        return Err(Error::msg(format!(
            "a node cannot be called `{}`: {why}",
            Safe(&settings.name)
        )));
    }
    for tag in &settings.tags {
        if let Some(why) = tag_fault(tag) {
            return Err(Error::msg(format!("a node cannot have the tag `{}`: {why}", Safe(tag))));
        }
    }
    let tags = settings.tags.iter().collect::<BTreeSet<_>>().len();
    if tags > MAX_TAGS {
        return Err(Error::msg(format!("a node has at most {MAX_TAGS} tags, and this one {tags}")));
    }
    match settings.default_timeout {
        Some(Duration::ZERO) => {
            Err(Error::msg("a default timeout of zero leaves no time for any call"))
        }
        Some(timeout) if timeout > TIMEOUT_MAX => Err(Error::msg(format!(
            "a default timeout of {timeout:?} is too long: a call takes 24 hours at most"
        ))),
        _ => Ok(()),
    }
}
