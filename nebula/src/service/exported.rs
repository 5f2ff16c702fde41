//! A service as the mesh calls it: bytes in, bytes out, through the same gates as local calls.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use macula::rpc::{self, Incoming, Term};

use super::codec::Codec;
use super::info::ServiceInfo;
use super::input::{Input, Started};
use super::served::{Gates, Served};
use super::slot::{Found, Slot};
use crate::context::Context;
use crate::nodes::callers::Callers;
use crate::trace::serve::started;

/// Lets the mesh call the service of a place, whichever form of it is there.
pub(crate) struct Exported {
    slot: Arc<Slot>,
    /// Whose it is: calls admitted by them are no calls of a later service in that place.
    gates: Arc<Gates>,
    /// The index of the method at each position of the exported list.
    indices: Vec<u16>,
    callers: Callers,
}

/// What is said of a service beside its contract.
pub(crate) struct Offer<'a> {
    pub(crate) version: &'a str,
    pub(crate) class: &'a str,
    pub(crate) metadata: &'a BTreeMap<String, String>,
    /// In milliseconds since the Unix epoch; zero for when the mesh takes it.
    pub(crate) started: u64,
    /// Whether others are told of it from the beginning.
    pub(crate) advertised: bool,
}

impl Offer<'static> {
    /// What the contract says, of a service that is there from the start of its node.
    pub(crate) fn of(info: &'static ServiceInfo) -> Self {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        let version = info.version_text().unwrap_or_default();
        Self { version, class: "", metadata: &NONE, started: 0, advertised: true }
    }
}

/// The form in which a node offers the service of `slot` to its mesh; `served` is one form of it.
pub(crate) fn export(
    slot: &Arc<Slot>,
    served: &Served,
    callers: &Callers,
    offer: Offer<'_>,
) -> rpc::Service {
    let info = served.info();
    let methods = info.methods().iter().map(|method| {
        let gate = served.gate(method.position()).clone();
        let exported = rpc::Method::new(method.method_name(), method.wire_id(), method.key(), gate);
        exported.spawned(method.is_spawned())
    });
    let handler = Exported {
        slot: Arc::clone(slot),
        gates: Arc::clone(served.gates()),
        indices: info.methods().iter().map(|method| method.position()).collect(),
        callers: callers.clone(),
    };
    let Offer { version, class, metadata, started, advertised } = offer;
    let mut service = rpc::Service::new(info.service_name(), methods, Arc::new(handler));
    service.metadata.clone_from(metadata);
    service.version(version).class(class).started(started).advertised(advertised)
}

impl Exported {
    /// The service in its form of now, if it takes calls.
    fn open(&self) -> Option<Found<'_>> {
        self.slot.open().filter(|served| served.is_behind(&self.gates))
    }
}

impl rpc::Handler for Exported {
    fn handle(
        &self,
        call: Incoming,
    ) -> Pin<Box<dyn Future<Output = Result<rpc::Answer, rpc::Fault>> + Send>> {
        let Some(served) = self.open() else {
            // It was closed, or another one took its place, after this call was admitted.
            return Box::pin(std::future::ready(Err(rpc::Fault::Draining)));
        };
        let codec = match Codec::of(&call.headers) {
            Ok(codec) => codec,
            Err(unread) => return Box::pin(std::future::ready(Err(unread))),
        };
        let caller = self.callers.get(call.caller.node);
        let term = Term::fixed(call.lease.deadline());
        let cx = Context::new(Some(caller), term, Some(call.lease), call.headers);
        let index = self.indices.get(call.method).copied().unwrap_or(u16::MAX);
        let input = Input::wire(call.body).coded(codec).through(&served);
        match started(&served, index, cx, input) {
            Started::Body(body) => body,
            Started::Refused(refused) => Box::pin(std::future::ready(Err(refused))),
            Started::Filled | Started::Unknown => {
                let text = "the service does not have this method after all";
                Box::pin(std::future::ready(Err(rpc::Fault::Malformed(text.into()))))
            }
        }
    }

    fn refuses(&self, _: usize) -> Option<rpc::Fault> {
        self.open().is_none().then_some(rpc::Fault::Draining)
    }
}
