//! The contracts that this process knows: those that a node serves, and those of its clients.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::info::{MethodInfo, ServiceInfo};

/// Contracts by the wire name of the service: that of the service which the node serves, else that of
/// the first client. There are at most as many as the program has names of services.
#[derive(Debug)]
pub(crate) struct Contracts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    served: ByName,
    called: ByName,
}

type ByName = BTreeMap<&'static str, &'static ServiceInfo>;

impl Contracts {
    /// Those of the services of a node.
    pub(crate) fn new(served: impl Iterator<Item = &'static ServiceInfo>) -> Self {
        let served = served.map(|info| (info.service_name(), info)).collect();
        Self(Mutex::new(Known { served, called: ByName::new() }))
    }

    /// Takes in the contract of a client.
    pub(crate) fn learn(&self, info: &'static ServiceInfo) {
        self.lock().called.entry(info.service_name()).or_insert(info);
    }

    /// Takes in the contract of a service that the node serves.
    pub(crate) fn serve(&self, info: &'static ServiceInfo) {
        self.lock().served.insert(info.service_name(), info);
    }

    /// The node has no service of this name any more.
    pub(crate) fn withdraw(&self, service: &str) {
        self.lock().served.remove(service);
    }

    /// The contract of this name, and its method of this name.
    pub(crate) fn find(
        &self,
        service: &str,
        method: &str,
    ) -> Option<(&'static ServiceInfo, &'static MethodInfo)> {
        let known = self.lock();
        let info = known.served.get(service).or_else(|| known.called.get(service)).copied()?;
        let mut methods = info.methods().iter();
        Some((info, methods.find(|known| known.method_name() == method)?))
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<&'static ServiceInfo> {
        let known = self.lock();
        let mut all = known.called.clone();
        all.extend(&known.served);
        all.into_values().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
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
        // What is served no more leaves the client's.
        contracts.withdraw("Users");
        assert!(contracts.find("Users", "find").is_none());
        contracts.serve(&LATER);
        let names: Vec<_> = contracts.all().iter().map(|info| info.service_name()).collect();
        assert_eq!(names, ["Jobs", "Users"]);
    }
}
