//! A service as the mesh calls it: bytes in, bytes out, through the same gates as local calls.

use std::pin::Pin;
use std::sync::Arc;

use macula::rpc::{self, Incoming, Term};

use super::input::{Input, Started};
use super::served::Served;
use crate::context::{Caller, Context};
use crate::nodes::live::Callers;

/// Lets the mesh call a service.
pub(crate) struct Exported {
    served: Arc<Served>,
    /// The index of the method at each position of the exported list.
    indices: Vec<u16>,
    callers: Callers,
}

/// The form in which a node offers `served` to its mesh.
pub(crate) fn export(served: &Arc<Served>, callers: &Callers) -> rpc::Service {
    let info = served.info();
    let methods = info.methods().iter().map(|method| {
        let gate = served.gate(method.position()).clone();
        let exported = rpc::Method::new(method.method_name(), method.wire_id(), method.key(), gate);
        exported.spawned(method.is_spawned())
    });
    let handler = Exported {
        served: served.clone(),
        indices: info.methods().iter().map(|method| method.position()).collect(),
        callers: callers.clone(),
    };
    rpc::Service::new(info.service_name(), methods, Arc::new(handler))
        .version(info.version_text().unwrap_or_default())
}

impl rpc::Handler for Exported {
    fn handle(
        &self,
        call: Incoming,
    ) -> Pin<Box<dyn Future<Output = Result<rpc::Answer, rpc::Fault>> + Send>> {
        let known = self.callers.load().get(&call.caller.node).cloned();
        // A node whose record is still on its way is known by its key alone.
        let caller = known.unwrap_or_else(|| {
            Arc::new(Caller { id: call.caller.node, name: "".into(), tags: [].into() })
        });
        let term = Term::fixed(call.lease.deadline());
        let cx = Context::new(Some(caller), term, Some(call.lease));
        let index = self.indices.get(call.method).copied().unwrap_or(u16::MAX);
        let started = self.served.dispatch().dispatch(index, cx, Input::Wire(call.body));
        match started {
            Started::Body(body) => body,
            Started::Refused(refused) => Box::pin(std::future::ready(Err(refused))),
            Started::Filled | Started::Unknown => {
                let text = "the service does not have this method after all";
                Box::pin(std::future::ready(Err(rpc::Fault::Malformed(text.into()))))
            }
        }
    }
}
