//! What travels beside arguments and results.

use std::sync::Mutex;

use macula::Limits;
use macula::rpc::{MAX_HEADERS, MAX_HEADERS_BYTES, Response};

use super::*;

const ECHO: u64 = 10;
const FAILS: u64 = 11;

/// Gives back what it got, its headers under other names, once it may.
#[derive(Default)]
struct Told {
    heard: Mutex<Vec<Headers>>,
    may_end: Option<Semaphore>,
}

struct Tell(Arc<Told>);

impl Handler for Tell {
    fn handle(
        &self,
        call: Incoming,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>> {
        let told = self.0.clone();
        Box::pin(async move {
            if let Some(may_end) = &told.may_end {
                may_end.acquire().await.unwrap().forget();
            }
            let headers = returned(&call.headers);
            told.heard.lock().unwrap().push(call.headers);
            match call.method {
                0 => Ok(Answer { body: call.body, headers }),
                _ => Err(Fault::Malformed("on purpose".into())),
            }
        })
    }
}

/// What comes back for these: the same values, by their keys turned around.
fn returned(headers: &Headers) -> Headers {
    let mut returned = Headers::new();
    for (key, value) in headers.iter() {
        returned.insert(&key.chars().rev().collect::<String>(), value).unwrap();
    }
    returned
}

fn offered(told: &Arc<Told>, gate: Arc<Gate>) -> Service {
    let method = |name, id| Method::new(name, id, KEY, gate.clone());
    Service::new(
        "Told",
        [method("echo", ECHO), method("fails", FAILS)],
        Arc::new(Tell(told.clone())),
    )
}

fn some() -> Headers {
    let mut headers = Headers::new();
    headers
        .insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .unwrap();
    headers.insert("tenant", "Zürich").unwrap();
    headers
}

/// As many and as long as they may be.
fn most() -> Headers {
    let mut headers = Headers::new();
    for n in 0..MAX_HEADERS {
        let room = MAX_HEADERS_BYTES / MAX_HEADERS - 3 - "k-10".len();
        headers.insert(&format!("k-{}", n + 10), &"v".repeat(room)).unwrap();
    }
    headers.insert("one-more", "").unwrap_err();
    headers
}

async fn ask_with(from: &Mesh, to: &Mesh, headers: &Headers, body: &Bytes) -> Response {
    let request = Request { headers: headers.clone(), ..request(ECHO, body.clone()) };
    from.call_to(to.id(), request).await
}

#[tokio::test(start_paused = true)]
async fn headers_go_with_a_call_and_come_back_beside_bodies_of_any_size() {
    let network = MemoryNetwork::new(8);
    let told = Arc::new(Told::default());
    let (server, client) = two(&network, Some(offered(&told, Gate::new(16, 0)))).await;
    for size in [0, 1, 32 << 10, (32 << 10) + 1, 1 << 20] {
        let body = Bytes::from(vec![7; size]);
        for headers in [Headers::new(), some(), most()] {
            let response = ask_with(&client, &server, &headers, &body).await;
            assert_eq!(response.result.unwrap(), body, "{size} bytes");
            assert_eq!(response.headers, returned(&headers), "{size} bytes");
            assert_eq!(told.heard.lock().unwrap().pop(), Some(headers));
        }
    }
    // What did not end well brings none.
    let failing = Request { headers: some(), ..request(FAILS, "") };
    let failed = client.call_to(server.id(), failing).await;
    assert_eq!(failed.result, Err(Failure::Malformed("on purpose".into())));
    assert!(failed.headers.is_empty());
    assert_eq!(told.heard.lock().unwrap().pop(), Some(some()));
}

#[tokio::test(start_paused = true)]
async fn the_longest_headers_fit_beside_the_longest_body() {
    let network = MemoryNetwork::new(9);
    let mut limits = Limits::default();
    limits.max_body = 100_000;
    let server = builder(&network, "server", 1).limits(limits.clone());
    let server = server.service(offered(&Arc::default(), Gate::new(16, 0)));
    let server = server.start().await.unwrap();
    let client = builder(&network, "client", 2).limits(limits).seed(server.addr().to_string());
    let client = client.start().await.unwrap();
    let most = most();
    let body = Bytes::from(vec![7; 100_000]);
    until(&client, PATIENCE, "it is known", |mesh| !mesh.view().providers(ECHO).is_empty()).await;
    let response = ask_with(&client, &server, &most, &body).await;
    assert_eq!(response.result.map(|body| body.len()), Ok(body.len()));
    assert_eq!(response.headers, returned(&most));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_turn_keeps_its_headers() {
    let network = MemoryNetwork::new(10);
    let told = Arc::new(Told { may_end: Some(Semaphore::new(0)), ..Told::default() });
    let (server, client) = two(&network, Some(offered(&told, Gate::new(1, 1)))).await;
    let calls = [some(), most()].map(|headers| {
        let (client, server) = (client.clone(), server.clone());
        tokio::spawn(
            async move { ask_with(&client, &server, &headers, &Bytes::new()).await.headers },
        )
    });
    let both = async {
        while server.serving() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, both).await.unwrap();
    told.may_end.as_ref().unwrap().add_permits(2);
    for (call, sent) in calls.into_iter().zip([some(), most()]) {
        assert_eq!(call.await.unwrap(), returned(&sent));
    }
}
