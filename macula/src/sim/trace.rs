#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt::{Arguments, Write};

use super::world::Time;

/// What happened, a line each, if anybody wants to know.
#[derive(Debug, Default)]
pub(super) struct Trace(Option<String>);

impl Trace {
    /// A trace that is kept.
    pub(super) fn kept() -> Self {
        Self(Some(String::new()))
    }

    /// Adds a line: microseconds, then what happened.
    pub(super) fn line(&mut self, now: Time, what: Arguments<'_>) {
        if let Some(text) = &mut self.0 {
            writeln!(text, "{now} {what}").unwrap();
        }
    }

    /// All lines.
    pub(super) fn text(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}
