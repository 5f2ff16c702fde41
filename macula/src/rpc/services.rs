//! The services of a node, which come and go while it runs.
//!
//! Promise: a request finds its method in one table, that of before a change or that of after it,
//! and waits for nobody. What a call has found it keeps, whatever changes while it runs.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};

use super::{Method, Service};
use crate::ServeError;
use crate::directory::ServiceRecord;

/// The table of now.
pub(crate) struct Services {
    table: ArcSwap<Table>,
    /// Held from reading the table until the changed one is in its place.
    pub(crate) changing: Mutex<()>,
}

impl Services {
    pub(crate) fn new(table: Table) -> Self {
        Self { table: ArcSwap::from_pointee(table), changing: Mutex::default() }
    }

    /// Costs no lock.
    pub(crate) fn load(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    /// Puts another table in place, and gives the one before. It may hold the last of a handler,
    /// which is the application's: to be dropped when nothing is locked.
    #[must_use]
    pub(crate) fn replace(&self, table: Arc<Table>) -> Arc<Table> {
        self.table.swap(table)
    }
}

/// Services, and where each method is found.
#[derive(Default)]
pub(crate) struct Table {
    services: Vec<Arc<Service>>,
    methods: BTreeMap<u64, (Arc<Service>, usize)>,
}

impl Table {
    /// A table of these, which drops the last of none of them.
    ///
    /// # Errors
    ///
    /// Refuses two services of one name, two methods of one wire id, and a service that no record
    /// could name.
    pub(crate) fn new(services: &[Arc<Service>]) -> Result<Self, ServeError> {
        let mut methods: BTreeMap<u64, (Arc<Service>, usize)> = BTreeMap::new();
        for (index, service) in services.iter().enumerate() {
            if services.iter().take(index).any(|earlier| earlier.name == service.name) {
                return Err(ServeError::DuplicateService(service.name.clone()));
            }
            service.record().check()?;
            for (position, method) in service.methods.iter().enumerate() {
                let path = |service: &Service, method: &Method| {
                    format!("{}/{}", service.name, method.name)
                };
                if let Some((other, at)) = methods.insert(method.id, (service.clone(), position)) {
                    let other = other.methods.get(at).map(|method| path(&other, method));
                    let other = other.unwrap_or_default();
                    return Err(ServeError::MethodCollision(other, path(service, method)));
                }
            }
        }
        Ok(Self { services: services.to_vec(), methods })
    }

    /// In the order in which they came.
    pub(crate) fn services(&self) -> &[Arc<Service>] {
        &self.services
    }

    /// What the node says of those that are advertised.
    pub(crate) fn records(&self) -> Vec<ServiceRecord> {
        let told =
            |service: &&Arc<Service>| service.advertised || cfg!(mutant = "hidden_service_is_told");
        let advertised = self.services.iter().filter(told);
        advertised.map(|service| service.record()).collect()
    }

    pub(super) fn find(&self, method: u64) -> Option<(&Arc<Service>, usize, &Method)> {
        let (service, position) = self.methods.get(&method)?;
        Some((service, *position, service.methods.get(*position)?))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use super::*;
    use crate::directory::{Field, RecordError};
    use crate::rpc::admission::Gate;
    use crate::rpc::{Answer, Fault, Handler, Incoming};

    struct Never;

    impl Handler for Never {
        fn handle(
            &self,
            _: Incoming,
        ) -> Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>> {
            Box::pin(std::future::pending())
        }
    }

    fn service(name: &str, methods: &[u64]) -> Arc<Service> {
        let method = |id: &u64| Method::new(format!("m{id}"), *id, [0; 8], Gate::new(1, 0));
        Arc::new(Service::new(name, methods.iter().map(method), Arc::new(Never)))
    }

    fn refused<const N: usize>(services: [Arc<Service>; N]) -> ServeError {
        Table::new(&services).err().unwrap()
    }

    #[test]
    fn each_method_is_found_in_its_service() {
        let hidden = Service::clone(&service("b", &[7])).advertised(false);
        let table = Table::new(&[service("a", &[3, 5]), hidden.into()]).unwrap();
        let find = |id| {
            let (service, position, method) = table.find(id)?;
            Some((&*service.name, position, method.id))
        };
        assert_eq!(find(3), Some(("a", 0, 3)));
        assert_eq!(find(5), Some(("a", 1, 5)));
        assert_eq!(find(7), Some(("b", 0, 7)), "advertised or not");
        assert_eq!(find(4), None);
        let names: Vec<_> = table.records().into_iter().map(|record| record.name).collect();
        assert_eq!(names, ["a"]);
    }

    #[test]
    fn what_cannot_be_told_apart_or_told_at_all_is_refused() {
        let twice = refused([service("a", &[1]), service("a", &[2])]);
        assert_eq!(twice, ServeError::DuplicateService("a".into()));
        let clash = refused([service("a", &[1]), service("b", &[2, 1])]);
        assert_eq!(clash, ServeError::MethodCollision("a/m1".into(), "b/m1".into()));
        let nameless = Service::clone(&service("", &[])).advertised(false);
        let length =
            RecordError::Length { field: Field::ServiceName, bytes: 0, least: 1, most: 128 };
        assert_eq!(refused([nameless.into()]), ServeError::Record(length));
    }
}
