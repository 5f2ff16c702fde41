//! Shows readers what has changed: all that changed at one time in one view.

use std::sync::Arc;

use super::view::{Changes, NodeView};
use crate::identity::NodeId;
use crate::mesh::{Inner, State, lock};

impl Inner {
    /// What is known of a node has changed. It is shown soon, with whatever else changes until then.
    pub(crate) fn show(&self, state: &mut State, node: NodeId) {
        state.stale.insert(node);
        self.stale.notify_one();
    }

    /// Shows what has changed, and then says who came and went.
    pub(crate) fn publish(&self) {
        let turn = lock(&self.publishing);
        let (changes, events) = {
            let me = self.me();
            let mut state = self.state();
            let stale = std::mem::take(&mut state.stale);
            let known = |id: NodeId| {
                let member = if id == me.id { Some(&me) } else { state.alive.get(&id) };
                let node = member.map(|member| NodeView {
                    id,
                    addr: member.addr,
                    record: state.replica.get(&id).map(|sealed| sealed.record().clone()),
                });
                (id, node)
            };
            let changes: Changes = stale.into_iter().map(known).collect();
            (changes, std::mem::take(&mut state.events))
        };
        if !changes.is_empty() {
            let next = self.view.load().after(changes);
            self.view.store(Arc::new(next));
            self.changed.send_modify(|version| *version += 1);
        }
        drop(turn);
        for event in events {
            // Nobody may be listening.
            let _ = self.events.send(event);
        }
    }

    pub(crate) async fn keep_published(self: Arc<Self>) {
        loop {
            self.stale.notified().await;
            self.publish();
        }
    }
}
