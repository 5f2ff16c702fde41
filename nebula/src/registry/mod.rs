//! Values that a node knows by name: [`Node::registry`](crate::Node::registry).
//!
//! Promise: three tables of this node alone, of which nothing is sent. A *name* is had by one value
//! and free when its guard is dropped; a *key* is shared by any number of values, each as long as
//! its guard; a *domain* keeps values by key until the node is shut down. A value is found only as
//! the type it has.
//!
//! Protocol: what the tables are is in plain values (`names`, `groups`, `values`), each behind a
//! lock that is held for a look or a swap. No code of the application runs meanwhile: a value is
//! made before and dropped after. What an update of a domain's value runs has the turn of that
//! value (`turns`).
//!
//! Limits: none of its own. It grows by what the program puts here; a name made of what a peer
//! sends needs a limit where it is made. Any text is a name, a key or a domain, the empty one too.

mod added;
mod domain;
mod error;
mod groups;
mod held;
mod names;
mod registered;
#[cfg(test)]
mod tests;
mod turns;
mod values;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use added::Added;
pub use domain::Domain;
pub use error::{NameTaken, ValueError};
pub use registered::Registered;

use groups::Groups;
use held::Held;
use names::Names;
use turns::Turns;

/// Values by name, for all that runs on a node: [`Node::registry`](crate::Node::registry). A clone
/// is another handle of the same registry; [`Registry::default`] is one without a node, for tests.
///
/// What belongs to one service is better kept in its
/// [extensions](crate::ServiceHandle::extensions).
///
/// ```
/// use nebula::Registry;
///
/// # fn main() -> nebula::Result<()> {
/// let registry = Registry::default();             // of a node: `node.registry()`
///
/// // A name is had by one value, as long as what `register` returns.
/// let pool = registry.register("pool", vec![1, 2, 3])?;
/// assert_eq!(registry.register("pool", "another").unwrap_err().name(), "pool");
/// assert_eq!(registry.get::<Vec<i32>>("pool").unwrap().len(), 3);
/// drop(pool);
/// assert!(!registry.contains("pool"));
///
/// // A key is shared.
/// let one = registry.add("workers", "ada");
/// let two = registry.add("workers", "grace");
/// let workers = registry.values::<&str>("workers");
/// assert_eq!((*workers[0], *workers[1]), ("ada", "grace"));
/// drop(one);
/// assert_eq!((registry.count("workers"), two.len()), (1, 5));
///
/// // A domain keeps its values.
/// registry.domain("billing").put("rate", 19_u32);
/// assert_eq!(*registry.domain("billing").get_or("rate", 0_u32), 19);
/// # Ok(())
/// # }
/// ```
///
/// Names, keys and domains are three tables: a name is no key. Names are those of the whole node,
/// so services do well to begin theirs with their own, such as `users/pool`. A guard that is to end
/// with a service is best kept in its extensions, which [stopping](crate::ServiceHandle::stop)
/// drops.
///
/// Nothing is locked while a value is dropped or while code of the application runs, so a
/// destructor may look here, and write; for updates see [`Domain`]. A value that holds this
/// registry, or its node, keeps it alive until the value is taken away.
#[derive(Clone, Default)]
pub struct Registry {
    names: Arc<Mutex<Names>>,
    groups: Arc<Mutex<Groups>>,
    values: Arc<Turns>,
}

impl Registry {
    /// Gives a value a name that no other has, until the returned guard is dropped. That is so too
    /// when its task is aborted or panics.
    ///
    /// # Errors
    ///
    /// Another value has the name, of whatever type. Nothing has changed, and `value` is dropped.
    pub fn register<T: Send + Sync + 'static>(
        &self,
        name: &str,
        value: T,
    ) -> Result<Registered<T>, NameTaken> {
        let value = Arc::new(value);
        let taken = lock(&self.names).take(name, Held::new(Arc::clone(&value)));
        match taken {
            Ok(()) => Ok(Registered::new(value, name, &self.names)),
            Err(holder) => Err(NameTaken::new(name, holder)),
        }
    }

    /// The value that has this name, if there is one and it is of this type.
    pub fn get<T: Send + Sync + 'static>(&self, name: &str) -> Option<Arc<T>> {
        lock(&self.names).get(name)?.get()
    }

    /// Whether a value has this name, of whatever type.
    pub fn contains(&self, name: &str) -> bool {
        lock(&self.names).get(name).is_some()
    }

    /// Adds a value to those of a key, after the others, until the returned guard is dropped.
    pub fn add<T: Send + Sync + 'static>(&self, key: &str, value: T) -> Added<T> {
        let value = Arc::new(value);
        let number = lock(&self.groups).add(key, Held::new(Arc::clone(&value)));
        Added::new(value, key, number, &self.groups)
    }

    /// The values of a key that are of this type, in the order in which they were added.
    pub fn values<T: Send + Sync + 'static>(&self, key: &str) -> Vec<Arc<T>> {
        lock(&self.groups).values(key).filter_map(Held::get).collect()
    }

    /// How many values a key has, of all types.
    pub fn count(&self, key: &str) -> usize {
        lock(&self.groups).count(key)
    }

    /// The values of a domain, which comes to be with its first value.
    pub fn domain(&self, name: impl Into<Arc<str>>) -> Domain {
        Domain::new(name.into(), &self.values)
    }

    /// Takes away what only the node keeps: the values of all domains.
    pub(crate) fn clear(&self) {
        let all = self.values.now().clear();
        // They may look here.
        drop(all);
    }
}

fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("names", &*lock(&self.names))
            .field("groups", &*lock(&self.groups))
            .field("values", &self.values)
            .finish()
    }
}
