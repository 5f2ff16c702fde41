//! The services that live on a node, by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::instance::{ServiceError, ServiceHandle};

/// A name is taken from before its service is started until after it has stopped.
#[derive(Debug, Default)]
pub(crate) struct Services(Mutex<Names>);

#[derive(Debug, Default)]
struct Names {
    taken: BTreeMap<Arc<str>, Option<ServiceHandle>>,
    /// The node leaves: nothing comes any more.
    closed: bool,
}

/// A name that is taken, for a service that is being made. Dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Place<'s> {
    services: &'s Services,
    name: Option<Arc<str>>,
}

impl Services {
    /// Takes a name.
    pub(crate) fn occupy(&self, name: &Arc<str>) -> Result<Place<'_>, ServiceError> {
        let mut names = self.lock();
        if names.closed {
            return Err(ServiceError::NodeStopped);
        }
        if names.taken.contains_key(name) {
            return Err(ServiceError::NameTaken(Arc::clone(name)));
        }
        names.taken.insert(Arc::clone(name), None);
        Ok(Place { services: self, name: Some(Arc::clone(name)) })
    }

    /// Gives a name back.
    pub(crate) fn vacate(&self, name: &str) {
        let gone = self.lock().taken.remove(name);
        // What goes with it may look here.
        drop(gone);
    }

    pub(crate) fn get(&self, name: &str) -> Option<ServiceHandle> {
        self.lock().taken.get(name)?.clone()
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<ServiceHandle> {
        self.lock().taken.values().flatten().cloned().collect()
    }

    /// Takes in none any more, and gives all that are here.
    pub(crate) fn close(&self) -> Vec<ServiceHandle> {
        let mut names = self.lock();
        names.closed = true;
        names.taken.values().flatten().cloned().collect()
    }

    /// Whether it takes in none any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// The service that has the name from now on. Either whoever closes the services sees it, or it
    /// is refused.
    pub(crate) fn fill(mut self, service: ServiceHandle) -> Result<(), ServiceError> {
        let mut names = self.services.lock();
        if names.closed {
            drop(names);
            return Err(ServiceError::NodeStopped);
        }
        if let Some(name) = self.name.take() {
            names.taken.insert(name, Some(service));
        }
        Ok(())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.services.vacate(name);
        }
    }
}
