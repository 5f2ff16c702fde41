//! The routing map: which node serves which method, as one value to print.
//!
//! Promise: it is made of what is known already, and does not change. It lists each configured and
//! each known node once by its full name, and each method that this process knows or some node
//! offers.
//!
//! Limits: 1024 nodes and 4096 methods; what is left out is counted.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod build;
mod driver;
mod json;
mod node;
mod render;

pub use driver::RoutesWatch;
pub use node::{NodeState, RouteNode};
pub use render::Coloured;

use serde::{Serialize, Serializer};

use super::{Selector, Topology};

/// Which node serves which method: rows are methods, columns are nodes.
///
/// `Display` draws it as text, with one vertical rail a node; [`coloured`](Self::coloured) does so
/// for a terminal. Names come from other nodes, so what could move a cursor is escaped in both.
/// It serializes, and [`to_json`](Self::to_json) gives it as JSON.
///
/// ```
/// # use nebula::nodes::{RouteMethod, Routes, Topology, TopologyError, tag};
/// # fn main() -> Result<(), TopologyError> {
/// let topology = Topology::new().node("db@h1", ["db"])?.node("web@h2", ["web"])?;
/// let methods = [RouteMethod::new("Users", "find").on(tag("db"))];
/// assert_eq!(
///     Routes::configured(&topology, methods).to_string(),
///     "Routes, as configured
/// 1 method on 2 nodes
///
/// ┌ db  &db
/// │ ┌ web  &web  (serves nothing)
/// │ │
/// ● │  Users.find  &db
///
/// ● served  │ not served
/// "
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Routes {
    view: View,
    /// Whose view it is.
    node: Option<String>,
    joined: bool,
    off_topology: bool,
    nodes: Vec<RouteNode>,
    methods: Vec<Route>,
    nodes_left_out: usize,
    methods_left_out: usize,
}

/// What a map was made from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum View {
    /// The topology and selectors alone.
    Configured,
    /// The cluster as one node knows it.
    Live,
}

/// A method, and how each node stands to it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Route {
    /// The wire name of the service.
    pub service: String,
    /// The wire name of the method.
    pub method: String,
    /// The selector that its attributes give, in the short form; none if there is none, or if the
    /// attributes are not known here.
    pub selector: Option<String>,
    /// One for each of [`Routes::nodes`], in that order.
    pub cells: Vec<RouteCell>,
}

/// How a node stands to a method.
///
/// Serializes as the name of the variant, in the form `not_served`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum RouteCell {
    /// The node does not serve it, and nothing says that it should.
    NotServed,
    /// It cannot be told: this node has not joined its cluster, or the record of the other one has
    /// not arrived.
    Unknown,
    /// The node is declared for it, or has served it, and is not there.
    Down,
    /// The node is declared for it and is there, but does not serve it, or not any more.
    WorkerDown,
    /// The node serves another shape of it, which this process cannot call.
    Incompatible,
    /// The node is declared for it; nobody has looked whether it is there.
    Expected,
    /// The node serves it.
    Available,
    /// This node serves it.
    Local,
}

/// In which order methods are listed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Sort {
    /// By service, then by method.
    #[default]
    Service,
    /// By method, then by service.
    Name,
    /// Those that the most nodes serve first.
    Locality,
}

/// A method of a map that is made from configuration alone.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "it says nothing until it is given to `Routes::configured`"]
pub struct RouteMethod {
    service: String,
    method: String,
    selector: Option<Selector>,
}

impl RouteMethod {
    /// A method that every configured node may serve.
    pub fn new(service: impl Into<String>, method: impl Into<String>) -> Self {
        Self { service: service.into(), method: method.into(), selector: None }
    }

    /// One that the nodes of this selector serve.
    pub fn on(mut self, selector: Selector) -> Self {
        self.selector = Some(selector);
        self
    }
}

impl Routes {
    /// The map as it should be, by the topology and the selectors of the methods alone. A method
    /// without a selector may be served by any node, so each of them counts.
    pub fn configured(topology: &Topology, methods: impl IntoIterator<Item = RouteMethod>) -> Self {
        build::configured(None, topology, methods.into_iter().collect())
    }

    /// The same in another order.
    pub fn sorted(mut self, sort: Sort) -> Self {
        let serving = |route: &Route| route.cells.iter().filter(|cell| cell.serves()).count();
        self.methods.sort_by(|a, b| {
            let by_service = || (&a.service, &a.method).cmp(&(&b.service, &b.method));
            match sort {
                Sort::Service => by_service(),
                Sort::Name => a.method.cmp(&b.method).then_with(by_service),
                Sort::Locality => serving(b).cmp(&serving(a)).then_with(by_service),
            }
        });
        self
    }

    /// The columns: configured and known nodes, by full name.
    pub fn nodes(&self) -> &[RouteNode] {
        &self.nodes
    }

    /// The rows.
    pub fn methods(&self) -> &[Route] {
        &self.methods
    }

    /// How the node of this full name stands to a method, if both are in the map.
    pub fn cell(&self, service: &str, method: &str, node: &str) -> Option<RouteCell> {
        let column = self.nodes.iter().position(|column| column.name == node)?;
        let mut rows = self.methods.iter();
        let row = rows.find(|row| row.service == service && row.method == method)?;
        row.cells.get(column).copied()
    }

    /// Whether the node whose view it is had joined its cluster; true of a map that was made from
    /// configuration.
    pub fn joined(&self) -> bool {
        self.joined
    }

    /// Whether the node whose view it is is not in the topology it was given.
    pub fn is_off_topology(&self) -> bool {
        self.off_topology
    }

    /// How many nodes and how many methods there was no room for.
    pub fn left_out(&self) -> (usize, usize) {
        (self.nodes_left_out, self.methods_left_out)
    }

    /// The text that `Display` gives, with the colours of an ANSI terminal.
    pub fn coloured(&self) -> Coloured<'_> {
        Coloured(self)
    }

    /// One object in one line: `view`, `node`, `joined`, `off_topology`, `nodes` (each `name`,
    /// `tags`, `state`, `declared`, `ids`), `methods` (each `service`, `method`, `selector`, and
    /// `cells` in the order of the nodes), `nodes_left_out`, `methods_left_out`. It is what
    /// `Serialize` gives.
    pub fn to_json(&self) -> String {
        json::write(self)
    }
}

impl RouteCell {
    /// Whether the node serves the method, or should by a map that was made from configuration.
    pub fn serves(self) -> bool {
        matches!(self, Self::Expected | Self::Available | Self::Local)
    }

    fn name(self) -> &'static str {
        match self {
            Self::NotServed => "not_served",
            Self::Unknown => "unknown",
            Self::Down => "down",
            Self::WorkerDown => "worker_down",
            Self::Incompatible => "incompatible",
            Self::Expected => "expected",
            Self::Available => "available",
            Self::Local => "local",
        }
    }
}

impl View {
    fn name(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Live => "live",
        }
    }
}

impl Serialize for RouteCell {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl Serialize for View {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests;
