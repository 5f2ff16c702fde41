//! What happens on a node and around it, one after the other.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::stream::{self, Stream};
use macula::MemberEvent;
use macula::identity::NodeId;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::service::lifecycle::ServiceStatus;

/// How many events of services are kept for a slow reader.
const KEPT: usize = 256;

/// Something that has happened on a node, or that it has heard.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NodeEvent {
    /// The status of a service that lives on the node has changed.
    Service(ServiceEvent),
    /// Another node is a member of the cluster from now on.
    Up(NodeId),
    /// Another node has left the cluster, or has died.
    Down(NodeId),
    /// So many events came while nobody read, that this reader will not see. What is true now, the
    /// [services](crate::Node::local_services) and the [nodes](crate::Node::nodes) say.
    Missed(u64),
}

/// A change of the status of one service.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServiceEvent {
    /// The name of the service.
    pub service: Arc<str>,
    /// What it was before.
    pub old: Arc<ServiceStatus>,
    /// What it is since.
    pub new: Arc<ServiceStatus>,
    /// When it changed, by the clock of this machine.
    pub at: SystemTime,
}

/// One line for a person: `Users: paused (night)`.
impl fmt::Display for ServiceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.service, self.new)
    }
}

/// The events of a node from the moment on at which this was asked for: see
/// [`Node::events`](crate::Node::events).
#[derive(Debug)]
#[must_use = "nobody is told unless `next` is awaited"]
pub struct Events {
    services: broadcast::Receiver<ServiceEvent>,
    /// None once the mesh is gone.
    members: Option<broadcast::Receiver<MemberEvent>>,
}

impl Events {
    pub(crate) fn new(bus: &Bus, members: broadcast::Receiver<MemberEvent>) -> Self {
        Self { services: bus.subscribe(), members: Some(members) }
    }

    /// The next event; `None` once the node has stopped and all has been read. The events of the
    /// services come in their order, and so do those of the members, but a service and a member that
    /// change at once come in any. Nothing is lost when the future is dropped.
    ///
    /// A reader that falls 256 events of services behind, or 1024 of members, is told how many of
    /// them it has [missed](NodeEvent::Missed), and goes on with the oldest that is left.
    pub async fn next(&mut self) -> Option<NodeEvent> {
        loop {
            tokio::select! {
                biased;
                member = heard(&mut self.members) => match member {
                    Ok(MemberEvent::Up(node)) => return Some(NodeEvent::Up(node)),
                    Ok(MemberEvent::Down(node)) => return Some(NodeEvent::Down(node)),
                    Ok(_) => {}
                    Err(RecvError::Lagged(missed)) => return Some(NodeEvent::Missed(missed)),
                    Err(RecvError::Closed) => self.members = None,
                },
                service = self.services.recv() => return match service {
                    Ok(service) => Some(NodeEvent::Service(service)),
                    Err(RecvError::Lagged(missed)) => Some(NodeEvent::Missed(missed)),
                    Err(RecvError::Closed) => None,
                },
            }
        }
    }

    /// The same as a stream.
    pub fn into_stream(self) -> impl Stream<Item = NodeEvent> + Send {
        stream::unfold(self, async |mut events| Some((events.next().await?, events)))
    }
}

async fn heard(
    members: &mut Option<broadcast::Receiver<MemberEvent>>,
) -> Result<MemberEvent, RecvError> {
    match members {
        Some(members) => members.recv().await,
        None => std::future::pending().await,
    }
}

/// Where the services of a node tell their events. As long as nobody reads them, none is kept.
#[derive(Debug, Default)]
pub(crate) struct Bus(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Unheard,
    Heard(broadcast::Sender<ServiceEvent>),
    Over,
}

impl Bus {
    fn subscribe(&self) -> broadcast::Receiver<ServiceEvent> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Heard(sender) => sender.subscribe(),
            State::Unheard => {
                let (sender, receiver) = broadcast::channel(KEPT);
                *state = State::Heard(sender);
                receiver
            }
            State::Over => broadcast::channel(1).1,
        }
    }

    fn tell(&self, event: impl FnOnce() -> ServiceEvent) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Heard(sender) = &*state
            && sender.send(event()).is_err()
        {
            *state = State::Unheard;
        }
    }

    /// The node has stopped.
    pub(crate) fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::Over;
    }
}

/// Tells the events of one service.
#[derive(Debug)]
pub(crate) struct Teller {
    service: Arc<str>,
    bus: Arc<Bus>,
}

impl Teller {
    pub(crate) fn new(service: &Arc<str>, bus: &Arc<Bus>) -> Self {
        Self { service: Arc::clone(service), bus: Arc::clone(bus) }
    }

    /// Tells of a change, if it is one.
    pub(crate) fn tell(&self, old: Arc<ServiceStatus>, new: Arc<ServiceStatus>) {
        let same = ServiceStatus { since: old.since, ..ServiceStatus::clone(&new) } == *old;
        if !same {
            let (service, at) = (Arc::clone(&self.service), SystemTime::now());
            self.bus.tell(|| ServiceEvent { service, old, new, at });
        }
    }
}
