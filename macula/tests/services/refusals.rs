//! Calls that a handler refuses, before they are admitted or after.

use std::sync::Mutex;

use macula::rpc::{MAX_DENIED_BYTES, Phase};

use super::*;

/// Refuses whatever comes with the same fault: at the door, or once it is in.
struct Strict {
    fault: Mutex<Fault>,
    at_the_door: AtomicBool,
}

struct Refuses(Arc<Strict>);

impl Handler for Refuses {
    fn handle(&self, _: Incoming) -> Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>> {
        Box::pin(std::future::ready(Err(self.0.fault.lock().unwrap().clone())))
    }

    fn refuses(&self, _: usize) -> Option<Fault> {
        let fault = self.0.fault.lock().unwrap().clone();
        self.0.at_the_door.load(Ordering::SeqCst).then_some(fault)
    }
}

#[tokio::test(start_paused = true)]
async fn the_caller_is_told_why_and_that_nothing_ran() {
    let network = MemoryNetwork::new(11);
    let strict = Arc::new(Strict {
        fault: Mutex::new(Fault::Draining),
        at_the_door: AtomicBool::new(false),
    });
    let method = Method::new("m", 10, KEY, Gate::new(1, 0));
    let service = Service::new("Strict", [method], Arc::new(Refuses(strict.clone())));
    let (server, client) = two(&network, Some(service)).await;
    let retry_after = Duration::from_millis(1500);
    let most = Bytes::from(vec![7; MAX_DENIED_BYTES]);
    let over = Bytes::from(vec![7; MAX_DENIED_BYTES + 1]);
    let said = Bytes::from_static(b"\x03\xffcode");
    for (fault, failure) in [
        (Fault::Draining, Failure::Draining),
        (Fault::Denied(Bytes::new()), Failure::Denied(Bytes::new())),
        (Fault::Denied(said.clone()), Failure::Denied(said)),
        (Fault::Denied(most.clone()), Failure::Denied(most)),
        (Fault::Denied(over), Failure::Denied(Bytes::new())),
        (Fault::Overloaded { retry_after }, Failure::Overloaded { retry_after }),
        (Fault::Expired, Failure::Deadline { phase: Phase::Queue }),
    ] {
        for at_the_door in [false, true] {
            *strict.fault.lock().unwrap() = fault.clone();
            strict.at_the_door.store(at_the_door, Ordering::SeqCst);
            let refused = ask(&client, &server, 10).await.unwrap_err();
            assert_eq!((refused.executed(), refused), (Executed::No, failure.clone()));
        }
    }
    assert_eq!(server.serving(), 0);
}
