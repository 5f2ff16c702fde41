//! Makes the map of what is known. Pure: who asks says what is known.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use macula::directory::{NodeRecord, NodeStatus};
use macula::identity::NodeId;

use super::{NodeState, Route, RouteCell, RouteMethod, RouteNode, Routes, View};
use crate::nodes::{Selector, Topology};
use crate::service::info::method_id;

/// Columns at most. Nodes of the topology come first.
const MAX_NODES: usize = 1024;
/// Rows at most. Methods that this process knows come first.
const MAX_METHODS: usize = 4096;

/// What a node knows of its cluster.
#[derive(Debug)]
pub(crate) struct Live<'a> {
    /// The name of this node.
    pub(crate) node: &'a str,
    /// This node.
    pub(crate) itself: NodeId,
    /// Whether it is part of its cluster.
    pub(crate) joined: bool,
    pub(crate) topology: Option<&'a Topology>,
    /// The methods that this process serves or calls.
    pub(crate) methods: Vec<Known>,
    /// The wire ids of those that it serves, and takes calls for.
    pub(crate) here: BTreeSet<u64>,
    /// The living nodes, this one among them.
    pub(crate) nodes: Vec<Member>,
    /// What nodes of the topology, by name, have been seen to serve, unless they said goodbye.
    pub(crate) seen: BTreeMap<String, BTreeSet<u64>>,
}

/// A method whose attributes are known.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) service: String,
    pub(crate) method: String,
    /// The shape that this process calls.
    pub(crate) key: [u8; 8],
    pub(crate) selector: Option<Selector>,
}

/// A living node.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: NodeId,
    /// Not there until it has arrived.
    pub(crate) record: Option<Arc<NodeRecord>>,
    /// Whether it does not answer.
    pub(crate) silent: bool,
}

/// The map by configuration alone, for a node of this name if there is one.
pub(crate) fn configured(
    node: Option<&str>,
    topology: &Topology,
    methods: Vec<RouteMethod>,
) -> Routes {
    let names: Vec<&str> = topology.names().collect();
    let columns = names.iter().take(MAX_NODES).map(|name| RouteNode {
        name: (*name).to_owned(),
        tags: topology.tags_of(name).cloned().unwrap_or_default(),
        state: if node == Some(name) { NodeState::Itself } else { NodeState::Declared },
        declared: Some(true),
        ids: BTreeSet::new(),
    });
    let nodes: Vec<RouteNode> = columns.collect();
    let methods: BTreeMap<_, _> = methods
        .into_iter()
        .map(|method| ((method.service, method.method), method.selector))
        .collect();
    let rows = methods.len();
    let methods = methods.into_iter().take(MAX_METHODS).map(|((service, method), selector)| {
        let meant = |node: &RouteNode| {
            selector.as_ref().is_none_or(|selector| selector.matches(&node.name, &node.tags))
        };
        let cell = |node| if meant(node) { RouteCell::Expected } else { RouteCell::NotServed };
        let cells = nodes.iter().map(cell).collect();
        Route { service, method, selector: selector.as_ref().map(Selector::to_string), cells }
    });
    Routes {
        view: View::Configured,
        node: node.map(str::to_owned),
        joined: true,
        off_topology: node.is_some_and(|node| !topology.contains(node)),
        methods: methods.collect(),
        nodes_left_out: names.len().saturating_sub(nodes.len()),
        methods_left_out: rows.saturating_sub(MAX_METHODS),
        nodes,
    }
}

/// A node to be drawn, and what is to be known of it for its cells.
#[derive(Debug, Default)]
struct Column<'a> {
    members: Vec<&'a Member>,
    /// By wire id, the shapes that its members serve.
    serving: BTreeMap<u64, BTreeSet<[u8; 8]>>,
}

/// A method to be drawn.
#[derive(Debug, Default)]
struct Row<'a> {
    known: Option<&'a Known>,
}

/// The map of what a node knows.
pub(crate) fn live(input: &Live<'_>) -> Routes {
    let (columns, nodes_left_out) = columns(input);
    let (rows, methods_left_out) = rows(input);
    let nodes = columns.iter().map(|(name, column)| input.node_of(name, column)).collect();
    let methods = rows.into_iter().map(|((service, method), row)| {
        let id = method_id(service, method);
        let cell = |(name, column): (&String, &Column<'_>)| input.cell(id, row.known, name, column);
        Route {
            service: service.to_owned(),
            method: method.to_owned(),
            selector: row.known.and_then(|k| k.selector.as_ref()).map(Selector::to_string),
            cells: columns.iter().map(cell).collect(),
        }
    });
    Routes {
        view: View::Live,
        node: Some(input.node.to_owned()),
        joined: input.joined,
        off_topology: input.topology.is_some_and(|topology| !topology.contains(input.node)),
        nodes,
        methods: methods.collect(),
        nodes_left_out,
        methods_left_out,
    }
}

/// Nodes by full name, and how many there was no room for.
fn columns<'a>(input: &'a Live<'_>) -> (BTreeMap<String, Column<'a>>, usize) {
    let mut columns: BTreeMap<String, Column<'a>> = BTreeMap::new();
    let mut left_out = 0;
    columns.entry(input.node.to_owned()).or_default();
    for name in input.topology.iter().flat_map(|topology| topology.names()) {
        if columns.len() < MAX_NODES || columns.contains_key(name) {
            columns.entry(name.to_owned()).or_default();
        } else {
            left_out += 1;
        }
    }
    for member in &input.nodes {
        let name = match &member.record {
            Some(record) => record.name.clone(),
            None => member.id.short(),
        };
        if columns.len() >= MAX_NODES && !columns.contains_key(&name) {
            left_out += 1;
            continue;
        }
        let column = columns.entry(name).or_default();
        column.members.push(member);
        let Some(record) = member.serving().filter(|_| member.id != input.itself) else { continue };
        for method in record.services.iter().flat_map(|service| &service.methods) {
            column.serving.entry(method.id).or_default().insert(method.key);
        }
    }
    (columns, left_out)
}

/// Methods by the names of their service and their own, and how many there was no room for.
fn rows<'a>(input: &'a Live<'_>) -> (BTreeMap<(&'a str, &'a str), Row<'a>>, usize) {
    let mut rows: BTreeMap<(&'a str, &'a str), Row<'a>> = BTreeMap::new();
    let mut left_out = BTreeSet::new();
    for known in &input.methods {
        let names = (known.service.as_str(), known.method.as_str());
        if rows.len() < MAX_METHODS {
            rows.insert(names, Row { known: Some(known) });
        } else {
            left_out.insert(names);
        }
    }
    for service in input.nodes.iter().filter_map(Member::serving).flat_map(|r| &r.services) {
        for method in &service.methods {
            let names = (service.name.as_str(), method.name.as_str());
            // Calls go by the id: a name that does not belong to it is not served.
            if rows.contains_key(&names) || method.id != method_id(names.0, names.1) {
                continue;
            }
            if rows.len() < MAX_METHODS {
                rows.insert(names, Row::default());
            } else {
                left_out.insert(names);
            }
        }
    }
    (rows, left_out.len())
}

impl Live<'_> {
    fn node_of(&self, name: &str, column: &Column<'_>) -> RouteNode {
        let declared = self.topology.and_then(|topology| topology.tags_of(name));
        let mut states: BTreeSet<_> = column.members.iter().map(|m| self.state(m)).collect();
        if column.members.is_empty() && name == self.node {
            states.insert(NodeState::Itself);
        }
        let absent = if self.joined { NodeState::Down } else { NodeState::Unknown };
        // What a node says of itself is newer than the topology that this one was given.
        let said = column.members.iter().filter_map(|member| member.record.as_ref());
        let tags = said.map(|record| &record.tags).next().or(declared);
        RouteNode {
            name: name.to_owned(),
            tags: tags.cloned().unwrap_or_default(),
            state: states.last().copied().unwrap_or(absent),
            declared: self.topology.map(|_| declared.is_some()),
            ids: column.members.iter().map(|member| member.id).collect(),
        }
    }

    fn state(&self, member: &Member) -> NodeState {
        match &member.record {
            _ if member.id == self.itself => NodeState::Itself,
            None => NodeState::Unknown,
            Some(record) if record.status != NodeStatus::Serving => NodeState::Draining,
            Some(_) if member.silent => NodeState::Silent,
            Some(_) => NodeState::Up,
        }
    }

    fn cell(&self, id: u64, known: Option<&Known>, name: &str, column: &Column<'_>) -> RouteCell {
        if name == self.node && self.here.contains(&id) {
            return RouteCell::Local;
        }
        match (column.serving.get(&id), known) {
            (Some(shapes), Some(known)) if !shapes.contains(&known.key) => {
                return RouteCell::Incompatible;
            }
            (Some(_), _) => return RouteCell::Available,
            (None, _) => {}
        }
        let declared = known.and_then(|known| known.selector.as_ref()).is_some_and(|selector| {
            let tags = self.topology.and_then(|topology| topology.tags_of(name));
            tags.is_some_and(|tags| selector.matches(name, tags))
        });
        let heard_of = name == self.node || column.members.iter().any(|m| m.record.is_some());
        match heard_of {
            true if declared => RouteCell::WorkerDown,
            true => RouteCell::NotServed,
            // It is there and has not said anything, or nobody can have said anything.
            false if !column.members.is_empty() || !self.joined => RouteCell::Unknown,
            false if declared || self.seen.get(name).is_some_and(|ids| ids.contains(&id)) => {
                RouteCell::Down
            }
            false => RouteCell::NotServed,
        }
    }
}

impl Member {
    /// Its record, if it takes calls.
    fn serving(&self) -> Option<&NodeRecord> {
        self.record.as_deref().filter(|record| record.status == NodeStatus::Serving)
    }
}
