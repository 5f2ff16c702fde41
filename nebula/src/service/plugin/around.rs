//! A call that a plugin wraps.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::chain::Link;
use super::run::Values;
use super::{Inbound, Refusal};
use crate::context::Context;
use crate::service::info::MethodInfo;

/// A call that a plugin wraps: an [`Inbound`] that can go on.
pub struct Around<'c> {
    pub(super) call: Inbound<'c>,
    /// What is below, top first, without the method.
    pub(super) rest: &'c [Link],
}

impl Around<'_> {
    /// Runs what is below, the method last, and returns once there is a reply. If the call has been
    /// [answered](Inbound::answer) already, nothing runs. The method runs once at most: going on a
    /// second time is refused.
    ///
    /// Dropping the future stops what is below at its next await.
    ///
    /// # Errors
    ///
    /// What is below refused the call.
    pub async fn next(&mut self) -> Result<(), Refusal> {
        let Inbound { method, cx, values, .. } = &mut self.call;
        go_on(method, cx, &mut **values, self.rest).await
    }
}

/// Runs the plugins of `rest`, each inside the one before it, and the method within all.
pub(super) async fn go_on(
    method: &'static MethodInfo,
    cx: &mut Context,
    values: &mut (dyn Values + 'static),
    rest: &[Link],
) -> Result<(), Refusal> {
    let twice = || Err(Refusal::Failed("a plugin went on with a call twice".into()));
    if values.reply().is_some() {
        return if values.has_run() { twice() } else { Ok(()) };
    }
    let Some((Link { plugin, host }, rest)) = rest.split_first() else {
        return if values.run(cx).await { Ok(()) } else { twice() };
    };
    let call = Inbound { method, cx: &mut *cx, host, values: &mut *values };
    plugin.around(Around { call, rest }).await?;
    match values.reply() {
        Some(_) => Ok(()),
        None => Err(Refusal::Failed(format!(
            "the plugin `{}` neither answered the call nor went on with it",
            plugin.name()
        ))),
    }
}

impl<'c> Deref for Around<'c> {
    type Target = Inbound<'c>;

    fn deref(&self) -> &Inbound<'c> {
        &self.call
    }
}

impl DerefMut for Around<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.call
    }
}

impl fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Around").field(&self.call).finish()
    }
}
