//! Values that outlive the services of a node.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::error::ValueError;
use super::held::Held;
use super::turns::{Turns, has_turn};
use crate::service::input::panic_message;

/// Values by their keys, in a room of their own: [`Registry::domain`](super::Registry::domain).
///
/// They stay until they are removed or the node is [shut down](crate::Node::shutdown), whatever
/// becomes of the services that use them. They are of this node alone: nothing is sent. A clone is
/// another handle of the same domain.
///
/// A value is of the type with which it was put: `put("hits", 0)` puts an `i32`.
///
/// ```
/// use nebula::Registry;
///
/// # fn main() -> nebula::Result<()> {
/// let registry = Registry::default();             // of a node: `node.registry()`
/// let billing = registry.domain("billing");
///
/// billing.put_new("invoices", 0_i64);             // nothing, if a service before this one did it
/// assert_eq!(billing.increment("invoices", 2)?, 2);
///
/// billing.put("rates", vec![19_u32, 7]);
/// let rates = billing.update("rates", |rates: &mut Vec<u32>| {
///     rates.push(0);
///     rates.len()
/// })?;
/// assert_eq!(rates, 3);
/// assert_eq!(*billing.get::<Vec<u32>>("rates").unwrap(), [19, 7, 0]);
///
/// billing.insert_unique("countries", "de")?;
/// billing.insert_unique("countries", "fr")?;
/// assert!(!billing.insert_unique("countries", "de")?);
/// assert_eq!(*billing.get::<Vec<&str>>("countries").unwrap(), ["fr", "de"]);
/// # Ok(())
/// # }
/// ```
///
/// # Who waits for whom
///
/// What reads never waits for code of the application, and sees the value from before an
/// [`update`](Self::update) until that has ended. Whoever would write a value that is being updated
/// waits, with its thread, until the update has ended; other values are not concerned. There is no
/// promise about who is next of those that wait.
///
/// Inside an update, reading is free. Another update, [`increment`](Self::increment) or
/// [`insert_unique`](Self::insert_unique) is refused there as [`ValueError::Nested`];
/// [`put`](Self::put) and [`remove`](Self::remove) are done at once, and an update of the same
/// value that is overtaken in this way, wherever it runs, ends with [`ValueError::Overtaken`]. So
/// no updates ever wait for each other. An update that waits for a thread which writes the same
/// value waits for ever.
#[derive(Clone)]
pub struct Domain {
    name: Arc<str>,
    values: Arc<Turns>,
}

impl Domain {
    pub(crate) fn new(name: Arc<str>, values: &Arc<Turns>) -> Self {
        Self { name, values: Arc::clone(values) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value, if there is one and it is of this type.
    pub fn get<T: Send + Sync + 'static>(&self, key: &str) -> Option<Arc<T>> {
        self.values.now().get(&self.name, key)?.get()
    }

    /// The value, or else this one, which is not kept.
    pub fn get_or<T: Send + Sync + 'static>(&self, key: &str, default: T) -> Arc<T> {
        self.get(key).unwrap_or_else(|| Arc::new(default))
    }

    /// Whether there is a value, of whatever type.
    pub fn contains(&self, key: &str) -> bool {
        self.values.now().get(&self.name, key).is_some()
    }

    /// Puts a value here, in place of the one that was there, of whatever type. Returns that, if it
    /// was of the same type.
    pub fn put<T: Send + Sync + 'static>(&self, key: &str, value: T) -> Option<Arc<T>> {
        let value = Held::new(Arc::new(value));
        let before = self.values.settled(&self.name, key).put(&self.name, key, value);
        before?.get()
    }

    /// Puts a value here unless there is one, of whatever type. Says whether it did.
    pub fn put_new<T: Send + Sync + 'static>(&self, key: &str, value: T) -> bool {
        self.put_held(key, Held::new(Arc::new(value)))
    }

    /// Takes a value away. Says whether there was one.
    pub fn remove(&self, key: &str) -> bool {
        let gone = self.values.settled(&self.name, key).remove(&self.name, key);
        gone.is_some()
    }

    /// Adds to a number, and returns the sum.
    ///
    /// # Errors
    ///
    /// There is no value, it is no `i64`, or the sum would be none; or this was called inside an
    /// update. The value is as it was.
    pub fn increment(&self, key: &str, by: i64) -> Result<i64, ValueError> {
        self.outside(key)?;
        let mut values = self.values.settled(&self.name, key);
        let held = values.get(&self.name, key).ok_or_else(|| self.missing(key))?;
        let value = *held.get::<i64>().ok_or_else(|| self.wrong_type::<i64>(key, held))?;
        let sum = value.checked_add(by).ok_or_else(|| {
            let (domain, key) = self.place(key);
            ValueError::Overflow { domain, key, value, by }
        })?;
        values.put(&self.name, key, Held::new(Arc::new(sum)));
        Ok(sum)
    }

    /// Changes a value, and returns what the change returns. No two run at once on one value; what
    /// the type says about [who waits](Self#who-waits-for-whom) applies.
    ///
    /// `change` works on a clone, which takes the place of the value in the end. It should be
    /// short: threads may wait for it.
    ///
    /// ```
    /// use nebula::registry::{Registry, ValueError};
    ///
    /// let domain = Registry::default().domain("stock");
    /// domain.put("pears", 2_u32);
    ///
    /// let error = domain.update("pears", |pears: &mut u32| {
    ///     *pears = 0;
    ///     assert!(*pears > 0, "sold out");
    /// });
    /// assert!(matches!(error, Err(ValueError::Panicked { .. })));
    /// assert_eq!(*domain.get::<u32>("pears").unwrap(), 2);
    /// ```
    ///
    /// # Errors
    ///
    /// There is no value, or one of another type; `change` or the cloning panicked; the value was
    /// overtaken, or this was called inside an update. The value is as it was, or as what has
    /// overtaken this left it.
    pub fn update<T, R>(&self, key: &str, change: impl FnOnce(&mut T) -> R) -> Result<R, ValueError>
    where
        T: Clone + Send + Sync + 'static,
    {
        self.change(key, |value: &T| {
            let mut value = value.clone();
            let result = change(&mut value);
            (Some(value), result)
        })
    }

    /// Puts a value at the front of a `Vec<T>` that has no equal to it. Says whether it did. Where
    /// there is no value yet, it makes the list.
    ///
    /// It compares with all that are there, and copies them: this is for short lists.
    ///
    /// # Errors
    ///
    /// The value is no `Vec<T>`; comparing or cloning panicked; the value was overtaken, or this
    /// was called inside an update. The list is as it was, or as what has overtaken this left it.
    pub fn insert_unique<T>(&self, key: &str, value: T) -> Result<bool, ValueError>
    where
        T: Clone + PartialEq + Send + Sync + 'static,
    {
        self.outside(key)?;
        let list = self.contained(key, || Held::new(Arc::new(vec![value.clone()])))?;
        loop {
            if self.put_held(key, list.clone()) {
                return Ok(true);
            }
            let inserted = self.change(key, |list: &Vec<T>| {
                if list.contains(&value) {
                    return (None, false);
                }
                let mut longer = Vec::with_capacity(list.len() + 1);
                longer.push(value.clone());
                longer.extend_from_slice(list);
                (Some(longer), true)
            });
            // Somebody removed it in between.
            if !matches!(inserted, Err(ValueError::Missing { .. })) {
                return inserted;
            }
        }
    }

    fn put_held(&self, key: &str, value: Held) -> bool {
        // A value that is there stays, so there is nothing to wait for.
        let mut values = self.values.now();
        let is_new = values.get(&self.name, key).is_none();
        if is_new {
            values.put(&self.name, key, value);
        }
        is_new
    }

    /// Runs what makes a new value of the old one, or keeps that, as the only one that does.
    fn change<T: Send + Sync + 'static, R>(
        &self,
        key: &str,
        work: impl FnOnce(&T) -> (Option<T>, R),
    ) -> Result<R, ValueError> {
        self.outside(key)?;
        // In this order: what may be the last of the old value is dropped after the turn.
        let (held, turn) = self.values.begin(&self.name, key).ok_or_else(|| self.missing(key))?;
        let before = held.get::<T>().ok_or_else(|| self.wrong_type::<T>(key, &held))?;
        let (value, result) = self.contained(key, || work(&before))?;
        if value.is_none_or(|value| turn.commit(Held::new(Arc::new(value)))) {
            return Ok(result);
        }
        let (domain, key) = self.place(key);
        Err(ValueError::Overtaken { domain, key })
    }

    fn contained<R>(&self, key: &str, work: impl FnOnce() -> R) -> Result<R, ValueError> {
        // What it leaves half done is the clone, which nobody else sees.
        catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
            let (domain, key) = self.place(key);
            ValueError::Panicked { domain, key, message: panic_message(panic) }
        })
    }

    fn outside(&self, key: &str) -> Result<(), ValueError> {
        if has_turn() {
            let (domain, key) = self.place(key);
            return Err(ValueError::Nested { domain, key });
        }
        Ok(())
    }

    fn missing(&self, key: &str) -> ValueError {
        let (domain, key) = self.place(key);
        ValueError::Missing { domain, key }
    }

    fn wrong_type<T>(&self, key: &str, held: &Held) -> ValueError {
        let (domain, key) = self.place(key);
        let (found, expected) = (held.type_name(), std::any::type_name::<T>());
        ValueError::WrongType { domain, key, found, expected }
    }

    fn place(&self, key: &str) -> (Box<str>, Box<str>) {
        (Box::from(&*self.name), key.into())
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Domain").field(&self.name).finish()
    }
}
