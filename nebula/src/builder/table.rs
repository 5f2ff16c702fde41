//! The services of a node, checked against each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Result;
use crate::error::Error;
use crate::service::info::ServiceInfo;
use crate::service::serve::Dispatch;
use crate::service::served::Served;

/// The services by name.
pub(super) fn table(
    services: Vec<Arc<dyn Dispatch>>,
    node: &str,
) -> Result<BTreeMap<&'static str, Arc<Served>>> {
    let mut table = BTreeMap::new();
    for service in services {
        let info = service.info();
        check_ids(info)?;
        if table.insert(info.service_name(), Served::new(service)).is_some() {
            return Err(Error::msg(format!(
                "two services named `{}` on one node, `{node}`: serve one of them elsewhere, \
                 name it apart with `#[service(name = \"…\")]`, or serve another instance of one \
                 contract by `.service(Service::new(..).name(\"…\"))`",
                info.service_name(),
            )));
        }
    }
    Ok(table)
}

/// The wire ids of a service's methods tell them apart.
fn check_ids(info: &'static ServiceInfo) -> Result<()> {
    let mut seen = BTreeMap::new();
    for method in info.methods() {
        if let Some(other) = seen.insert(method.wire_id(), method.method_name()) {
            return Err(Error::msg(format!(
                "the methods `{other}` and `{}` of `{}` have one wire id: name one of them apart \
                 with `#[api(name = \"…\")]`",
                method.method_name(),
                info.service_name(),
            )));
        }
    }
    Ok(())
}
