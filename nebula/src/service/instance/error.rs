//! Why a service is not started, or not changed.

use std::sync::Arc;

use super::super::plugin::OrderError;
use crate::config::ConfigError;
use crate::service::info::BadServiceName;
use crate::service::lifecycle::{Failure, LifecycleError};

/// Why a service was not started or not changed. Unless the variant says otherwise, what it was
/// before it still is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// Something about the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something about the order of the plugins.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The service is not in the state that was asked for.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// The node serves something else under this name.
    #[error(
        "this node serves something called `{0}` already: stop that first, or serve this one on \
         another node, or give this one a name of its own"
    )]
    NameTaken(Arc<str>),
    /// It cannot be called so.
    #[error(transparent)]
    Name(#[from] BadServiceName),
    /// The node has stopped, or is about to.
    #[error("the node has stopped")]
    NodeStopped,
    /// Nobody is here who could run it.
    #[error(
        "a service is started within a Tokio runtime: call this in `Runtime::block_on`, or where \
         `Runtime::enter` holds"
    )]
    NoRuntime,
    /// What the node would have to tell others of the service is refused.
    #[error("the service cannot be told to others: {0}")]
    Record(String),
    /// The service has no plugin of this name.
    #[error("the service has no plugin called `{name}`: it has {}", list(.known))]
    UnknownPlugin {
        /// The name.
        name: String,
        /// Those it has, top first.
        known: Vec<String>,
    },
    /// The plugin is needed by another one, which would have to go first.
    #[error("the plugin `{name}` is needed by `{by}`: remove that first")]
    Needed {
        /// The plugin.
        name: String,
        /// One that needs it.
        by: String,
    },
    /// The code of a plugin, or of the service, panicked when it was asked what it is or was made.
    /// All is as it was.
    #[error("the code of a plugin or of the service panicked, and nothing has changed: {0}")]
    Panicked(String),
    /// A plugin does not start, or does not take its new configuration. All is as it was.
    #[error("the plugin `{name}` failed, and nothing has changed: {message}")]
    Plugin {
        /// The plugin.
        name: String,
        /// What it said.
        message: String,
    },
    /// A plugin that was stopped to be started again does not start. The service has failed, and is
    /// started again by itself; its plugins and its configuration are as they were.
    #[error("the plugin `{name}` does not start again, and the service has failed: {message}")]
    NotRestarted {
        /// The plugin.
        name: String,
        /// What it said.
        message: String,
    },
}

impl ServiceError {
    /// The same of a service that is not started again by itself, since it has been taken away.
    pub(super) fn for_good(self) -> Self {
        match self {
            Self::Lifecycle(LifecycleError::Failed(failure)) => {
                LifecycleError::Failed(Failure { retry_at: None, ..failure }).into()
            }
            error => error,
        }
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}
