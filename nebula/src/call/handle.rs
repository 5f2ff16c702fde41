//! What a generated client holds: whom to ask, and with which defaults.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::options::{EXTENSIONS_DEFAULT, Limits, Options, TIMEOUT_DEFAULT};
use super::unary::Call;
use crate::context::Context;
use crate::node::Node;
use crate::nodes::{BadVersion, Policy, Selector};
use crate::service::info::{BadServiceName, MethodInfo, ServiceInfo, parse_selector};
use crate::service::method::{Method, Service};
use crate::service::serve::{Provider, Provides, erase};
use crate::service::served::Served;
use crate::service::slot::Slot;

/// The inside of the generated client of the service `S`. A clone is one reference count.
///
/// On a handle made by [`local`](Self::local) there are no nodes to choose among: selectors,
/// versions, `to` and `pick` are taken as matching the one service there is.
pub struct Handle<S> {
    shared: Arc<Shared>,
    service: PhantomData<fn() -> S>,
}

/// What the calls of a handle read.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) place: Place,
    pub(crate) options: Options,
    /// The contract under the name of the service that is called, if that is not the contract's own.
    renamed: Option<&'static ServiceInfo>,
    /// The handler on whose behalf calls are made, when they are made in a task of its own.
    pub(crate) within: Option<Context>,
    /// The selectors that the attributes give, by index of the method.
    selectors: Arc<[Option<Selector>]>,
    /// How long calls may take that do not say it themselves, by index of the method.
    limits: Arc<[Option<Limits>]>,
}

/// Where calls of a handle start from.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A service in this process, without a node.
    Alone(Arc<Served>),
    /// A node, and where the service is found on it if it serves it itself.
    Node { node: Node, local: Arc<Slot> },
}

impl Place {
    /// The time limit of calls from here when nothing nearer sets one.
    fn default_timeout(&self) -> Option<Duration> {
        match self {
            Self::Alone(_) => None,
            Self::Node { node, .. } => node.default_timeout(),
        }
    }

    /// By what calls from here choose a node when nothing nearer says so.
    pub(crate) fn policy(&self) -> Option<Policy> {
        match self {
            Self::Alone(_) => None,
            Self::Node { node, .. } => node.policy(),
        }
    }

    /// How often calls from here may be extended when nothing nearer says it.
    fn max_extensions(&self) -> Option<u32> {
        match self {
            Self::Alone(_) => None,
            Self::Node { node, .. } => node.max_extensions(),
        }
    }
}

impl Shared {
    /// The selector that holds for a call of the method which says `on` itself: that of the call,
    /// else of the client, else of the attributes.
    pub(crate) fn effective<'a>(
        &'a self,
        on: Option<&'a Selector>,
        method: &MethodInfo,
    ) -> Option<&'a Selector> {
        on.or(self.options.selector()).or_else(|| self.selector(method))
    }

    /// A method of the contract, as it is called on the service.
    #[inline]
    pub(crate) fn method(&self, contract: &'static MethodInfo) -> &'static MethodInfo {
        contract.under(self.renamed)
    }

    /// How long calls of the method may take that do not say it themselves.
    #[inline]
    pub(crate) fn limits(&self, method: &MethodInfo) -> &Limits {
        let known = self.limits.get(usize::from(method.position()));
        known.and_then(Option::as_ref).unwrap_or(&Limits::USUAL)
    }

    /// The selector that the attributes of the method or its service give.
    fn selector(&self, method: &MethodInfo) -> Option<&Selector> {
        self.selectors.get(usize::from(method.position()))?.as_ref()
    }
}

impl<S: Service> Handle<S> {
    /// Calls through `node`.
    pub fn new(node: &Node) -> Self {
        Self::through(node, S::INFO)
    }

    /// Calls the service of this name through `node`.
    pub fn named(node: &Node, name: &str) -> Result<Self, BadServiceName> {
        Ok(Self::through(node, S::INFO.named(TypeId::of::<S>(), name)?))
    }

    /// Calls `service` in this process.
    pub fn local<T>(service: T) -> Self
    where
        Provider<T>: Provides<S>,
    {
        Self::of(Place::Alone(Served::new(erase::<S, T>(service))), None)
    }

    fn through(node: &Node, info: &'static ServiceInfo) -> Self {
        let renamed = (info.service_name() != S::INFO.service_name()).then_some(info);
        node.check_client(info);
        node.contracts().learn(info);
        let local = node.slot(info.service_name());
        Self::of(Place::Node { node: node.clone(), local }, renamed)
    }

    fn of(place: Place, renamed: Option<&'static ServiceInfo>) -> Self {
        let selectors = S::INFO
            .by_index(|method| method.selector().or(S::INFO.selector()).map(parse_selector))
            .into();
        let options = Options::default();
        let limits = limits::<S>(&place, &options);
        Self::sharing(Shared { place, options, renamed, within: None, selectors, limits })
    }

    /// The same for services of such a version.
    pub fn version(&self, requirement: &str) -> Result<Self, BadVersion> {
        let requirement = requirement.parse()?;
        Ok(self.with(|options| options.version(requirement)))
    }

    /// The same with other defaults.
    pub fn with(&self, set: impl FnOnce(Options) -> Options) -> Self {
        let options = set(self.shared.options.clone());
        let limits = limits::<S>(&self.shared.place, &options);
        Self::sharing(Shared { options, limits, ..Shared::clone(&self.shared) })
    }
}

impl<S> Handle<S> {
    /// The same for calls on behalf of the handler that was given `cx`: they inherit its
    /// deadline, and end when its caller gives up.
    pub fn within(&self, cx: &Context) -> Self {
        Self::sharing(Shared { within: Some(cx.clone()), ..Shared::clone(&self.shared) })
    }

    /// A call of the method `M`. Nothing happens before it is awaited.
    pub fn call<M: Method<Api = S>>(&self, args: M::Args) -> Call<'_, M> {
        Call::new(&self.shared, args)
    }

    fn sharing(shared: Shared) -> Self {
        Self { shared: Arc::new(shared), service: PhantomData }
    }
}

/// What the client, the attributes and the node say of how long calls may take.
fn limits<S: Service>(place: &Place, options: &Options) -> Arc<[Option<Limits>]> {
    let limits = S::INFO.by_index(|method| {
        let timeout = options
            .timeout
            .or(method.default_timeout())
            .or(S::INFO.default_timeout())
            .or(place.default_timeout());
        let extensions = options
            .max_extensions
            .or(method.extensions())
            .or(S::INFO.extensions())
            .or(place.max_extensions());
        Some(Limits::new(
            timeout.unwrap_or(TIMEOUT_DEFAULT),
            extensions.unwrap_or(EXTENSIONS_DEFAULT),
        ))
    });
    limits.into()
}

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), service: PhantomData }
    }
}

impl<S> fmt::Debug for Handle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("place", &self.shared.place)
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}
