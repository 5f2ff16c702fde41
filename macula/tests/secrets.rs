//! Secrets stay where they are: nothing of a cookie or a key is in the log at its most talkative,
//! in a `Debug`, in an error, or in a file that others may read. Alone in its file, since the log
//! is that of the whole process.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use macula::identity::{Cookie, SecretKey};
use macula::{MemoryNetwork, Mesh};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// The forms in which a secret may slip out: raw, as digits, and as a list of numbers.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{secret:?}");
    let list = list.trim_matches(['[', ']']).to_owned();
    vec![secret.to_vec(), hex.to_uppercase().into(), hex.into(), list.into()]
}

fn holds(text: &[u8], secret: &[u8]) -> bool {
    // A third of it is too much already. Fewer than eight bytes may be there by chance.
    let part = &secret[..(secret.len() / 3).max(8).min(secret.len())];
    let found = |form: &Vec<u8>| text.windows(form.len()).any(|window| window == form);
    forms(part).iter().any(found)
}

#[tokio::test(start_paused = true)]
async fn neither_cookies_nor_keys_are_told() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE);
    let subscriber = subscriber.with_writer(log.clone()).with_ansi(false);
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();

    let directory = tempfile::tempdir().unwrap();
    let cookie = b"Zk3-this-is-the-secret-of-the-realm-9qX".to_vec();
    let other = b"a-cookie-that-somebody-else-has-made-up".to_vec();
    let short = b"Short-of-16-qXz".to_vec();
    let network = MemoryNetwork::new(5);
    let addr = |host: u8| std::net::SocketAddr::from(([10, 0, 0, host], 7000));
    let node = |name: &str, host, cookie: &[u8]| {
        let cookie = Cookie::new(cookie).unwrap();
        let file = directory.path().join(format!("{name}.key"));
        let node = Mesh::builder(name).realm("secrets").cookie(cookie).identity_file(file);
        node.memory(network.clone(), addr(host)).join_timeout(Duration::from_secs(1))
    };
    let builder = node("first", 1, &cookie);
    let mut told = format!("{builder:?}").into_bytes();
    let first = builder.start().await.unwrap();
    let second = node("second", 2, &cookie).seed(addr(1).to_string()).start().await.unwrap();
    let stranger = node("stranger", 3, &other).seed(addr(1).to_string()).start().await.unwrap();
    let guessed = node("guessed", 4, &short).start().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(first.view().nodes().len(), 2);
    assert!(!first.refusals().is_empty());

    let keys: Vec<_> = ["first", "second", "stranger"]
        .map(|name| SecretKey::load_or_create(&directory.path().join(format!("{name}.key"))))
        .into_iter()
        .map(Result::unwrap)
        .collect();
    told.extend(format!("{first:?} {:?} {:?}", first.refusals(), first.view()).into_bytes());
    told.extend(format!("{keys:?} {:?}", Cookie::new(cookie.clone())).into_bytes());
    told.extend(format!("{:?}", stranger.joining().borrow().clone()).into_bytes());
    for mesh in [first, second, stranger, guessed] {
        mesh.shutdown(Duration::ZERO).await;
    }
    told.extend_from_slice(&log.0.lock().unwrap());

    assert!(told.len() > 10_000, "the log is taken down: {} bytes", told.len());
    assert!(holds(&told, keys[0].id().as_bytes()), "and what is no secret is found in it");
    let text = String::from_utf8_lossy(&told);
    assert_eq!(text.matches("the cookie has fewer than 16 bytes").count(), 1, "of one it is said");
    for secret in [&cookie, &other, &short] {
        assert!(!holds(&told, secret), "a cookie is told");
    }
    for key in &keys {
        assert!(!holds(&told, &key.to_bytes()), "a key is told");
    }
    #[cfg(unix)]
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        let mode = entry.unwrap().metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }
}
