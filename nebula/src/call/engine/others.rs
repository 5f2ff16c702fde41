//! What a node has in place of a service that it does not have.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use macula::directory::{NodeRecord, View};

use crate::node::Node;
use crate::service::info::ServiceInfo;

/// How many other services of a contract are named at most.
const NAMED: usize = 4;

/// The services of a contract that have other names than the one that is sought.
pub(crate) struct Others<'a> {
    /// None if nobody would be helped by them: a tool asks, which has no contract, or somebody has
    /// the service that is sought, so that its name is right.
    contract: Option<&'static ServiceInfo>,
    node: &'a Node,
}

impl<'a> Others<'a> {
    pub(crate) fn new(
        contract: Option<&'static ServiceInfo>,
        sought: &str,
        view: &View,
        node: &'a Node,
    ) -> Self {
        let mut records = view.nodes().iter().filter_map(|known| known.record.as_ref());
        let mut is_known = || {
            node.served(sought).is_some()
                || records.any(|record| record.services.iter().any(|one| one.name == sought))
        };
        Self { contract: contract.filter(|_| !is_known()), node }
    }

    /// What is said of the node that asks.
    pub(crate) fn here(&self) -> String {
        let served = self.node.served_here().into_iter().filter(|served| !served.is_closed());
        let same = |other: &&ServiceInfo| {
            self.fits(|name, key| {
                let mut methods = other.methods().iter();
                methods.any(|method| method.method_name() == name && method.key() == key)
            })
        };
        said(served.map(|served| served.info()).filter(same).map(ServiceInfo::service_name))
    }

    /// What is said of the node with this record.
    pub(crate) fn of(&self, record: &NodeRecord) -> String {
        let same = record.services.iter().filter(|other| {
            self.fits(|name, key| {
                other.methods.iter().any(|method| method.name == name && method.key == key)
            })
        });
        said(same.map(|other| &*other.name))
    }

    /// Whether a service has all methods of the contract; `has` says whether it has one, in this
    /// shape.
    fn fits(&self, has: impl Fn(&str, [u8; 8]) -> bool) -> bool {
        self.contract.is_some_and(|contract| {
            contract.methods().iter().all(|method| has(method.method_name(), method.key()))
        })
    }
}

fn said<'n>(mut others: impl Iterator<Item = &'n str>) -> String {
    let named: Vec<_> = others.by_ref().take(NAMED).map(|other| format!("`{other}`")).collect();
    let more = match others.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match named.is_empty() {
        true => "does not serve it".to_owned(),
        false => format!("serves this contract as {}{more} only", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_named_and_the_rest_is_counted() {
        assert_eq!(said([].into_iter()), "does not serve it");
        assert_eq!(said(["a"].into_iter()), "serves this contract as `a` only");
        let many = ["a", "b", "c", "d", "e", "f"].into_iter();
        assert_eq!(said(many), "serves this contract as `a`, `b`, `c`, `d` and 2 more only");
    }
}
