//! From a value that implements a service trait to one object that runs its methods by number.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use super::info::ServiceInfo;
use super::input::{Fault, Input, Started};
use super::method::Service;
use crate::context::Context;

/// Covers a service implementation, so that generated code may implement [`Provides`] for every
/// `T` of a trait that is not ours.
#[derive(Debug)]
pub struct Provider<T>(pub T);

/// A provider of the service `S`. Generated, once per trait.
pub trait Provides<S>: Described<S> + Send + Sync + 'static {
    /// Starts the method with the index `method`.
    fn dispatch(self: Arc<Self>, method: u16, cx: Context, input: Input<'_>) -> Started;
}

/// What is known of the service `S`, for every `S` that is one.
///
/// As a supertrait of [`Provides`] it says that `S` is a service without a bound on `S`. With
/// one, a value of two services would be reported twice.
pub trait Described<S> {
    /// Its names and methods.
    fn info() -> &'static ServiceInfo;
}

impl<P, S: Service> Described<S> for P {
    fn info() -> &'static ServiceInfo {
        S::INFO
    }
}

/// A value that a node can serve: it implements a `#[service]` trait.
///
/// `S` is the generated client of that trait. It is inferred when the value implements one
/// service; with several, name it: `builder.serve_as::<UsersClient>(store)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` implements no service",
    label = "no `#[service]` trait is implemented for this type",
    note = "write `impl YourService for {Self} {{ … }}` for a trait annotated with `#[service]`",
    note = "a `nebula::Service`, with a name or plugins of its own, is given to `.service(..)`, or \
            started with `.start_on(&node)`"
)]
pub trait Serve<S>: Sized {
    /// Hides the type behind the numbers of its methods.
    fn erase(self) -> Arc<dyn Dispatch>;
}

#[diagnostic::do_not_recommend]
impl<T, S: 'static> Serve<S> for T
where
    Provider<T>: Provides<S>,
{
    fn erase(self) -> Arc<dyn Dispatch> {
        erase::<S, T>(self)
    }
}

/// A service whose implementation is hidden.
pub trait Dispatch: Send + Sync + 'static {
    /// Its names and methods.
    fn info(&self) -> &'static ServiceInfo;
    /// The identity of the generated client: two contracts of one name differ here.
    fn contract(&self) -> TypeId;
    /// Starts the method with the index `method`.
    fn dispatch(&self, method: u16, cx: Context, input: Input<'_>) -> Started;
    /// The same without a hold on the implementation, which takes no calls once it is gone.
    fn lent(&self) -> Arc<dyn Dispatch>;
}

impl fmt::Debug for dyn Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dispatch").field(&self.info().service_name()).finish()
    }
}

/// Hides `service` behind the numbers of its methods.
pub fn erase<S: 'static, T>(service: T) -> Arc<dyn Dispatch>
where
    Provider<T>: Provides<S>,
{
    Arc::new(Erased::<S, Provider<T>> {
        provider: Arc::new(Provider(service)),
        service: PhantomData,
    })
}

struct Erased<S, P> {
    provider: Arc<P>,
    service: PhantomData<fn() -> S>,
}

struct Lent<S, P> {
    provider: Weak<P>,
    service: PhantomData<fn() -> S>,
}

impl<S: 'static, P: Provides<S>> Dispatch for Erased<S, P> {
    fn info(&self) -> &'static ServiceInfo {
        P::info()
    }

    fn contract(&self) -> TypeId {
        TypeId::of::<S>()
    }

    fn dispatch(&self, method: u16, cx: Context, input: Input<'_>) -> Started {
        Arc::clone(&self.provider).dispatch(method, cx, input)
    }

    fn lent(&self) -> Arc<dyn Dispatch> {
        Arc::new(Lent::<S, P> { provider: Arc::downgrade(&self.provider), service: PhantomData })
    }
}

impl<S: 'static, P: Provides<S>> Dispatch for Lent<S, P> {
    fn info(&self) -> &'static ServiceInfo {
        P::info()
    }

    fn contract(&self) -> TypeId {
        TypeId::of::<S>()
    }

    fn dispatch(&self, method: u16, cx: Context, input: Input<'_>) -> Started {
        match self.provider.upgrade() {
            Some(provider) => provider.dispatch(method, cx, input),
            None => Started::Refused(Fault::Draining),
        }
    }

    fn lent(&self) -> Arc<dyn Dispatch> {
        Arc::new(Self { provider: Weak::clone(&self.provider), service: PhantomData })
    }
}
