use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::node::Node;

/// What a node knows of services, and what becomes of it.
///
/// It keeps its node's handle, and costs one look for each piece of news of the cluster.
#[must_use = "nothing is watched until `changed` is awaited"]
pub struct DiscoveryWatch<T> {
    node: Node,
    look: Look<T>,
    news: News,
    told: Option<T>,
}

/// What is looked for.
type Look<T> = Arc<dyn Fn(&Node) -> T + Send + Sync>;

/// Whatever may change what a node knows of services.
pub(super) struct News {
    cluster: watch::Receiver<u64>,
    here: watch::Receiver<()>,
}

impl<T: PartialEq> DiscoveryWatch<T> {
    pub(super) fn new(node: &Node, look: impl Fn(&Node) -> T + Send + Sync + 'static) -> Self {
        let news = News::of(node);
        Self { node: node.clone(), look: Arc::new(look), news, told: None }
    }

    /// What is known now.
    pub fn now(&self) -> T {
        (self.look)(&self.node)
    }

    /// What is known, at once the first time, and from then on as soon as it differs from what was
    /// told last. What is over before somebody looks is skipped. `None` once the node has stopped.
    /// Nothing is lost when the future is dropped.
    pub async fn changed(&mut self) -> Option<T>
    where
        T: Clone,
    {
        loop {
            self.news.mark();
            let stopped = self.node.has_stopped();
            let now = (self.look)(&self.node);
            if self.told.as_ref() != Some(&now) {
                self.told = Some(now.clone());
                return Some(now);
            }
            if stopped || !self.news.come().await {
                return None;
            }
        }
    }
}

impl News {
    pub(super) fn of(node: &Node) -> Self {
        Self { cluster: node.mesh().watch_view(), here: node.watch_services_here() }
    }

    /// All that came before this is seen.
    pub(super) fn mark(&mut self) {
        self.cluster.mark_unchanged();
        self.here.mark_unchanged();
    }

    /// Waits for the next; false if there can be none.
    pub(super) async fn come(&mut self) -> bool {
        tokio::select! {
            came = self.cluster.changed() => came.is_ok(),
            came = self.here.changed() => came.is_ok(),
        }
    }
}

impl<T> fmt::Debug for DiscoveryWatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiscoveryWatch").field("node", &self.node).finish_non_exhaustive()
    }
}
