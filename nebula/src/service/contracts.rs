//! The contracts that this process knows: those that a node serves, and those of its clients.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::info::{MethodInfo, ServiceInfo};

/// Contracts by the wire name of the service. Of several under one name that of the last service is
/// kept, else that of the first client. There are at most as many as the program has names of
/// services.
#[derive(Debug)]
pub(crate) struct Contracts(Mutex<BTreeMap<&'static str, &'static ServiceInfo>>);

impl Contracts {
    /// Those of the services of a node.
    pub(crate) fn new(served: impl Iterator<Item = &'static ServiceInfo>) -> Self {
        Self(Mutex::new(served.map(|info| (info.service_name(), info)).collect()))
    }

    /// Takes in the contract of a client.
    pub(crate) fn learn(&self, info: &'static ServiceInfo) {
        self.lock().entry(info.service_name()).or_insert(info);
    }

    /// Takes in the contract of a service that the node serves, in place of others of its name.
    pub(crate) fn serve(&self, info: &'static ServiceInfo) {
        self.lock().insert(info.service_name(), info);
    }

    /// The contract of this name, and its method of this name.
    pub(crate) fn find(
        &self,
        service: &str,
        method: &str,
    ) -> Option<(&'static ServiceInfo, &'static MethodInfo)> {
        let info = self.lock().get(service).copied()?;
        let mut methods = info.methods().iter();
        Some((info, methods.find(|known| known.method_name() == method)?))
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<&'static ServiceInfo> {
        self.lock().values().copied().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, &'static ServiceInfo>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_comes_first() {
        const FIND: MethodInfo = MethodInfo::new("Users", "find", "(u64)->u64");
        const SERVED: ServiceInfo = ServiceInfo::new("Users", &[&FIND]).on("&db");
        const CALLED: ServiceInfo = ServiceInfo::new("Users", &[]);
        const OTHER: ServiceInfo = ServiceInfo::new("Jobs", &[]);
        let contracts = Contracts::new([&SERVED].into_iter());
        contracts.learn(&CALLED);
        contracts.learn(&OTHER);
        const LATER: ServiceInfo = ServiceInfo::new("Users", &[&FIND]);
        assert_eq!(contracts.find("Users", "find").unwrap().0.selector(), Some("&db"));
        assert!(contracts.find("Users", "put").is_none() && contracts.find("X", "find").is_none());
        contracts.serve(&LATER);
        assert_eq!(contracts.find("Users", "find").unwrap().0.selector(), None);
        let names: Vec<_> = contracts.all().iter().map(|info| info.service_name()).collect();
        assert_eq!(names, ["Jobs", "Users"]);
    }
}
