#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use super::{MethodInfo, Stragglers};
use crate::nodes::Policy;

/// Everything about one service that is known when it is compiled.
#[derive(Clone, Debug)]
pub struct ServiceInfo {
    name: &'static str,
    methods: &'static [&'static MethodInfo],
    global: bool,
    transparent: bool,
    version: Option<&'static str>,
    on: Option<&'static str>,
    timeout_ms: Option<u64>,
    max_concurrent: Option<u32>,
    queue: Option<u32>,
    policy: Option<Policy>,
    stragglers: Option<Stragglers>,
    max_extensions: Option<u32>,
}

impl ServiceInfo {
    /// A service called `name` on the wire, whose methods are called by their
    /// [`index`](MethodInfo::index). Numbers may be missing, as of methods that `cfg` left out.
    ///
    /// # Panics
    ///
    /// When compiled, if the indexes do not rise.
    pub const fn new(name: &'static str, methods: &'static [&'static MethodInfo]) -> Self {
        let mut at = 1;
        while at < methods.len() {
            assert!(methods[at - 1].index < methods[at].index, "the indexes of methods rise");
            at += 1;
        }
        Self {
            name,
            methods,
            global: false,
            transparent: false,
            version: None,
            on: None,
            timeout_ms: None,
            max_concurrent: None,
            queue: None,
            policy: None,
            stragglers: None,
            max_extensions: None,
        }
    }

    /// It is advertised to the cluster.
    pub const fn global(mut self) -> Self {
        self.global = true;
        self
    }

    /// Its client implements the trait itself.
    pub const fn transparent(mut self) -> Self {
        self.transparent = true;
        self
    }

    /// Sets the version that is shown to operators.
    pub const fn version(mut self, version: &'static str) -> Self {
        self.version = Some(version);
        self
    }

    /// Sets the default selector of its calls, in the short form.
    pub const fn on(mut self, selector: &'static str) -> Self {
        self.on = Some(selector);
        self
    }

    /// Sets the default time limit of its calls, in milliseconds.
    pub const fn timeout_ms(mut self, milliseconds: u64) -> Self {
        self.timeout_ms = Some(milliseconds);
        self
    }

    /// At most so many bodies of all its methods run at once on a node.
    pub const fn max_concurrent(mut self, bodies: u32) -> Self {
        self.max_concurrent = Some(bodies);
        self
    }

    /// At most so many of its calls wait for their turn on a node.
    pub const fn queue(mut self, calls: u32) -> Self {
        self.queue = Some(calls);
        self
    }

    /// Sets by what calls of its methods to one node choose the node.
    pub const fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Calls left over after a decision are cancelled, unless their method says otherwise.
    pub const fn stragglers_cancel(mut self) -> Self {
        self.stragglers = Some(Stragglers::Cancel);
        self
    }

    /// Calls left over after a decision run to their end, unless their method says otherwise.
    pub const fn stragglers_finish(mut self) -> Self {
        self.stragglers = Some(Stragglers::Finish);
        self
    }

    /// A body may extend its call so many times, unless its method says otherwise.
    pub const fn max_extensions(mut self, extensions: u32) -> Self {
        self.max_extensions = Some(extensions);
        self
    }

    /// Its wire name.
    pub const fn service_name(&self) -> &'static str {
        self.name
    }

    /// Its methods, in the order of their indexes.
    pub const fn methods(&self) -> &'static [&'static MethodInfo] {
        self.methods
    }

    /// Whether it is advertised to the cluster.
    pub const fn is_global(&self) -> bool {
        self.global
    }

    /// Whether its client implements the trait itself.
    pub const fn is_transparent(&self) -> bool {
        self.transparent
    }

    /// The version that is shown to operators.
    pub const fn version_text(&self) -> Option<&'static str> {
        self.version
    }

    /// Its default selector in the short form.
    pub const fn selector(&self) -> Option<&'static str> {
        self.on
    }

    /// The default time limit of its calls.
    pub const fn default_timeout(&self) -> Option<Duration> {
        match self.timeout_ms {
            Some(milliseconds) => Some(Duration::from_millis(milliseconds)),
            None => None,
        }
    }

    /// How many bodies of all its methods may run at once on a node, if it says so.
    pub const fn concurrency(&self) -> Option<u32> {
        self.max_concurrent
    }

    /// How many of its calls may wait on a node, if it says so.
    pub const fn queue_len(&self) -> Option<u32> {
        self.queue
    }

    /// By what calls of its methods choose a node, if it says so.
    pub const fn chosen_by(&self) -> Option<Policy> {
        self.policy
    }

    /// What becomes of the calls of its methods after a decision, if it says so.
    pub const fn stragglers(&self) -> Option<Stragglers> {
        self.stragglers
    }

    /// How often a body may extend its call, if it says so.
    pub const fn extensions(&self) -> Option<u32> {
        self.max_extensions
    }

    /// The same under another name, with its methods under that name.
    pub(super) fn renamed(
        &self,
        name: &'static str,
        methods: &'static [&'static MethodInfo],
    ) -> Self {
        Self { name, methods, ..self.clone() }
    }

    /// The method with this wire id.
    pub fn find(&self, wire_id: u64) -> Option<&'static MethodInfo> {
        self.methods.iter().find(|method| method.wire_id() == wire_id).copied()
    }

    /// The method with this index.
    pub fn at(&self, index: u16) -> Option<&'static MethodInfo> {
        self.methods.iter().find(|method| method.index == index).copied()
    }

    /// What some of the methods have, by their index.
    pub(crate) fn by_index<T: Clone>(
        &self,
        of: impl Fn(&'static MethodInfo) -> Option<T>,
    ) -> Vec<Option<T>> {
        let mut found = Vec::new();
        for method in self.methods {
            found.resize(usize::from(method.index), None);
            found.push(of(method));
        }
        found
    }
}
