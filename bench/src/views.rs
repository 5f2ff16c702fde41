//! One piece of news in views of the directory of several sizes.

use std::hint::black_box;
use std::sync::Arc;

use macula::directory::{MethodRecord, NodeRecord, NodeStatus, NodeView, ServiceRecord, View};
use macula::identity::NodeId;

use crate::Failure;

/// Methods of each node: one that all serve, the others served by one node in ten.
const METHODS: u64 = 10;

/// `news-N` puts one new record into a view of N nodes; `rebuild-N` makes that view anew.
///
/// # Errors
/// The name is neither.
pub fn count(name: &str, times: u32) -> Result<(), Failure> {
    let unknown = || format!("there is no operation `{name}`");
    let (what, nodes) = name.split_once('-').ok_or_else(unknown)?;
    let nodes: Vec<_> = (0..nodes.parse()?).map(node).collect();
    let view = View::of(nodes.iter().cloned());
    let changed = nodes.len() as u64 / 2;
    for _ in 0..times {
        match what {
            "news" => {
                let node = node(changed);
                drop(black_box(view.after([(node.id, Some(node))].into())));
            }
            _ => drop(black_box(View::of(nodes.iter().cloned()))),
        }
    }
    Ok(())
}

fn node(n: u64) -> NodeView {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    let id = NodeId::from_bytes(id);
    let method = |at| MethodRecord {
        name: format!("method-{at}"),
        id: if at == 0 { 0 } else { n % 10 * METHODS + at },
        key: [7; 8],
    };
    let service = ServiceRecord {
        name: "service".into(),
        version: "1".into(),
        methods: (0..METHODS).map(method).collect(),
        ..ServiceRecord::default()
    };
    let record = NodeRecord {
        node: id,
        incarnation: 1,
        version: 1,
        name: format!("node-{n}"),
        tags: ["tag".to_owned()].into(),
        addrs: Vec::new(),
        status: NodeStatus::Serving,
        services: vec![service],
        topology: None,
    };
    NodeView { id, addr: ([10, 0, 0, 1], 1).into(), record: Some(Arc::new(record)) }
}
