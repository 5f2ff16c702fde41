#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Names that one value each has.

use std::collections::BTreeMap;

use super::held::Held;

/// Values by their names.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<Box<str>, Held>);

impl Names {
    /// Gives a free name away. Of one that is taken, the type of the value that has it is the
    /// error.
    pub(crate) fn take(&mut self, name: &str, value: Held) -> Result<(), &'static str> {
        match self.0.get(name) {
            Some(holder) => Err(holder.type_name()),
            None => {
                self.0.insert(name.into(), value);
                Ok(())
            }
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Held> {
        self.0.get(name)
    }

    /// Frees a name. What it returns is to be dropped where nothing is locked.
    pub(crate) fn free(&mut self, name: &str) -> Option<Held> {
        self.0.remove(name)
    }
}
