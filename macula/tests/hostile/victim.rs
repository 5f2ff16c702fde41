//! The node that is attacked, and an honest one beside it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use macula::identity::Cookie;
use macula::rpc::admission::Gate;
use macula::rpc::{Answer, Fault, Handler, Headers, Incoming, Method, Request, Service, Term};
use macula::{Limits, MemoryNetwork, Mesh, MeshBuilder};
use tokio::time::{Instant, sleep, timeout};

pub(crate) const REALM: &str = "hostile";
pub(crate) const COOKIE: &[u8] = b"known to members only";
pub(crate) const ECHO: u64 = 1;
pub(crate) const HANG: u64 = 2;
pub(crate) const KEY: [u8; 8] = *b"a shape!";
/// How long a test waits for what must come; only a failure takes that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long a stranger has to prove itself.
pub(crate) const ADMISSION: Duration = Duration::from_millis(700);
const HONEST: &[u8] = b"from an honest client";

pub(crate) struct Victim {
    pub(crate) network: MemoryNetwork,
    pub(crate) mesh: Mesh,
    pub(crate) honest: Mesh,
    handler: Arc<Counting>,
}

/// Counts the calls that are not the honest client's.
#[derive(Default)]
struct Counting {
    began: AtomicUsize,
    running: Arc<AtomicUsize>,
}

impl Handler for Counting {
    fn handle(
        &self,
        call: Incoming,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>> {
        if call.body != HONEST {
            self.began.fetch_add(1, Ordering::SeqCst);
        }
        let running = Running::new(&self.running);
        Box::pin(async move {
            let _running = running;
            match call.method {
                0 => Ok(call.body.into()),
                _ => std::future::pending().await,
            }
        })
    }
}

struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(running: &Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Ordering::SeqCst);
        Self(running.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Victim {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        limits.admission_timeout = ADMISSION;
        limits.max_body = 64 << 10;
        change(&mut limits);
        let network = MemoryNetwork::new(3);
        let handler = Arc::new(Counting::default());
        let gate = Gate::new(16, 16);
        let methods = [("echo", ECHO), ("hang", HANG)]
            .map(|(name, id)| Method::new(name, id, KEY, gate.clone()));
        let service = Service::new("Victim", methods, handler.clone());
        let mesh = member(&network, "victim", 1).limits(limits).service(service);
        let mesh = mesh.start().await.unwrap();
        let honest = member(&network, "honest", 2).seed(mesh.addr().to_string());
        let honest = honest.start().await.unwrap();
        let victim = Self { network, mesh, honest, handler };
        victim.serves().await;
        victim
    }

    /// The victim answers, and as many calls of others have begun as expected.
    pub(crate) async fn is_well(&self, began: usize) {
        self.serves().await;
        assert_eq!(self.began(), began, "handlers that ran");
        assert_eq!(self.handler.running.load(Ordering::SeqCst), 0, "handlers that run");
        let view = self.mesh.view();
        let honest = view.node(&self.honest.id()).unwrap();
        assert_eq!(honest.record.as_ref().unwrap().name, "honest");
        assert_eq!(self.honest.view().providers(ECHO).len(), 1);
    }

    /// How many calls of others have begun.
    pub(crate) fn began(&self) -> usize {
        self.handler.began.load(Ordering::SeqCst)
    }

    async fn serves(&self) {
        let wait = async {
            while self.honest.view().providers(ECHO).is_empty() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap();
        let request = Request {
            method: ECHO,
            key: KEY,
            body: Bytes::from_static(HONEST),
            term: Term::fixed(Instant::now() + PATIENCE),
            headers: Headers::new(),
            moved: None,
            sent: None,
            leave_if_silent: false,
        };
        let response = self.honest.call_to(self.mesh.id(), request).await;
        assert_eq!(response.result.unwrap(), HONEST);
    }

    /// Waits until a peer at this address was refused, and gives the reason.
    pub(crate) async fn refusal(&self, addr: SocketAddr) -> String {
        let known = || self.mesh.refusals().into_iter().rfind(|refusal| refusal.addr == addr);
        let wait = async {
            loop {
                match known() {
                    Some(refusal) => return refusal.reason,
                    None => sleep(Duration::from_millis(1)).await,
                }
            }
        };
        timeout(PATIENCE, wait).await.expect("nobody was refused")
    }

    /// Waits until no handler runs.
    pub(crate) async fn idle(&self) {
        let wait = async {
            while self.handler.running.load(Ordering::SeqCst) > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("a handler runs on");
    }
}

pub(crate) fn member(network: &MemoryNetwork, name: &str, host: u8) -> MeshBuilder {
    let cookie = Cookie::new(COOKIE).unwrap();
    Mesh::builder(name).realm(REALM).cookie(cookie).memory(network.clone(), address(host))
}

pub(crate) fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 7000))
}
