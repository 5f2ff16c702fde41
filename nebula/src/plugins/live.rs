//! What a plugin was made with, and what its section of the configuration makes of it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{Invalid, Schema};
use crate::plugin::Host;
use crate::{Error, Result};

/// The settings of a plugin: those of the code until it is started, and then those in force.
#[derive(Debug)]
pub(super) struct Live<C> {
    code: C,
    now: ArcSwap<C>,
}

impl<C> Live<C>
where
    C: Clone + DeserializeOwned + Send + Serialize + Sync + 'static,
{
    pub(super) fn new(code: C) -> Self {
        let now = ArcSwap::from_pointee(code.clone());
        Self { code, now }
    }

    /// The same with other settings in the code.
    pub(super) fn with(self, change: impl FnOnce(&mut C)) -> Self {
        let mut code = self.code;
        change(&mut code);
        Self::new(code)
    }

    pub(super) fn schema(
        &self,
        check: impl Fn(&C) -> Result<(), Invalid> + Send + Sync + 'static,
    ) -> Option<Schema> {
        Some(Schema::checked(self.code.clone(), check))
    }

    /// Takes over what is in force: when the plugin starts, and at each change.
    pub(super) fn refresh(&self, host: &Host) {
        if let Some(now) = host.config::<C>() {
            self.now.store(now);
        }
    }

    /// What holds for the call at hand. Never waits.
    pub(super) fn now(&self) -> impl std::ops::Deref<Target = Arc<C>> {
        self.now.load()
    }
}

/// Says which of these names is no method of the service, lest a limit is set on nothing.
pub(super) fn known<'n>(host: &Host, names: impl IntoIterator<Item = &'n String>) -> Result<()> {
    let known = host.methods();
    let mut names = names.into_iter();
    match names.find(|name| !known.iter().any(|method| method.method_name() == **name)) {
        None => Ok(()),
        Some(name) => {
            let known: Vec<_> =
                known.iter().map(|method| format!("`{}`", method.method_name())).collect();
            Err(Error::msg(format!(
                "there is no method `{name}` in `{}`: it has {}",
                host.service(),
                known.join(", ")
            )))
        }
    }
}
