//! What can be changed while a service lives. Each operation is planned, checked, and made in one
//! step, or leaves everything as it was.

use std::sync::Arc;
use std::time::Duration;

use super::seat::Seat;
use super::{Crew, Instance, ServiceError};
use crate::config::Patch;
use crate::service::config::{Change, Given, Part, Section, Sections};
use crate::service::lifecycle::LifecycleError;
use crate::service::lifecycle::hooks::Service as Whose;
use crate::service::plugin::chain::Link;
use crate::service::plugin::erased::Erased;
use crate::service::plugin::order::resolve;
use crate::service::plugin::{Hooks, Host, Updated};

/// How long one hook may take in an operation.
const HOOK: Duration = Duration::from_secs(60);

impl Instance {
    /// The sections of the configuration that these plugins bring; those of `known` plugins are
    /// taken over, as what they are is known.
    pub(super) fn sections(
        plugins: &[Arc<dyn Erased>],
        known: &Sections,
        is_known: impl Fn(&Arc<dyn Erased>) -> bool,
    ) -> Result<Sections, ServiceError> {
        let mut sections = Sections::new();
        if let Some(section) = known.get(&Part::Service) {
            sections.insert(Part::Service, section.clone());
        }
        for plugin in plugins {
            let part = Part::Plugin(plugin.name().into());
            let section: Option<Section> = match known.get(&part) {
                Some(section) if is_known(plugin) => Some(section.clone()),
                _ => plugin.config().map(|schema| schema.section(&part)).transpose()?,
            };
            sections.extend(section.map(|section| (part, section)));
        }
        Ok(sections)
    }

    /// Adds a plugin. False if there is one of its name.
    pub(super) async fn add(
        self: &Arc<Self>,
        plugin: Arc<dyn Erased>,
        config: Option<Patch>,
    ) -> Result<bool, ServiceError> {
        let name: Arc<str> = plugin.name().into();
        let mut added = true;
        let change = |crew: &Crew| {
            let mut listed = crew.listed.clone();
            added = !crew.seats.iter().any(|seat| *seat.name() == name);
            if added {
                listed.push(plugin);
            }
            Ok(listed)
        };
        let patch = config.map(|config| (Arc::clone(&name), config));
        self.rearrange(change, |_| Ok(()), patch).await?;
        Ok(added)
    }

    /// Takes a plugin out that nobody needs.
    pub(super) async fn remove(self: &Arc<Self>, name: &str) -> Result<(), ServiceError> {
        let change = |crew: &Crew| {
            let seat = crew.seats.iter().find(|seat| &**seat.name() == name);
            let seat = seat.ok_or_else(|| unknown(crew, name))?;
            let gone = &seat.link.plugin;
            Ok(crew.listed.iter().filter(|kept| !Arc::ptr_eq(kept, gone)).cloned().collect())
        };
        let check = |plugins: &[Arc<dyn Erased>]| {
            let Some(left) = plugins.iter().find(|plugin| plugin.name() == name) else {
                return Ok(());
            };
            let by = plugins.iter().find(|plugin| plugin.order().needs(left.kind()));
            let by = by.map(|plugin| plugin.name().into_owned()).unwrap_or_default();
            Err(ServiceError::Needed { name: name.to_owned(), by })
        };
        self.rearrange(change, check, None).await
    }

    /// Puts a plugin in the place of the one of its name.
    pub(super) async fn replace(
        self: &Arc<Self>,
        plugin: Arc<dyn Erased>,
    ) -> Result<(), ServiceError> {
        let change = |crew: &Crew| {
            let name = plugin.name();
            let seat = crew.seats.iter().find(|seat| **seat.name() == *name);
            let seat = seat.ok_or_else(|| unknown(crew, &name))?;
            let mut listed = crew.listed.clone();
            match listed.iter_mut().find(|listed| Arc::ptr_eq(listed, &seat.link.plugin)) {
                Some(place) => *place = Arc::clone(&plugin),
                // It was not asked for, but needed: now it is asked for.
                None => listed.push(Arc::clone(&plugin)),
            }
            Ok(listed)
        };
        self.rearrange(change, |_| Ok(()), None).await
    }

    /// Gives the service these plugins, and those that they need. What it has of them already stays
    /// as it is; the new ones are started before calls pass them, and those that go are stopped
    /// after no call does any more.
    pub(super) async fn rearrange(
        self: &Arc<Self>,
        change: impl FnOnce(&Crew) -> Result<Vec<Arc<dyn Erased>>, ServiceError>,
        check: impl FnOnce(&[Arc<dyn Erased>]) -> Result<(), ServiceError>,
        patch: Option<(Arc<str>, Patch)>,
    ) -> Result<(), ServiceError> {
        self.not_within_hook()?;
        let managing = self.managing.lock().await;
        let listed = change(&self.crew())?;
        let before = self.seats();
        let there: Vec<_> = before.iter().map(|seat| Arc::clone(&seat.link.plugin)).collect();
        let plugins = resolve(&listed, &there)?;
        check(&plugins)?;
        let seat_of = |plugin: &Arc<dyn Erased>| {
            before.iter().find(|seat| Arc::ptr_eq(&seat.link.plugin, plugin)).cloned()
        };
        let known = self.config.sections();
        let sections = Self::sections(&plugins, &known, |plugin| seat_of(plugin).is_some())?;
        let mut changes = vec![Change::Sections(sections)];
        if let Some((plugin, patch)) = patch {
            changes.push(Change::Layer(Given::plugin(&plugin, patch)?));
        }
        let planned = self.config.plan(changes)?;
        let seats: Vec<Arc<Seat>> = plugins
            .iter()
            .map(|plugin| seat_of(plugin).unwrap_or_else(|| self.seat(plugin)))
            .collect();
        let committed = self.config.commit(planned)?;
        let reporter = self.crew().reporter.clone();
        if let Some(reporter) = reporter {
            let new: Vec<_> = seats.iter().filter(|seat| !seat.is_up()).cloned().collect();
            for seat in new.iter().rev() {
                let started = self.whose().call(HOOK, seat.start(&reporter)).await;
                if let Err(message) = started.and_then(|started| started) {
                    for seat in &new {
                        self.stop_seat(seat).await;
                    }
                    self.config.roll_back(committed)?;
                    return Err(ServiceError::Plugin { name: seat.name().to_string(), message });
                }
            }
        }
        {
            let mut crew = self.crew();
            (crew.listed, crew.seats) = (listed, seats.clone());
        }
        self.show(&seats);
        for gone in before.iter().filter(|seat| !seats.iter().any(|kept| Arc::ptr_eq(kept, seat))) {
            self.stop_seat(gone).await;
        }
        drop(managing);
        self.refresh().await;
        Ok(())
    }

    /// Puts values over the configuration. Each plugin whose section says something else then is
    /// told; if one does not take it, those that did are told again once it is taken back.
    pub(super) async fn reconfigure(self: &Arc<Self>, patch: Patch) -> Result<(), ServiceError> {
        self.change_config(vec![Change::Layer(Given::runtime(patch)?)]).await
    }

    /// Forgets what was said at run time.
    pub(super) async fn reset_config(self: &Arc<Self>) -> Result<(), ServiceError> {
        self.change_config(vec![Change::Reset]).await
    }

    async fn change_config(self: &Arc<Self>, changes: Vec<Change>) -> Result<(), ServiceError> {
        self.not_within_hook()?;
        let managing = self.managing.lock().await;
        let planned = self.config.plan(changes)?;
        let told: Vec<Arc<Seat>> = self
            .seats()
            .into_iter()
            .filter(|seat| {
                let part = Part::Plugin(Arc::clone(seat.name()));
                seat.is_up() && seat.has(Hooks::UPDATED) && planned.changed().contains(&part)
            })
            .collect();
        let committed = self.config.commit(planned)?;
        let mut restart = Vec::new();
        for (at, seat) in told.iter().enumerate().rev() {
            match self.updated(seat).await {
                Ok(Updated::Kept) => {}
                Ok(Updated::Restart) => restart.push(Arc::clone(seat)),
                Err(message) => {
                    self.config.roll_back(committed)?;
                    for seat in told[at + 1..].iter().rev() {
                        if let Err(message) = self.updated(seat).await {
                            tracing::error!(service = %self.name, plugin = %seat.name(), %message,
                                "a plugin does not take its former configuration");
                        }
                    }
                    return Err(ServiceError::Plugin { name: seat.name().to_string(), message });
                }
            }
        }
        let mut failed = None;
        for seat in restart {
            failed = self.restart(&seat).await.err().or(failed);
        }
        drop(managing);
        failed.map_or(Ok(()), Err)
    }

    async fn updated(&self, seat: &Seat) -> Result<Updated, String> {
        let Link { plugin, host } = &seat.link;
        let updated = self.whose().call(HOOK, plugin.updated(host)).await?;
        updated.map_err(|error| format!("{error:#}"))
    }

    /// Stops and starts one plugin, and nothing else. Nothing happens if it is not started.
    pub(super) async fn restart_plugin(self: &Arc<Self>, name: &str) -> Result<(), ServiceError> {
        self.not_within_hook()?;
        let _managing = self.managing.lock().await;
        let seats = self.seats();
        let seat = seats.iter().find(|seat| &**seat.name() == name);
        let seat = seat.ok_or_else(|| unknown(&self.crew(), name))?;
        match seat.is_up() {
            true => self.restart(seat).await,
            false => Ok(()),
        }
    }

    /// If it does not come up again, the service has failed.
    async fn restart(&self, seat: &Seat) -> Result<(), ServiceError> {
        let Some(reporter) = self.crew().reporter.clone() else { return Ok(()) };
        self.stop_seat(seat).await;
        let started = self.whose().call(HOOK, seat.start(&reporter)).await;
        started.and_then(|started| started).map_err(|message| {
            reporter.failed(format!("the plugin `{}`", seat.name()), message.clone());
            ServiceError::Plugin { name: seat.name().to_string(), message }
        })
    }

    async fn stop_seat(&self, seat: &Seat) {
        if let Err(reason) = self.whose().call(HOOK, seat.stop()).await {
            tracing::warn!(service = %self.name, plugin = %seat.name(), %reason, "a plugin did not stop well");
        }
    }

    pub(super) fn seat(self: &Arc<Self>, plugin: &Arc<dyn Erased>) -> Arc<Seat> {
        let part = Part::Plugin(plugin.name().into());
        Seat::new(Link { plugin: Arc::clone(plugin), host: Host::new(self, part) })
    }

    /// Has readiness asked anew, as there are other hooks now.
    async fn refresh(&self) {
        if let Some(lifecycle) = self.lifecycle.get() {
            // One that has ended asks nobody.
            let _ = lifecycle.refresh().await;
        }
    }

    fn whose(&self) -> Whose {
        Whose(Arc::as_ptr(&self.cell).addr())
    }

    /// Whether this is called in a hook of the service, which would wait for itself.
    pub(super) fn is_within_hook(&self) -> bool {
        self.whose().within_hook()
    }

    fn not_within_hook(&self) -> Result<(), ServiceError> {
        match self.is_within_hook() {
            true => Err(LifecycleError::WithinHook.into()),
            false => Ok(()),
        }
    }
}

fn unknown(crew: &Crew, name: &str) -> ServiceError {
    let known = crew.seats.iter().map(|seat| seat.name().to_string()).collect();
    ServiceError::UnknownPlugin { name: name.to_owned(), known }
}
