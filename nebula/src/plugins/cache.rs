//! Replies that are given again.

mod lru;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use macula::rpc::Headers;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use self::lru::{Bounds, Lru};
use super::clock::Clock;
use super::live::{Live, known};
use crate::config::{Invalid, Schema};
use crate::plugin::{Around, Host, Inbound, Plugin, Refusal, Updated};
use crate::{Children, Error, Result};

/// How many replies are kept unless said otherwise, and how many may be.
const ENTRIES: u32 = 1024;
const MOST_ENTRIES: u32 = 1_000_000;
/// How many bytes unless said otherwise, and how many may be.
const BYTES: u64 = 64 << 20;
const MOST_BYTES: u64 = 1 << 40;
/// The longest time for which a reply is kept: 30 days.
const LONGEST_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Keeps replies for a while, and answers calls of the same method with the same arguments with
/// them. The method does not run then.
///
/// Of which methods, must be said: a method that is `idempotent` may be one that writes, and a write
/// that is answered from here does not happen. Only `idempotent` methods can be kept at all. What a
/// method returns as `Err` is not kept. Arguments are the same if their encoded forms are.
///
/// **Of what travels beside the arguments the cache knows nothing: if a method reads a header of its
/// call, such as `tenant`, say so with [`vary`](Self::vary), or one tenant gets what was made for
/// another one.** The same goes for a plugin below that does.
///
/// What [went back](crate::Context::reply_header) beside a reply is not kept: it does not go back
/// beside a reply that is given again, unless a plugin above says it anew.
///
/// A reply given again is the old one for as long as [`ttl`](Self::ttl) says. If what a reply is made
/// of changes, [`clear`](Self::clear) forgets all of them, at once and also those of calls under way.
/// A clone is another handle of the same cache, for that purpose: give it to the method that writes.
///
/// All callers get the same replies unless [`per_caller`](Self::per_caller) is set, and they get them
/// without the plugins below this one being asked: [`Authorize`](super::Authorize) refuses in its
/// `before` hook, which comes first wherever it stands.
///
/// Limits: 1024 replies and 64 MiB with their keys unless set; those not used for longest go first,
/// and one that takes more than an eighth of all bytes is not kept. They are forgotten when the
/// service stops. Its section of the configuration, [`CacheConfig`], is `[plugins.cache]`.
///
/// ```
/// use std::time::Duration;
/// use nebula::plugins::Cache;
///
/// let cache = Cache::ttl(Duration::from_secs(5)).method("find").capacity(10_000);
/// let handle = cache.clone();
/// // .. Service::new(store).plugin(cache) .. and after a change:
/// handle.clear();
/// ```
#[derive(Clone, Debug)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    live: Live<CacheConfig>,
    clock: Clock,
    kept: Mutex<Kept>,
}

/// What `[plugins.cache]` may say.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CacheConfig {
    /// For how long a reply is given again, in milliseconds: from one to 30 days. A change is one for
    /// what is kept already, too.
    pub ttl_ms: u64,
    /// Of which methods: their wire names.
    pub methods: Vec<String>,
    /// Of all idempotent methods, whatever `methods` says.
    pub all_idempotent: bool,
    /// How many replies are kept, from one to a million; 1024 unless set.
    pub capacity: u32,
    /// How many bytes they and their keys may take, from 4 KiB to 1 TiB; 64 MiB unless set.
    pub max_bytes: u64,
    /// Whether each caller gets only what was made for it.
    pub per_caller: bool,
    /// The headers that a reply depends on, by their keys in lower case.
    pub vary: Vec<String>,
    /// Whether of calls of the same method with the same arguments one runs at a time.
    pub single_flight: bool,
}

/// What is kept, and by what rules.
#[derive(Debug, Default)]
struct Kept {
    replies: Lru<Key, Bytes>,
    /// Rises with each clearing: what began before it is not kept.
    epoch: u64,
    /// Those that run, if one runs at a time, and what is cancelled at their ends.
    turns: BTreeMap<Key, CancellationToken>,
}

/// Method, caller, headers and arguments.
type Key = Bytes;

impl CacheConfig {
    fn check(&self) -> Result<(), Invalid> {
        let invalid = |key: &str, message: &str| Err(Invalid::new(key, message));
        if !(1..=LONGEST_MS).contains(&self.ttl_ms) {
            return invalid("ttl_ms", "it must be from 1 to 2592000000 (30 days)");
        }
        if !(1..=MOST_ENTRIES).contains(&self.capacity) {
            return invalid("capacity", "it must be from 1 to 1000000");
        }
        if !(4096..=MOST_BYTES).contains(&self.max_bytes) {
            return invalid("max_bytes", "it must be from 4096 (4 KiB) to 1099511627776 (1 TiB)");
        }
        let mut headers = Headers::new();
        match self.vary.iter().try_for_each(|key| headers.insert(key, "")) {
            Ok(()) => Ok(()),
            Err(error) => invalid("vary", &error.to_string()),
        }
    }

    /// Whether replies to this call are kept.
    fn keeps(&self, call: &Inbound<'_>) -> bool {
        call.is_idempotent()
            && (self.all_idempotent || self.methods.iter().any(|name| name == call.method()))
    }

    fn bounds(&self) -> Bounds {
        let entries = self.capacity as usize;
        Bounds { entries, bytes: usize::try_from(self.max_bytes).unwrap_or(usize::MAX) }
    }
}

impl Cache {
    /// Keeps replies for so long, in whole milliseconds from one to 30 days, and those of no method
    /// yet.
    pub fn ttl(ttl: Duration) -> Self {
        let config = CacheConfig {
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            methods: Vec::new(),
            all_idempotent: false,
            capacity: ENTRIES,
            max_bytes: BYTES,
            per_caller: false,
            vary: Vec::new(),
            single_flight: false,
        };
        Self::of(Live::new(config))
    }

    fn of(live: Live<CacheConfig>) -> Self {
        Self(Arc::new(Inner { live, clock: Clock::default(), kept: Mutex::default() }))
    }

    /// Keeps the replies of the method of this wire name. With a name that the service does not
    /// have, or of a method that is not idempotent, it does not start.
    #[must_use]
    pub fn method(self, name: impl Into<String>) -> Self {
        self.with(|config| config.methods.push(name.into()))
    }

    /// Keeps the replies of all idempotent methods. Only for services of which none writes.
    #[must_use]
    pub fn all_idempotent(self) -> Self {
        self.with(|config| config.all_idempotent = true)
    }

    /// How many replies are kept at most: from one to a million, 1024 unless set.
    #[must_use]
    pub fn capacity(self, replies: u32) -> Self {
        self.with(|config| config.capacity = replies)
    }

    /// How many bytes they and their keys take at most: from 4 KiB to 1 TiB, 64 MiB unless set.
    #[must_use]
    pub fn max_bytes(self, bytes: u64) -> Self {
        self.with(|config| config.max_bytes = bytes)
    }

    /// Gives each caller only what was made for it. Callers without a node count as one.
    #[must_use]
    pub fn per_caller(self) -> Self {
        self.with(|config| config.per_caller = true)
    }

    /// Gives a reply again only to calls whose header of this key, which is written in lower case,
    /// says the same, or is missing as well. There may be several.
    #[must_use]
    pub fn vary(self, header: impl Into<String>) -> Self {
        self.with(|config| config.vary.push(header.into()))
    }

    /// Lets one call run where several are the same: the others wait for its reply. If it does not
    /// bring one that can be kept, those that wait by then run all at once, lest each of them waits
    /// for all before it. A method that calls itself with its own arguments waits for itself, until
    /// the deadline.
    #[must_use]
    pub fn single_flight(self) -> Self {
        self.with(|config| config.single_flight = true)
    }

    /// Settings are for a cache that is not in use yet: this is a new one.
    fn with(self, change: impl FnOnce(&mut CacheConfig)) -> Self {
        let mut config = CacheConfig::clone(&self.0.live.now());
        change(&mut config);
        Self::of(Live::new(config))
    }

    /// Forgets all replies, and does not keep those of calls under way.
    pub fn clear(&self) {
        self.0.kept().clear();
    }

    /// How many replies are kept, with those whose time is over and whose place nobody needed.
    pub fn len(&self) -> usize {
        self.0.kept().replies.len()
    }

    /// Whether no reply is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inner {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the call if there is a reply.
    fn answer(&self, call: &mut Inbound<'_>, key: &Key) -> bool {
        let ttl = self.live.now().ttl_ms.saturating_mul(1_000_000);
        let reply = self.kept().replies.get(key, self.clock.nanos(), ttl).cloned();
        reply.is_some_and(|reply| call.answer_encoded(&reply).is_ok())
    }

    /// The turn of this key, or the end of the call that has it.
    fn turn(&self, key: &Key) -> Result<Turn<'_>, CancellationToken> {
        match self.kept().turns.entry(key.clone()) {
            Entry::Occupied(taken) => Err(taken.get().clone()),
            Entry::Vacant(free) => {
                free.insert(CancellationToken::new());
                Ok(Turn { inner: self, key: key.clone() })
            }
        }
    }
}

/// Has others of its key wait until it is dropped.
struct Turn<'c> {
    inner: &'c Inner,
    key: Key,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let ended = self.inner.kept().turns.remove(&self.key);
        if let Some(ended) = ended {
            ended.cancel();
        }
    }
}

impl Kept {
    fn clear(&mut self) {
        self.replies.clear();
        self.epoch += 1;
    }
}

/// All that a reply depends on in one; none if the arguments refuse to be written.
fn key(call: &Inbound<'_>, config: &CacheConfig) -> Option<Key> {
    let args = call.encoded_args()?;
    let caller = if config.per_caller { call.caller().map(|caller| caller.id) } else { None };
    let caller = caller.as_ref().map_or(&[][..], |id| id.as_bytes());
    let vary = config.vary.iter().map(|key| (key, call.header(key)));
    // What varies in length says how long it is, lest two keys look alike.
    let known = (call.service(), call.method(), caller, vary.collect::<Vec<_>>());
    let mut key = postcard::to_extend(&known, Vec::with_capacity(128 + args.len())).ok()?;
    key.extend_from_slice(&args);
    Some(key.into())
}

#[crate::plugin(crate = "crate")]
impl Plugin for Cache {
    fn name(&self) -> Cow<'static, str> {
        "cache".into()
    }

    fn config(&self) -> Option<Schema> {
        self.0.live.schema(CacheConfig::check)
    }

    async fn start(&self, host: &Host) -> Result<Children> {
        self.updated(host).await?;
        Ok(Children::new())
    }

    async fn stop(&self, _: &Host) -> Result<()> {
        self.clear();
        Ok(())
    }

    async fn updated(&self, host: &Host) -> Result<Updated> {
        if let Some(config) = host.config::<CacheConfig>() {
            check_methods(host, &config)?;
        }
        self.0.live.refresh(host);
        let bounds = self.0.live.now().bounds();
        self.0.kept().replies.shrink(bounds);
        Ok(Updated::Kept)
    }

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        let Self(inner) = self;
        let config = Arc::clone(&inner.live.now());
        if !config.keeps(&call) {
            return call.next().await;
        }
        let Some(key) = key(&call, &config) else { return call.next().await };
        if inner.answer(&mut call, &key) {
            return Ok(());
        }
        let mut turn = None;
        if config.single_flight {
            match inner.turn(&key) {
                Ok(own) => turn = Some(own),
                Err(ended) => ended.cancelled().await,
            }
            if inner.answer(&mut call, &key) {
                return Ok(());
            }
        }
        let epoch = inner.kept().epoch;
        call.next().await?;
        if !call.is_error()
            && let Some(reply) = call.encoded_reply()
        {
            let now = inner.clock.nanos();
            let bounds = inner.live.now().bounds();
            let mut kept = inner.kept();
            if kept.epoch == epoch {
                // What it was written into may be twice as large.
                let reply = Bytes::copy_from_slice(&reply);
                kept.replies.insert(key, reply, now, bounds);
            }
        }
        drop(turn);
        Ok(())
    }
}

/// The methods are there, there are some, and none of them may not be kept.
fn check_methods(host: &Host, config: &CacheConfig) -> Result<()> {
    known(host, &config.methods)?;
    if config.methods.is_empty() && !config.all_idempotent {
        return Err(Error::msg(
            "a cache keeps the replies of no method: name those that only read with `.method(..)`",
        ));
    }
    let named = |name: &str| config.methods.iter().any(|method| method == name);
    let methods = host.methods();
    let mut twice = methods.iter().filter(|method| named(method.method_name()));
    match twice.find(|method| !method.is_idempotent()) {
        None => Ok(()),
        Some(method) => Err(Error::msg(format!(
            "`{}` is not idempotent, so that its replies cannot be kept: leave it out, or write \
             `#[api(idempotent)]`",
            method.method_name()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_leaves_nothing_behind() {
        let Cache(inner) = Cache::ttl(Duration::from_secs(1));
        let keys = [Key::from_static(b"one"), Key::from_static(b"two")];
        let [one, two] = keys.each_ref().map(|key| inner.turn(key).ok().unwrap());
        let ended = inner.turn(&keys[0]).err().unwrap();
        assert_eq!((inner.kept().turns.len(), ended.is_cancelled()), (2, false));
        drop(one);
        assert!(ended.is_cancelled());
        assert!(inner.kept().turns.keys().eq([&two.key]));
        drop((inner.turn(&keys[0]), two));
        assert!(inner.kept().turns.is_empty());
    }
}
