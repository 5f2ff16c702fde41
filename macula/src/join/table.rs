//! A resolver with answers of a test.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use super::resolve::{Answer, Resolve};
use super::srv::SrvRecord;

#[derive(Debug, Default)]
pub(crate) struct Table {
    hosts: Mutex<BTreeMap<String, Vec<IpAddr>>>,
    services: BTreeMap<String, Vec<SrvRecord>>,
    /// The name of each lookup.
    asked: Mutex<Vec<String>>,
    srv_fails: bool,
    srv_never: bool,
    never: bool,
    silent: Option<String>,
    /// How many hosts are looked up now, and how many were at most.
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Table {
    pub(crate) fn host(self, host: &str, addrs: &[&str]) -> Self {
        self.set(host, addrs);
        self
    }

    /// What the host's addresses are from now on.
    pub(crate) fn set(&self, host: &str, addrs: &[&str]) {
        let addrs = addrs.iter().map(|addr| addr.parse().unwrap()).collect();
        self.hosts.lock().unwrap().insert(host.into(), addrs);
    }

    pub(crate) fn srv(
        mut self,
        name: &str,
        priority: u16,
        weight: u16,
        port: u16,
        to: &str,
    ) -> Self {
        let record = SrvRecord { priority, weight, port, target: to.into() };
        self.services.entry(name.into()).or_default().push(record);
        self
    }

    pub(crate) fn srv_fails(mut self) -> Self {
        self.srv_fails = true;
        self
    }

    pub(crate) fn srv_never(mut self) -> Self {
        self.srv_never = true;
        self
    }

    pub(crate) fn never(mut self) -> Self {
        self.never = true;
        self
    }

    /// Says nothing of this host.
    pub(crate) fn silent(mut self, host: &str) -> Self {
        self.silent = Some(host.into());
        self
    }

    /// How many hosts were looked up at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.most.load(SeqCst)
    }

    /// How often this was asked for.
    pub(crate) fn asked(&self, name: &str) -> usize {
        self.note().iter().filter(|asked| *asked == name).count()
    }

    fn note(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolve for Table {
    fn addresses<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a, Vec<SocketAddr>> {
        self.note().push(host.into());
        if self.never || self.silent.as_deref() == Some(host) {
            return Box::pin(std::future::pending());
        }
        let addrs = self.hosts.lock().unwrap().get(host).cloned();
        Box::pin(async move {
            self.most.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::task::yield_now().await;
            self.now.fetch_sub(1, SeqCst);
            let none = || io::Error::other(format!("`{host}` is not in the table"));
            let addrs = addrs.ok_or_else(none)?;
            Ok(addrs.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
        })
    }

    fn services<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<SrvRecord>> {
        self.note().push(name.into());
        if self.srv_never {
            return Box::pin(std::future::pending());
        }
        let records = match self.srv_fails {
            true => Err(io::Error::other("no server answers")),
            false => Ok(self.services.get(name).cloned().unwrap_or_default()),
        };
        Box::pin(async move { records })
    }
}
