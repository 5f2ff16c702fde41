use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until, timeout};

use super::*;
use crate::identity::Cookie;
use crate::rpc::admission::Gate;
use crate::rpc::{Answer, Fault, Handler, Incoming, Method, Service};
use crate::{MemoryNetwork, Mesh};

const MS: Duration = Duration::from_millis(1);
const KEY: [u8; 8] = *b"a shape!";

/// Asks for another minute shortly before its deadline, and says when it is stopped.
struct Late(Arc<Notify>);

struct Stopped(Arc<Notify>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Handler for Late {
    fn handle(
        &self,
        call: Incoming,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>> {
        let stopped = Stopped(self.0.clone());
        Box::pin(async move {
            let _stopped = stopped;
            sleep_until(call.lease.deadline() - 5 * MS).await;
            call.lease.extend(Duration::from_secs(60)).unwrap();
            std::future::pending().await
        })
    }
}

fn node(network: &MemoryNetwork, name: &str, host: u8) -> crate::MeshBuilder {
    let addr = SocketAddr::from(([10, 0, 0, host], 7000));
    let cookie = Cookie::new(&b"of a test"[..]).unwrap();
    Mesh::builder(name).realm("test").cookie(cookie).memory(network.clone(), addr)
}

/// The deadline passes here before word of the extension comes, while the caller looks elsewhere;
/// then it leaves.
async fn stops_when_dropped_late(polls: bool) {
    let network = MemoryNetwork::new(1);
    let stopped = Arc::<Notify>::default();
    let method = Method::new("late", 1, KEY, Gate::new(64, 64));
    let service = Service::new("Late", [method], Arc::new(Late(stopped.clone())));
    let server = node(&network, "server", 1).service(service).start().await.unwrap();
    let client = node(&network, "client", 2).seed(server.addr().to_string());
    let client = client.start().await.unwrap();
    network.delay(20 * MS);
    while client.0.link(&server.id()).is_none() {
        sleep(MS).await;
    }
    let request = Request {
        method: 1,
        key: KEY,
        body: Bytes::new(),
        term: Term::new(Instant::now() + 200 * MS, Duration::from_secs(60), 5),
        headers: Headers::new(),
        moved: None,
        sent: None,
        leave_if_silent: false,
    };
    let mut call = client.call_to(server.id(), request);
    assert!((&mut call).now_or_never().is_none());
    sleep(210 * MS).await;
    if polls {
        assert!((&mut call).now_or_never().is_some());
    }
    drop(call);
    timeout(Duration::from_secs(5), stopped.notified()).await.expect("its handler is stopped");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_sees_its_deadline_pass_stops_the_handler() {
    stops_when_dropped_late(true).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_after_its_deadline_unseen_stops_the_handler() {
    stops_when_dropped_late(false).await;
}
