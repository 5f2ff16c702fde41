use std::sync::Arc;

use super::{Inner, Mesh, lock};
use crate::ServeError;
use crate::directory::NodeRecord;
use crate::rpc::Service;
use crate::rpc::services::Table;
use crate::start::dated;

impl Mesh {
    /// Offers one more service from now on. If it is advertised, the others are told at once in a
    /// new version of the node's record. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// The node has a service of that name, or a method of the same wire id, or the record would
    /// exceed a limit once all services are advertised: nothing has changed then.
    pub fn serve(&self, mut service: Service) -> Result<(), ServeError> {
        dated(&mut service);
        self.0.change_services(|services| {
            services.push(Arc::new(service));
            self.0.has_room(services)
        })
    }

    /// Offers the service of this name no longer, and tells the others; false if there is none.
    /// Its calls under way go on, those that come later are refused as not executed. Must be
    /// called within a Tokio runtime.
    pub fn remove_service(&self, name: &str) -> bool {
        // With one service less, the record is within each limit that it was within before.
        let removed = self.0.change_services(|services| {
            let at = position(services, name)?;
            services.remove(at);
            Ok(())
        });
        removed.is_ok()
    }

    /// Changes whether the node's record names this service, and tells the others. It takes the
    /// calls that come either way, unless its handler refuses them. Must be called within a Tokio
    /// runtime.
    ///
    /// # Errors
    /// The node has no such service, or the record would exceed a limit: nothing has changed then.
    pub fn set_advertised(&self, name: &str, advertised: bool) -> Result<(), ServeError> {
        self.0.change_services(|services| {
            let at = position(services, name)?;
            if let Some(service) = services.get_mut(at) {
                *service = Arc::new(Service::clone(service).advertised(advertised));
            }
            Ok(())
        })
    }
}

impl Inner {
    /// Changes the list of services, and with it what this node says of itself, or nothing.
    fn change_services(
        &self,
        change: impl FnOnce(&mut Vec<Arc<Service>>) -> Result<(), ServeError>,
    ) -> Result<(), ServeError> {
        // A handler that goes with its service is the application's, and may come back here when it
        // is dropped: what holds one is dropped after the lock.
        let (mut services, next, mut before);
        let _turn = lock(&self.services.changing);
        services = self.services.load().services().to_vec();
        change(&mut services)?;
        next = Arc::new(Table::new(&services)?);
        let records = next.records();
        before = None;
        let mut replace = || before = Some(self.services.replace(next.clone()));
        if self.state().own.record().services == records {
            replace();
            return Ok(());
        }
        // Nobody is told of a service before its calls find it.
        self.try_update_record_then(|record| record.services = records, replace)?;
        Ok(())
    }

    /// Whether the record can name all of these, be they advertised or not, so that each can be at
    /// any time.
    fn has_room(&self, services: &[Arc<Service>]) -> Result<(), ServeError> {
        let mut record = NodeRecord::clone(self.state().own.record());
        record.services = services.iter().map(|service| service.record()).collect();
        // The longest there is.
        record.version = u64::MAX;
        record.encode()?;
        Ok(())
    }
}

fn position(services: &[Arc<Service>], name: &str) -> Result<usize, ServeError> {
    let at = services.iter().position(|service| service.name == name);
    at.ok_or_else(|| ServeError::UnknownService(name.to_owned()))
}
