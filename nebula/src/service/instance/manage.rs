//! What can be changed while a service lives. Each operation is planned, checked, and made in one
//! step, or leaves everything as it was.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_util::future::join;

use super::seat::Seat;
use super::{Crew, Instance, ServiceError};
use crate::config::Patch;
use crate::service::config::{Change, Given, Part, Section, Sections};
use crate::service::lifecycle::LifecycleError;
use crate::service::lifecycle::body::Reporter;
use crate::service::lifecycle::hooks::Service as Whose;
use crate::service::plugin::Host;
use crate::service::plugin::chain::Link;
use crate::service::plugin::erased::Erased;
use crate::service::plugin::order::resolve;

/// How long one hook may take in an operation, other than a start.
pub(super) const HOOK: Duration = Duration::from_secs(60);

/// Held by the one operation that changes a service at a time.
pub(super) type Turn<'a> = tokio::sync::MutexGuard<'a, ()>;

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
        let turn = self.turn().await?;
        if self.seats().iter().any(|seat| *seat.name() == name) {
            return Ok(false);
        }
        let change = |crew: &Crew| {
            let listed = crew.listed.iter().cloned();
            Ok(listed.chain([plugin]).collect())
        };
        let patch = config.map(|config| (name, config));
        self.rearrange(turn, change, patch).await?;
        Ok(true)
    }

    /// Takes a plugin out that nobody needs.
    pub(super) async fn remove(self: &Arc<Self>, name: &str) -> Result<(), ServiceError> {
        let change = |crew: &Crew| {
            let gone = &seated(crew, name)?.link.plugin;
            spare(crew, gone, None)?;
            Ok(crew.listed.iter().filter(|kept| !Arc::ptr_eq(kept, gone)).cloned().collect())
        };
        let turn = self.turn().await?;
        self.rearrange(turn, change, None).await
    }

    /// Puts a plugin in the place of the one of its name.
    pub(super) async fn replace(
        self: &Arc<Self>,
        plugin: Arc<dyn Erased>,
    ) -> Result<(), ServiceError> {
        let change = |crew: &Crew| {
            let gone = &seated(crew, &plugin.name())?.link.plugin;
            spare(crew, gone, Some(&plugin))?;
            let mut listed = crew.listed.clone();
            match listed.iter_mut().find(|listed| Arc::ptr_eq(listed, gone)) {
                Some(place) => *place = Arc::clone(&plugin),
                // It was not asked for, but needed: now it is asked for.
                None => listed.push(Arc::clone(&plugin)),
            }
            Ok(listed)
        };
        let turn = self.turn().await?;
        self.rearrange(turn, change, None).await
    }

    /// Gives the service these plugins, and those that they need. What it has of them already stays
    /// as it is; the new ones are started before calls pass them, and those that go are stopped once
    /// no call that begins passes them.
    async fn rearrange(
        self: &Arc<Self>,
        turn: Turn<'_>,
        change: impl FnOnce(&Crew) -> Result<Vec<Arc<dyn Erased>>, ServiceError>,
        patch: Option<(Arc<str>, Patch)>,
    ) -> Result<(), ServiceError> {
        let crew = self.crew().clone();
        let listed = change(&crew)?;
        let Crew { seats: before, reporter, .. } = crew;
        let there: Vec<_> = before.iter().map(|seat| Arc::clone(&seat.link.plugin)).collect();
        let plugins = resolve(&listed, &there)?;
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
        let leaving: Vec<_> = before
            .iter()
            .filter(|seat| !seats.iter().any(|kept| Arc::ptr_eq(kept, seat)))
            .collect();
        let stay = || leaving.iter().for_each(|seat| seat.link.host.let_go());
        leaving.iter().for_each(|seat| seat.link.host.keep());
        let committed = self.config.commit(planned).inspect_err(|_| stay())?;
        // One that was there and is down has failed, and starts again with the service.
        let is_new = |seat: &&Arc<Seat>| !before.iter().any(|known| Arc::ptr_eq(known, seat));
        let new: Vec<_> = seats.iter().filter(is_new).cloned().collect();
        if let Some(reporter) = reporter {
            for seat in new.iter().rev() {
                if let Err(message) = self.bring_up(seat, &reporter).await {
                    for seat in new.iter().filter(|_| !cfg!(mutant = "refused_plugins_stay_up")) {
                        seat.stop(self.whose(), HOOK).await;
                    }
                    if !cfg!(mutant = "refused_plugin_is_configured") {
                        self.config.roll_back(committed)?;
                    }
                    stay();
                    return Err(ServiceError::Plugin { name: seat.name().to_string(), message });
                }
            }
        }
        {
            let mut crew = self.crew();
            (crew.listed, crew.seats) = (listed, seats.clone());
        }
        self.shut(&new);
        self.show(&seats);
        if self.has_left() {
            // Its node is gone since the first of them was started.
            seats.iter().for_each(|seat| seat.abandon());
        }
        let stopped = async {
            for gone in leaving {
                gone.stop(self.whose(), HOOK).await;
            }
            drop(turn);
        };
        join(stopped, self.refresh()).await;
        Ok(())
    }

    /// Stops and starts one plugin, and nothing else. Nothing happens if it is not started. If it
    /// does not start, no call is let in before the service has been started again as a whole.
    pub(super) async fn restart_plugin(self: &Arc<Self>, name: &str) -> Result<(), ServiceError> {
        let turn = self.turn().await?;
        let crew = self.crew().clone();
        let seat = seated(&crew, name)?;
        let reporter = crew.reporter.as_ref().filter(|_| seat.is_up());
        let Some(reporter) = reporter else { return Ok(()) };
        let held = self.hold(std::slice::from_ref(seat), reporter);
        held.start_again(seat).await?;
        held.resume();
        drop(turn);
        self.refresh_unasked().await;
        Ok(())
    }

    /// Starts one plugin.
    pub(super) async fn bring_up(&self, seat: &Seat, reporter: &Reporter) -> Result<(), String> {
        let started = seat.start(self.whose(), self.start_limit, reporter).await;
        if self.has_left() {
            seat.abandon();
            return Err("its node is gone".to_owned());
        }
        started
    }

    pub(super) fn seat(self: &Arc<Self>, plugin: &Arc<dyn Erased>) -> Arc<Seat> {
        let part = Part::Plugin(plugin.name().into());
        Seat::new(Link { plugin: Arc::clone(plugin), host: Host::new(self, part) })
    }

    /// Has readiness asked anew, as there are other hooks now. The turn must not wait for this: the
    /// lifecycle may need it first.
    async fn refresh(&self) {
        let unasked = self.unasked.swap(false, SeqCst);
        if let Some(lifecycle) = self.lifecycle.get() {
            // One that has ended asks nobody.
            let _ = lifecycle.refresh(unasked).await;
        }
    }

    /// The same if somebody has not been asked yet.
    pub(super) async fn refresh_unasked(&self) {
        if self.unasked.load(SeqCst) {
            self.refresh().await;
        }
    }

    /// Waits for the turn to change the service.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, ServiceError> {
        if self.is_within_hook() {
            return Err(LifecycleError::WithinHook.into());
        }
        let turn = self.managing.lock().await;
        match self.has_left() {
            true => Err(LifecycleError::Stopped.into()),
            false => Ok(turn),
        }
    }

    pub(super) fn whose(&self) -> Whose {
        Whose(Arc::as_ptr(&self.cell).addr())
    }

    /// Whether this is called in a hook of the service, which would wait for itself.
    pub(super) fn is_within_hook(&self) -> bool {
        self.whose().within_hook()
    }
}

/// The plugin of this name.
fn seated<'c>(crew: &'c Crew, name: &str) -> Result<&'c Arc<Seat>, ServiceError> {
    crew.seats.iter().find(|seat| &**seat.name() == name).ok_or_else(|| {
        let known = crew.seats.iter().map(|seat| seat.name().to_string()).collect();
        ServiceError::UnknownPlugin { name: name.to_owned(), known }
    })
}

/// Whether the others can do without a plugin, or with another one in its place.
fn spare(
    crew: &Crew,
    gone: &Arc<dyn Erased>,
    instead: Option<&Arc<dyn Erased>>,
) -> Result<(), ServiceError> {
    let others = crew.seats.iter().map(|seat| &seat.link.plugin);
    let mut others = others.filter(|other| !Arc::ptr_eq(other, gone));
    if others.clone().chain(instead).any(|other| other.kind() == gone.kind()) {
        return Ok(());
    }
    match others.find(|other| other.order().needs(gone.kind())) {
        None => Ok(()),
        Some(other) => {
            let (name, by) = (gone.name().into_owned(), other.name().into_owned());
            Err(ServiceError::Needed { name, by })
        }
    }
}
