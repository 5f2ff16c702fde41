//! What was meant by the name of a method that nobody is known to have.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use crate::node::Node;
use crate::nodes::closest;

/// The methods that are known, by the names of their services.
type Names = BTreeMap<String, BTreeSet<String>>;

/// The known name that is at most two letters away: of the method, or of the service if that has no
/// such method.
pub(super) fn nearest(node: &Node, service: &str, method: &str) -> Option<String> {
    let mut known = Names::new();
    for info in node.contracts().all() {
        let names = info.methods().iter().map(|method| method.method_name().to_owned());
        known.entry(info.service_name().to_owned()).or_default().extend(names);
    }
    let view = node.mesh().view();
    for record in view.nodes().iter().filter_map(|node| node.record.as_ref()) {
        for service in &record.services {
            let names = service.methods.iter().map(|method| method.name.clone());
            known.entry(service.name.clone()).or_default().extend(names);
        }
    }
    among(&known, service, method)
}

fn among(known: &Names, service: &str, method: &str) -> Option<String> {
    if let Some(methods) = known.get(service) {
        let known = methods.contains(method);
        let near = closest(method, methods.iter().map(String::as_str)).filter(|_| !known)?;
        return Some(format!("{service}.{near}"));
    }
    let service = closest(service, known.keys().map(String::as_str))?;
    let methods = known.get(&service)?;
    let near = closest(method, methods.iter().map(String::as_str));
    Some(near.map_or(service.clone(), |method| format!("{service}.{method}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_name_is_offered() {
        let methods = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let known = Names::from([
            ("Orders".to_owned(), methods(&["get", "put"])),
            ("Users".to_owned(), methods(&["find"])),
        ]);
        for (service, method, meant) in [
            ("Orders", "gett", Some("Orders.get")),
            ("Order", "get", Some("Orders.get")),
            ("order", "pt", Some("Orders.put")),
            ("Order", "remove", Some("Orders")),
            ("Orders", "remove", None),
            // It is no word of its own that keeps it from being asked.
            ("Orders", "get", None),
            ("Invoices", "get", None),
            ("", "", None),
        ] {
            assert_eq!(among(&known, service, method).as_deref(), meant, "{service}.{method}");
        }
    }
}
