//! How the services of a node begin.

use std::sync::Arc;

use crate::node::Node;
use crate::service::instance::{Service, ServiceError};
use crate::service::served::Served;

/// Gives the services of a node that has started their lives.
pub(super) async fn begin(
    services: Vec<Arc<Served>>,
    living: Vec<Service>,
    node: &Node,
) -> Result<(), ServiceError> {
    for served in services {
        Service::adopt(served, node).await?;
    }
    for service in living {
        service.start_on(node).await?;
    }
    Ok(())
}
