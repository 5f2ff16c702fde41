//! What a node can say about a method by its names, for tools. Nothing here sends or waits.

use std::sync::Arc;

use crate::call::engine::reach::{Here, Sought, Whom};
use crate::call::inspect::{available, configured, explain};
use crate::call::{NodeRef, Why};
use crate::node::Node;
use crate::nodes::Selector;
use crate::service::info::{ServiceInfo, method_id, parse_selector};
use crate::service::served::Served;

/// The questions are about a call that says nothing of its own, made by a client without options.
/// What attributes say of a method, its default selector and the shape of its arguments, is known
/// of the services that this node serves or has clients of; of all others it is known who serves
/// them.
impl Node {
    /// Who would be asked now for the method of these wire names, in the order of their names.
    /// Empty for a service or a method that nobody serves.
    pub fn available_nodes(&self, service: &str, method: &str) -> Vec<NodeRef> {
        self.about(service, method, |sought| available(self, sought))
    }

    /// The full names of the nodes that the topology declares for the method of these wire names,
    /// live or not, sorted: those that the default selector means, or all of them if there is none.
    ///
    /// Empty without a topology, and for methods whose attributes are not known here.
    pub fn configured_nodes(&self, service: &str, method: &str) -> Vec<String> {
        match self.contracts().find(service, method) {
            Some(_) => self.about(service, method, |sought| configured(self, sought)),
            None => Vec::new(),
        }
    }

    /// What would keep each known node from being asked for the method of these wire names, and
    /// which ones can be asked.
    pub fn why(&self, service: &str, method: &str) -> Why {
        self.about(service, method, |sought| explain(self, sought))
    }

    fn about<R>(&self, service: &str, method: &str, ask: impl FnOnce(&Sought<'_>) -> R) -> R {
        let known = self.contracts().find(service, method);
        let selector = known.and_then(|(info, method)| default_selector(info, method.selector()));
        let serves = |served: &Arc<Served>| {
            served.info().methods().iter().any(|known| known.method_name() == method)
        };
        let served = self.served(service).filter(serves);
        ask(&Sought {
            client: None,
            global: true,
            service,
            method,
            id: method_id(service, method),
            key: known.map(|(_, method)| method.key()),
            whom: Whom::by(selector.as_ref()),
            version: None,
            itself: self.id(),
            here: match &served {
                Some(served) => Here::of(self, service, Some(served)),
                None => Here::Not,
            },
        })
    }
}

/// The selector of calls that do not say one.
pub(crate) fn default_selector(
    service: &ServiceInfo,
    method: Option<&'static str>,
) -> Option<Selector> {
    method.or(service.selector()).map(parse_selector)
}
