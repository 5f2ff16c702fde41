//! The services that live on a node, by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::instance::{ServiceError, ServiceHandle};

/// A name is taken from before its service is started until after it has stopped.
#[derive(Debug, Default)]
pub(crate) struct Services(Mutex<BTreeMap<Arc<str>, Option<ServiceHandle>>>);

/// A name that is taken, for a service that is being made. Dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Place<'s> {
    services: &'s Services,
    name: Option<Arc<str>>,
}

impl Services {
    /// Takes a name.
    pub(crate) fn occupy(&self, name: &Arc<str>) -> Result<Place<'_>, ServiceError> {
        let mut services = self.lock();
        if services.contains_key(name) {
            return Err(ServiceError::NameTaken(Arc::clone(name)));
        }
        services.insert(Arc::clone(name), None);
        Ok(Place { services: self, name: Some(Arc::clone(name)) })
    }

    /// Gives a name back.
    pub(crate) fn vacate(&self, name: &str) {
        let gone = self.lock().remove(name);
        // What goes with it may look here.
        drop(gone);
    }

    pub(crate) fn get(&self, name: &str) -> Option<ServiceHandle> {
        self.lock().get(name)?.clone()
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<ServiceHandle> {
        self.lock().values().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Option<ServiceHandle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// The service that has the name from now on.
    pub(crate) fn fill(mut self, service: ServiceHandle) {
        if let Some(name) = self.name.take() {
            self.services.lock().insert(name, Some(service));
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.services.vacate(name);
        }
    }
}
