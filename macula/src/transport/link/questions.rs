//! Questions whether a peer is alive, each with an answer of its own.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::mesh::lock;

/// The questions that a peer has not answered yet. Several may be asked at once, and their answers
/// may come together.
#[derive(Debug, Default)]
pub(crate) struct Questions(Mutex<BTreeSet<u64>>);

impl Questions {
    /// Asks a question of this number, which is used for no other and which nobody can guess.
    pub(crate) fn ask(&self, number: u64) -> Question<'_> {
        lock(&self.0).insert(number);
        Question { number, open: self }
    }

    /// Whether none is open.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }

    /// The peer has answered this question, if there is one.
    pub(crate) fn answer(&self, number: u64) {
        lock(&self.0).remove(&number);
    }
}

/// A question under way. Dropped, it is forgotten.
pub(crate) struct Question<'q> {
    number: u64,
    open: &'q Questions,
}

impl Question<'_> {
    pub(crate) fn is_answered(&self) -> bool {
        !lock(&self.open.0).contains(&self.number)
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.open.answer(self.number);
    }
}
