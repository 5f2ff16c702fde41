//! Nodes that are started more than once, by tests.

use std::sync::Arc;

use macula::identity::SecretKey;

use super::NodeBuilder;
use crate::service::serve::Dispatch;

impl NodeBuilder {
    /// The same again, with the same services.
    pub(crate) fn again(&self) -> Self {
        // What has a life of its own cannot be copied: who starts the node again, starts it again.
        let (settings, services) = (self.settings.clone(), self.services.clone());
        Self { settings, services, living: Vec::new() }
    }

    /// Whether it was told whom to join by.
    pub(crate) fn has_seeds(&self) -> bool {
        !self.settings.seeds.is_empty() || !self.settings.seed_files.is_empty()
    }

    /// Serves what has been erased already.
    pub(crate) fn serve_erased(mut self, service: Arc<dyn Dispatch>) -> Self {
        self.services.push(service);
        self
    }

    /// Uses this key, in a life with this number, in place of a key file.
    pub(crate) fn key(mut self, key: SecretKey, life: u64) -> Self {
        self.settings.identity = None;
        self.settings.key = Some((key, life));
        self
    }
}
