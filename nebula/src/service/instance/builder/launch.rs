//! How a service comes to its node.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use macula::text::Safe;
use tokio::runtime::Handle;

use super::super::{Crew, Instance, ServiceError, ServiceHandle};
use super::{Make, Service};
use crate::Node;
use crate::events::Teller;
use crate::nodes::{Profile, is_version};
use crate::service::config::{Change, ConfigCell, Given, Part, read_file};
use crate::service::exported::{Offer, export};
use crate::service::input::panic_message;
use crate::service::lifecycle::cell::StatusCell;
use crate::service::lifecycle::handle::{Lifecycle, Settings};
use crate::service::lifecycle::{LifecycleError, ServiceStatus};
use crate::service::plugin::Host;
use crate::service::plugin::order::resolve;
use crate::service::served::Served;

impl Service {
    /// Starts it on this node, and returns once it runs (or is paused, if it was asked to be). It
    /// takes calls then, unless a plugin says that it is not [ready](crate::plugin::Plugin::ready) yet, which is no
    /// error. It is started also if nobody waits for it any more: [`Node::service`] finds it.
    ///
    /// # Errors
    ///
    /// Says what is wrong with what it was to be, or what failed. Nothing of it is left then. To
    /// have a service that fails at first tried again, see [`launch_on`](Self::launch_on).
    pub async fn start_on(self, node: &Node) -> Result<ServiceHandle, ServiceError> {
        let handle = self.launch_on(node)?;
        // Whoever stops waiting does not keep what fails from being taken away.
        let starting = tokio::spawn(async move {
            match handle.started().await {
                Ok(()) => Ok(handle),
                Err(error) => {
                    // The failure is told; what its end may say adds nothing.
                    let _ = handle.stop().await;
                    Err(error.for_good())
                }
            }
        });
        starting.await.unwrap_or_else(|_| Err(LifecycleError::Stopped.into()))
    }

    /// Gives a service that is in its place on a node already, and takes calls, a life.
    pub(crate) async fn adopt(served: Arc<Served>, node: &Node) -> Result<(), ServiceError> {
        Self::of(Make::There(served)).launch_on(node)?.started().await
    }

    /// Starts it on this node without waiting for it: if it fails, it is tried again after 1 s, 2 s
    /// and so on up to 60 s, until it is stopped.
    ///
    /// # Errors
    ///
    /// Says what is wrong with what it was to be, or that this is no place to start it: it must be
    /// called within a Tokio runtime. Nothing of it is left then.
    pub fn launch_on(self, node: &Node) -> Result<ServiceHandle, ServiceError> {
        if Handle::try_current().is_err() {
            return Err(ServiceError::NoRuntime);
        }
        let launched = catch_unwind(AssertUnwindSafe(|| self.launch(node)));
        launched.unwrap_or_else(|panic| Err(ServiceError::Panicked(panic_message(panic))))
    }

    fn launch(self, node: &Node) -> Result<ServiceHandle, ServiceError> {
        let info = self.info()?;
        let Self { make, version, class, metadata, plugins: listed, .. } = self;
        let name: Arc<str> = info.service_name().into();
        let plugins = resolve(&listed, &[])?;
        let mut sections = Instance::sections(&plugins, &Default::default(), |_| false)?;
        if let Some(schema) = self.config {
            sections.insert(Part::Service, schema.section(&Part::Service)?);
        }
        let mut changes = vec![Change::Sections(sections)];
        if let Some(path) = &self.file {
            changes.push(Change::Layer(read_file(path)?));
        }
        if let Some(prefix) = &self.environment {
            changes.push(Change::Layer(Given::environment(prefix, std::env::vars_os())?));
        }
        if let Some(patch) = self.patch {
            changes.push(Change::Layer(Given::start(patch)?));
        }
        let config = ConfigCell::new(changes)?;
        let now = SystemTime::now();
        let cell = StatusCell::new(ServiceStatus::fresh(now));
        let teller = Teller::new(&name, node.bus());
        let cell = Arc::new(cell.telling(node.service_changes().clone(), teller));
        let place = node.occupy(&name)?;
        let profile = Profile {
            info,
            node_name: node.name().into(),
            version: version.as_deref().or(info.version_text()).unwrap_or_default().to_owned(),
            class,
            metadata,
            started: told_start(node, &name).unwrap_or_else(|| milliseconds(now)),
        };
        let instance = Arc::new(Instance {
            name: Arc::clone(&name),
            profile,
            node: node.downgrade(),
            node_id: node.id(),
            global: info.is_global(),
            slot: node.slot(&name),
            config,
            extensions: Arc::default(),
            cell: Arc::clone(&cell),
            lifecycle: OnceLock::new(),
            core: OnceLock::new(),
            crew: Mutex::new(Crew::default()),
            start_limit: self.start_limit,
            managing: tokio::sync::Mutex::new(()),
            left: AtomicBool::new(false),
            unasked: AtomicBool::new(false),
        });
        let there = matches!(make, Make::There(_));
        let core = match make {
            Make::Made(service) => Served::named(service, info),
            Make::There(served) => served,
            Make::Later(_, _, make) => {
                let make = make.into_inner().unwrap_or_else(PoisonError::into_inner);
                Served::named(make(&Host::new(&instance, Part::Service)), info)
            }
        };
        let version = &instance.profile.version;
        if !version.is_empty() && !is_version(version) {
            tracing::warn!(
                service = %name, version = %Safe(version),
                "this version has not three numbers, as `1.4.0` has: clients that require a version \
                 do not ask this service"
            );
        }
        core.say_version(version);
        let seats: Vec<_> = plugins.iter().map(|plugin| instance.seat(plugin)).collect();
        *instance.crew() = Crew { listed, seats: seats.clone(), reporter: None };
        // It is set here and nowhere else.
        let _ = instance.core.set(Arc::clone(&core));
        if !there {
            core.close();
            if info.is_global() {
                let Profile { version, class, metadata, started, .. } = &instance.profile;
                let started = *started;
                let offer = Offer { version, class, metadata, started, advertised: false };
                let exported = export(&instance.slot, &core, node.callers(), offer);
                let served = node.mesh().serve(exported);
                served.map_err(|error| ServiceError::Record(error.to_string()))?;
            }
        }
        let undo = Undo(Some(&instance));
        if !there {
            instance.show(&seats);
        }
        node.contracts().serve(info);
        let mut settings = Settings::new(Arc::clone(&name));
        settings.paused = self.paused;
        settings.grace = self.grace.unwrap_or(node.grace());
        let lifecycle = Lifecycle::new(cell, instance.clone(), settings);
        let _ = instance.lifecycle.set(lifecycle.clone());
        let handle = ServiceHandle::new(Arc::clone(&instance), lifecycle.clone());
        if let Err(left) = place.fill(handle.clone()) {
            handle.abandon();
            return Err(left);
        }
        undo.forget();
        lifecycle.begin();
        Ok(handle)
    }
}

/// Takes what was to be a service off its node, unless it comes to be one.
struct Undo<'i>(Option<&'i Instance>);

impl Undo<'_> {
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if let Some(instance) = self.0 {
            instance.take_off();
        }
    }
}

/// When a service that the node's record names already has started.
fn told_start(node: &Node, service: &str) -> Option<u64> {
    let record = node.mesh().record(&node.id())?;
    record.services.iter().find(|known| known.name == service).map(|known| known.started)
}

/// Since the Unix epoch.
fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
