//! What is known of a service before anything runs: names, wire ids and the defaults that its
//! attributes give. All of it is built in `const`, so that generated code costs nothing at start.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod named;
mod service;

use std::time::Duration;

use crate::nodes::{Policy, Selector};

pub use named::BadServiceName;
pub use service::ServiceInfo;

/// What becomes of calls that nobody needs any more once a `first` or a `quorum` is decided.
///
/// Unless the call, its client, the method or its service says so, the calls of an idempotent
/// method are cancelled, and all others finish: a write that a quorum has accepted is not torn
/// from the nodes that are slower.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stragglers {
    /// They are cancelled: their bodies are dropped at their next await, and what was not sent
    /// yet is not sent.
    Cancel,
    /// They run to their end, or to the deadline of the call, in the background, and their replies
    /// are dropped. What was not sent yet is sent.
    Finish,
}

/// Everything about one method that is known when it is compiled.
#[derive(Clone, Debug)]
pub struct MethodInfo {
    service: &'static str,
    name: &'static str,
    signature: &'static str,
    id: u64,
    key: [u8; 8],
    index: u16,
    version: u32,
    idempotent: bool,
    spawn: bool,
    stragglers: Option<Stragglers>,
    timeout_ms: Option<u64>,
    max_concurrent: Option<u32>,
    queue: Option<u32>,
    max_extensions: Option<u32>,
    on: Option<&'static str>,
    policy: Option<Policy>,
}

impl MethodInfo {
    /// A method of `service` called `name` on the wire; `signature` is its normalised text, from
    /// which the key of its shape is made.
    pub const fn new(service: &'static str, name: &'static str, signature: &'static str) -> Self {
        Self {
            service,
            name,
            signature,
            id: method_id(service, name),
            key: signature_key(signature, 1),
            index: 0,
            version: 1,
            idempotent: false,
            spawn: false,
            stragglers: None,
            timeout_ms: None,
            max_concurrent: None,
            queue: None,
            max_extensions: None,
            on: None,
            policy: None,
        }
    }

    /// Sets its number within its service: the one that dispatch matches on.
    pub const fn index(mut self, index: u16) -> Self {
        self.index = index;
        self
    }

    /// Running it twice does no harm.
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Sets the default time limit of its calls, in milliseconds.
    pub const fn timeout_ms(mut self, milliseconds: u64) -> Self {
        self.timeout_ms = Some(milliseconds);
        self
    }

    /// At most so many bodies of it run at once on a node.
    pub const fn max_concurrent(mut self, bodies: u32) -> Self {
        self.max_concurrent = Some(bodies);
        self
    }

    /// At most so many calls of it wait for their turn on a node.
    pub const fn queue(mut self, calls: u32) -> Self {
        self.queue = Some(calls);
        self
    }

    /// A body may extend its call so many times, unless the call or its client says otherwise.
    pub const fn max_extensions(mut self, extensions: u32) -> Self {
        self.max_extensions = Some(extensions);
        self
    }

    /// Sets the default selector of its calls, in the short form (`"&db !@backup"`).
    pub const fn on(mut self, selector: &'static str) -> Self {
        self.on = Some(selector);
        self
    }

    /// Sets by what a call of it to one node chooses the node.
    pub const fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Calls left over after a decision are cancelled.
    pub const fn stragglers_cancel(mut self) -> Self {
        self.stragglers = Some(Stragglers::Cancel);
        self
    }

    /// Calls left over after a decision run to their end.
    pub const fn stragglers_finish(mut self) -> Self {
        self.stragglers = Some(Stragglers::Finish);
        self
    }

    /// Bodies started by a peer go to a task of their own at once.
    pub const fn spawn(mut self) -> Self {
        self.spawn = true;
        self
    }

    /// Sets the version of its meaning: another version is another shape, even when the types
    /// stay the same.
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self.key = signature_key(self.signature, version);
        self
    }

    /// Makes it a method of a service of another name.
    pub(crate) fn belongs_to(&mut self, service: &'static str) {
        self.service = service;
        self.id = method_id(service, self.name);
    }

    /// The wire name of the service it belongs to.
    pub const fn service_name(&self) -> &'static str {
        self.service
    }

    /// Its wire name.
    pub const fn method_name(&self) -> &'static str {
        self.name
    }

    /// The normalised text of its arguments and reply.
    pub const fn signature(&self) -> &'static str {
        self.signature
    }

    /// Its number on the wire, made from `Service/method` alone: the order of methods does not
    /// matter.
    pub const fn wire_id(&self) -> u64 {
        self.id
    }

    /// The key of its shape: two nodes whose keys differ do not decode each other's bodies.
    pub const fn key(&self) -> [u8; 8] {
        self.key
    }

    /// Its number within its service.
    pub const fn position(&self) -> u16 {
        self.index
    }

    /// Whether running it twice does no harm.
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Whether its bodies go to a task of their own at once.
    pub const fn is_spawned(&self) -> bool {
        self.spawn
    }

    /// What becomes of its calls after a decision, if it says so.
    pub const fn stragglers(&self) -> Option<Stragglers> {
        self.stragglers
    }

    /// How often a body may extend its call, if it says so.
    pub const fn extensions(&self) -> Option<u32> {
        self.max_extensions
    }

    /// The default time limit of its calls.
    pub const fn default_timeout(&self) -> Option<Duration> {
        match self.timeout_ms {
            Some(milliseconds) => Some(Duration::from_millis(milliseconds)),
            None => None,
        }
    }

    /// How many of its bodies may run at once on a node, if it says so.
    pub const fn concurrency(&self) -> Option<u32> {
        self.max_concurrent
    }

    /// How many of its calls may wait on a node, if it says so.
    pub const fn queue_len(&self) -> Option<u32> {
        self.queue
    }

    /// Its default selector in the short form.
    pub const fn selector(&self) -> Option<&'static str> {
        self.on
    }

    /// By what its calls choose a node, if it says so.
    pub const fn chosen_by(&self) -> Option<Policy> {
        self.policy
    }
}

/// The wire id of a method: FNV-1a, 64 bits, of `Service/method`.
pub const fn method_id(service: &str, method: &str) -> u64 {
    let hash = fnv1a(FNV_OFFSET, service.as_bytes());
    fnv1a(fnv1a(hash, b"/"), method.as_bytes())
}

/// The key of a shape: FNV-1a, 64 bits, of the normalised signature and its version,
/// least significant byte first.
pub const fn signature_key(signature: &str, version: u32) -> [u8; 8] {
    let hash = fnv1a(FNV_OFFSET, signature.as_bytes());
    fnv1a(hash, &version.to_le_bytes()).to_le_bytes()
}

/// A selector in the short form that the macro has read already.
///
/// # Panics
///
/// If the text is no selector after all, which says that the macro and this crate are not of one
/// release.
pub fn parse_selector(text: &'static str) -> Selector {
    match text.parse() {
        Ok(selector) => selector,
        Err(error) => panic!("`{text}` was a selector when it was compiled: {error}"),
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

const fn fnv1a(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(FNV_PRIME);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_published_ones() {
        // Test vectors of the FNV reference code.
        assert_eq!(fnv1a(FNV_OFFSET, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(FNV_OFFSET, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(FNV_OFFSET, b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(method_id("foo", "bar"), fnv1a(FNV_OFFSET, b"foo/bar"));
    }

    #[test]
    fn a_version_changes_the_key_and_not_the_id() {
        const ONE: MethodInfo = MethodInfo::new("Users", "find", "(u64)->Option<User>");
        const TWO: MethodInfo = MethodInfo::new("Users", "find", "(u64)->Option<User>").version(2);
        assert_eq!(ONE.wire_id(), TWO.wire_id());
        assert_ne!(ONE.key(), TWO.key());
        assert_ne!(ONE.key(), signature_key("(u32)->Option<User>", 1));
    }

    #[test]
    fn a_service_finds_its_method_by_wire_id() {
        const PUT: MethodInfo =
            MethodInfo::new("Users", "put", "(User)->()").index(2).timeout_ms(2000);
        const USERS: ServiceInfo =
            ServiceInfo::new("Users", &[&MethodInfo::new("Users", "find", "(u64)->u64"), &PUT]);
        let found = USERS.find(PUT.wire_id()).unwrap();
        assert_eq!((found.position(), found.default_timeout()), (2, Some(Duration::from_secs(2))));
        assert_eq!(USERS.at(2).unwrap().wire_id(), PUT.wire_id());
        assert!(USERS.at(1).is_none());
        assert_eq!(USERS.by_index(|method| method.default_timeout())[..2], [None, None]);
        assert!(USERS.find(0).is_none());
    }
}
