//! Values by their type, for whoever shares a service.

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::lifecycle::hooks::contained;

type Values = BTreeMap<TypeId, (&'static str, Arc<dyn Any + Send + Sync>)>;

/// One value of each type: what plugins and the service itself share. Types of one's own keep
/// strangers apart.
///
/// It lives as long as the service: pausing and stopping plugins changes nothing here, and
/// [`ServiceHandle::stop`](crate::ServiceHandle::stop) drops all.
///
/// ```
/// use nebula::Extensions;
///
/// struct Hits(std::sync::atomic::AtomicU64);
/// let extensions = Extensions::default();
/// let hits = extensions.get_or_insert_with(|| Hits(0.into()));
/// hits.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
/// assert_eq!(extensions.get::<Hits>().unwrap().0.load(std::sync::atomic::Ordering::Relaxed), 1);
/// ```
#[derive(Default)]
pub struct Extensions(RwLock<Values>);

impl Extensions {
    /// The value of this type.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let values = self.read();
        typed(&values.get(&TypeId::of::<T>())?.1)
    }

    /// Puts a value here, in place of the one of its type, which it returns.
    pub fn insert<T: Send + Sync + 'static>(&self, value: T) -> Option<Arc<T>> {
        let value = (type_name::<T>(), Arc::new(value) as _);
        let before = self.write().insert(TypeId::of::<T>(), value)?;
        typed(&before.1)
    }

    /// The value of this type, made now if there is none. Of several who ask at once one makes it,
    /// and must not ask here meanwhile.
    pub fn get_or_insert_with<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(value) = self.get() {
            return value;
        }
        let mut values = self.write();
        if let Some(value) = values.get(&TypeId::of::<T>()).and_then(|(_, value)| typed(value)) {
            return value;
        }
        let value = Arc::new(make());
        values.insert(TypeId::of::<T>(), (type_name::<T>(), Arc::clone(&value) as _));
        value
    }

    /// Takes the value of this type away.
    pub fn remove<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let before = self.write().remove(&TypeId::of::<T>())?;
        typed(&before.1)
    }

    /// Takes all away.
    pub(crate) fn clear(&self) {
        // What they drop may look here, and panic.
        let all = std::mem::take(&mut *self.write());
        for value in all.into_values() {
            contained("drop what a service shared", || drop(value));
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Values> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Values> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn typed<T: Send + Sync + 'static>(value: &Arc<dyn Any + Send + Sync>) -> Option<Arc<T>> {
    Arc::clone(value).downcast().ok()
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.read().values().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_one_value() {
        let extensions = Extensions::default();
        assert_eq!(extensions.get::<u8>(), None);
        assert_eq!(extensions.insert(1_u8), None);
        assert_eq!(extensions.insert(2_u8).as_deref(), Some(&1));
        assert_eq!(*extensions.get_or_insert_with(|| 3_u8), 2);
        assert_eq!(*extensions.get_or_insert_with(|| "text"), "text");
        assert_eq!(extensions.remove::<u8>().as_deref(), Some(&2));
        assert_eq!(extensions.get::<u8>(), None);
        assert_eq!(format!("{extensions:?}"), r#"["&str"]"#);
        extensions.clear();
        assert_eq!(extensions.get::<&str>(), None);
    }

    #[test]
    fn a_value_that_looks_here_when_it_goes_is_no_deadlock() {
        struct Curious(Arc<Extensions>);
        impl Drop for Curious {
            fn drop(&mut self) {
                assert!(self.0.get::<u8>().is_none());
            }
        }
        let extensions = Arc::new(Extensions::default());
        extensions.insert(Curious(Arc::clone(&extensions)));
        extensions.clear();
    }
}
