//! One service, called from its own node and from another one.

use std::time::Duration;

use nebula::prelude::*;
use nebula::{NodeId, Service, ServiceHandle};

use crate::site::{Notes, Plain, Site, SumsClient, until};

/// The service, its callers, and what its methods note.
pub(crate) struct Both {
    pub(crate) service: ServiceHandle,
    /// On the node that serves, and elsewhere.
    pub(crate) near: SumsClient,
    pub(crate) far: SumsClient,
    pub(crate) notes: Notes,
    /// The node of `near`, and that of `far`.
    pub(crate) nodes: [Node; 2],
}

impl Both {
    /// A service with these plugins.
    pub(crate) async fn of(plugins: impl FnOnce(Service) -> Service) -> Self {
        let mut site = Site::new();
        let server = site.node("server").await;
        let caller = site.builder("caller").tag("web").start().await.unwrap();
        let notes = Notes::default();
        let plain = Plain(notes.clone(), NodeId::from_bytes([0; 32]));
        let service = plugins(Service::new(plain)).start_on(&server).await.unwrap();
        let (near, far) = (SumsClient::new(&server), SumsClient::new(&caller));
        until("it is known", || !far.add(1.0, 1.0).available_nodes().is_empty()).await;
        Self { service, near, far, notes, nodes: [server, caller] }
    }

    /// Each caller, with the other.
    pub(crate) fn each(&self) -> [&SumsClient; 2] {
        [&self.near, &self.far]
    }
}

/// A service with these plugins that does not start, and why.
pub(crate) async fn refused(plugins: impl FnOnce(Service) -> Service) -> String {
    let node = Site::new().node("server").await;
    plugins(Service::new(Plain::new())).start_on(&node).await.unwrap_err().to_string()
}

/// What an overloaded call was told.
pub(crate) fn retry_after<T: std::fmt::Debug, E: std::fmt::Debug>(
    ended: Result<T, CallError<E>>,
) -> Duration {
    match ended {
        Err(CallError::Overloaded { retry_after, .. }) => retry_after,
        ended => panic!("it is not overloaded: {ended:?}"),
    }
}
