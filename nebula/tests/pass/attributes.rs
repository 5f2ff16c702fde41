//! Attributes: docs, `#[cfg]` on every piece, `#[deprecated]`, and options in the description.

#![deny(warnings)]

use std::time::Duration;

use nebula::__private::Service as _;
use nebula::Stragglers;
use nebula::prelude::*;

#[service(
    global,
    name = "attributes",
    version = "1.2.0",
    on = "&db !@backup",
    stragglers = "cancel",
    max_extensions = 1000
)]
#[allow(dead_code)]
trait Attributes {
    /// Never there.
    #[cfg(doctest)]
    #[api(idempotent)]
    async fn gone(&self, of: NoSuchType) -> NoSuchType;

    /// There.
    #[cfg(not(doctest))]
    #[api(idempotent, timeout = "1500ms", max_concurrent = 64, queue = 256, on = "@db-1", spawn)]
    async fn there(&self) -> u8;

    #[deprecated]
    #[must_use]
    #[api(stragglers = "finish", max_extensions = 0, name = "modern", version = 2)]
    async fn old(&self) -> u8;

    /// Private to the implementation.
    fn helper(&self) -> u8 {
        7
    }

    async fn private(&self, text: &str) -> usize;
}

struct Everything;
impl Attributes for Everything {
    async fn there(&self) -> u8 {
        self.helper()
    }

    async fn old(&self) -> u8 {
        self.private("old").await as u8
    }

    async fn private(&self, text: &str) -> usize {
        text.len()
    }
}

#[tokio::test]
async fn a_method_that_cfg_removed_shifts_nothing() {
    let client = AttributesClient::local(Everything);
    assert_eq!(client.there().await.unwrap(), 7);
    #[allow(deprecated)]
    let old = client.old().await.unwrap();
    assert_eq!(old, 3);
}

#[test]
fn options_are_described() {
    let info = AttributesClient::INFO;
    assert_eq!(info.service_name(), "attributes");
    assert!(info.is_global() && !info.is_transparent());
    assert_eq!((info.version_text(), info.selector()), (Some("1.2.0"), Some("&db !@backup")));
    assert_eq!(info.methods().len(), 2);
    assert_eq!((info.stragglers(), info.extensions()), (Some(Stragglers::Cancel), Some(1000)));

    let [there, old] = info.methods() else { panic!("two methods are left") };
    assert!(there.is_idempotent() && there.is_spawned());
    assert_eq!(there.default_timeout(), Some(Duration::from_millis(1500)));
    assert_eq!((there.concurrency(), there.queue_len()), (Some(64), Some(256)));
    assert_eq!(there.selector(), Some("@db-1"));
    assert_eq!((there.stragglers(), there.extensions()), (None, None));

    assert_eq!((old.method_name(), old.extensions()), ("modern", Some(0)));
    assert_eq!(old.stragglers(), Some(Stragglers::Finish));
    assert_eq!(old.key(), nebula::__private::signature_key("()->u8", 2));
}
