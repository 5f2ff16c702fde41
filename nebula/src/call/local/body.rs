//! How the body of a call is made.

use std::sync::Arc;

use super::ALONE;
use crate::context::{Context, Scope};
use crate::service::input::{Input, Slot, Started};
use crate::service::method::Method;
use crate::service::plugin::run::{Beginning, Prepared};
use crate::service::served::Served;
use crate::trace::call::asks;
use crate::trace::serve::Serving;
use crate::trace::wanted;

/// Makes the body of a call, with the arguments that it takes; none if the service is another than
/// it seems. What plugins do meanwhile, they do in the scope of the call.
// In the frame of whoever calls it, which is counted in instructions.
#[inline(always)]
pub(super) fn body<M: Method>(
    served: &Arc<Served>,
    cx: Context,
    scope: &mut Scope,
    args: &mut Option<M::Args>,
) -> Option<Beginning<M>> {
    let make =
        || if wanted() { shown::<M>(served, cx, args) } else { quiet::<M>(served, cx, args) };
    if served.chain().is_quiet() { make() } else { scope.enter(make) }
}

/// The same in a span of its own, if somebody wants that.
#[cold]
#[inline(never)]
fn shown<M: Method>(
    served: &Arc<Served>,
    mut cx: Context,
    args: &mut Option<M::Args>,
) -> Option<Beginning<M>> {
    asks(cx.caller().map_or(ALONE, |itself| &itself.name));
    let Some(serving) = Serving::new(&mut cx, served.method(M::INFO)) else {
        return quiet::<M>(served, cx, args);
    };
    Some(match serving.enter(|| quiet::<M>(served, cx, args))? {
        Ok(Prepared::Plain(body)) => Ok(Prepared::Plain(serving.around(body, |_| "replied"))),
        Ok(Prepared::Hooked(body)) => {
            let outcome = |ended: &Result<_, _>| if ended.is_ok() { "replied" } else { "refused" };
            Ok(Prepared::Hooked(serving.around(body, outcome)))
        }
        Err(stopped) => {
            serving.ends("refused");
            Err(stopped)
        }
    })
}

#[inline]
fn quiet<M: Method>(
    served: &Arc<Served>,
    cx: Context,
    args: &mut Option<M::Args>,
) -> Option<Beginning<M>> {
    let mut slot = Slot::<M>::new(args.take()?);
    let input = Input::slot(&mut slot).through(served);
    match served.dispatch().dispatch(M::INFO.position(), cx, input) {
        Started::Filled => slot.into_prepared(),
        Started::Body(_) | Started::Refused(_) | Started::Unknown => None,
    }
}
