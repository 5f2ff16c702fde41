//! Two contracts and their services for all of these tests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nebula::ServiceInstance;
use nebula::prelude::*;
use serde::{Deserialize, Serialize};

pub(crate) const ZERO: Duration = Duration::ZERO;
pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) name: String,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum UserError {
    Taken { by: String },
    Locked,
}

impl std::fmt::Display for UserError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

#[service(global, version = "1.0.0")]
pub(crate) trait Users {
    #[api(idempotent)]
    async fn find(&self, id: u64) -> Option<User>;
    #[api]
    async fn put(&self, user: User) -> Result<u64, UserError>;
    /// Takes its time, and counts when it begins and when it ends.
    #[api]
    async fn slow(&self, millis: u64) -> u32;
    #[api(max_concurrent = 1, queue = 0)]
    async fn alone(&self, millis: u64) -> u32;
    #[api]
    async fn count(&self) -> u32;
    #[api]
    async fn fail(&self, left: u64, right: u64) -> u64;
    #[api(idempotent)]
    async fn whoami(&self) -> String;
}

/// Served to its own node only.
#[service]
pub(crate) trait Diary {
    #[api]
    async fn write(&self, line: String) -> usize;
}

/// A store of users under a name.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Shelf>);

#[derive(Default)]
struct Shelf {
    name: String,
    users: Mutex<BTreeMap<u64, User>>,
    begun: AtomicU32,
    ended: AtomicU32,
}

impl Store {
    pub(crate) fn new(name: &str) -> Self {
        Self(Arc::new(Shelf { name: name.to_owned(), ..Shelf::default() }))
    }

    /// How many slow calls have begun, and how many have ended.
    pub(crate) fn slow_calls(&self) -> (u32, u32) {
        (self.0.begun.load(SeqCst), self.0.ended.load(SeqCst))
    }

    pub(crate) fn users(&self) -> usize {
        self.0.users.lock().unwrap().len()
    }
}

impl Users for Store {
    async fn find(&self, id: u64) -> Option<User> {
        self.0.users.lock().unwrap().get(&id).cloned()
    }

    async fn put(&self, user: User) -> Result<u64, UserError> {
        let mut users = self.0.users.lock().unwrap();
        if let Some(known) = users.get(&user.id).filter(|known| known.name != user.name) {
            return Err(UserError::Taken { by: known.name.clone() });
        }
        let id = user.id;
        users.insert(id, user);
        Ok(id)
    }

    async fn slow(&self, millis: u64) -> u32 {
        self.0.begun.fetch_add(1, SeqCst);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        self.0.ended.fetch_add(1, SeqCst) + 1
    }

    async fn alone(&self, millis: u64) -> u32 {
        self.slow(millis).await
    }

    async fn count(&self) -> u32 {
        self.0.begun.load(SeqCst)
    }

    async fn fail(&self, left: u64, right: u64) -> u64 {
        assert!(left <= right, "{left} is more than {right}");
        left
    }

    async fn whoami(&self) -> String {
        self.0.name.clone()
    }
}

#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<String>>);

impl Diary for Lines {
    async fn write(&self, line: String) -> usize {
        let mut lines = self.0.lock().unwrap();
        lines.push(line);
        lines.len()
    }
}

/// The names of the nodes, in the order of the instances.
pub(crate) fn names(instances: &[ServiceInstance]) -> Vec<&str> {
    instances.iter().map(|one| one.node_name.as_str()).collect()
}

pub(crate) fn user(id: u64, name: &str) -> User {
    User { id, name: name.to_owned() }
}
