//! Draws the map as text.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fmt;

use macula::text::Safe;

use super::{NodeState, Route, RouteCell, RouteNode, Routes, View};

/// A [`Routes`] map whose `Display` is coloured for an ANSI terminal.
#[derive(Clone, Copy, Debug)]
pub struct Coloured<'a>(pub(super) &'a Routes);

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        draw(self, f, Paint { coloured: false })
    }
}

impl fmt::Display for Coloured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        draw(self.0, f, Paint { coloured: true })
    }
}

/// What is drawn where a node does not serve a method.
const RAIL: &str = "│";

/// How the cells are drawn and explained, in the order of the legend.
const CELLS: [(RouteCell, &str, Style, &str); 7] = [
    (RouteCell::Local, "◉", Style::Green, "served here"),
    (RouteCell::Available, "●", Style::Cyan, "served and live"),
    (RouteCell::Expected, "●", Style::Cyan, "served"),
    (RouteCell::Down, "✗", Style::Red, "its node is down"),
    (RouteCell::WorkerDown, "○", Style::Yellow, "its node is up without it"),
    (RouteCell::Incompatible, "≠", Style::Yellow, "served in another shape"),
    (RouteCell::NotServed, RAIL, Style::Dim, "not served"),
];

#[derive(Clone, Copy)]
enum Style {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

/// Whether styles are written at all.
#[derive(Clone, Copy)]
struct Paint {
    coloured: bool,
}

impl Paint {
    fn text(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Red => "31",
            Style::Green => "32",
            Style::Yellow => "33",
            Style::Cyan => "36",
        };
        match self.coloured && !text.is_empty() {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

fn draw(map: &Routes, f: &mut fmt::Formatter<'_>, paint: Paint) -> fmt::Result {
    let title = match map.view {
        View::Configured => "Routes, as configured",
        View::Live => "Routes, live",
    };
    writeln!(f, "{}", paint.text(Style::Bold, title))?;
    writeln!(f, "{}", scope(map))?;
    if map.off_topology {
        let text = "this node is not in the topology: no majority counts it";
        writeln!(f, "{}", paint.text(Style::Yellow, text))?;
    }
    if !map.joined {
        let text = "this node has not joined its cluster: of the others nothing is known";
        writeln!(f, "{}", paint.text(Style::Yellow, text))?;
    }
    writeln!(f)?;
    if map.methods.is_empty() {
        return writeln!(f, "no methods found: nobody serves one, and there is no client of any");
    }
    let idle: Vec<bool> = (0..map.nodes.len()).map(|at| is_idle(map, at)).collect();
    headers(map, f, paint, &idle)?;
    rows(map, f, paint, &idle)?;
    for (count, what) in [(map.nodes_left_out, "nodes"), (map.methods_left_out, "methods")] {
        if count > 0 {
            writeln!(f, "and {count} more {what}, for which there is no room")?;
        }
    }
    legend(map, f, paint)
}

fn scope(map: &Routes) -> String {
    let count = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    let methods = count(map.methods.len() + map.methods_left_out, "method");
    let nodes = count(map.nodes.len() + map.nodes_left_out, "node");
    match &map.node {
        Some(node) => format!("{methods} on {nodes}, as {} knows them", safe(node)),
        None => format!("{methods} on {nodes}"),
    }
}

/// Whether the node serves none of the methods and none is expected of it.
fn is_idle(map: &Routes, at: usize) -> bool {
    let cells = map.methods.iter().filter_map(|route| route.cells.get(at));
    cells.into_iter().all(|cell| *cell == RouteCell::NotServed)
}

/// A line for each node, from which its rail begins.
fn headers(map: &Routes, f: &mut fmt::Formatter<'_>, paint: Paint, idle: &[bool]) -> fmt::Result {
    let mut once = BTreeSet::new();
    let shared: BTreeSet<&str> =
        map.nodes.iter().map(RouteNode::short_name).filter(|name| !once.insert(*name)).collect();
    let rail = |idle: &bool| paint.text(if *idle { Style::Dim } else { Style::Plain }, RAIL);
    for (at, (node, is_idle)) in map.nodes.iter().zip(idle).enumerate() {
        for rail in idle.iter().take(at).map(rail) {
            write!(f, "{rail} ")?;
        }
        let name = if shared.contains(node.short_name()) { &node.name } else { node.short_name() };
        let style = match node.state {
            NodeState::Down => Style::Red,
            NodeState::Draining | NodeState::Silent => Style::Yellow,
            NodeState::Itself => Style::Bold,
            _ if *is_idle => Style::Dim,
            _ => Style::Plain,
        };
        let (tags, notes) = (tags(node), notes(map, node, *is_idle));
        let corner = paint.text(if *is_idle { Style::Dim } else { Style::Plain }, "┌");
        let name = paint.text(style, &safe(name));
        writeln!(f, "{corner} {name}{}", paint.text(Style::Dim, &format!("{tags}{notes}")))?;
    }
    let rails: Vec<_> = idle.iter().map(rail).collect();
    writeln!(f, "{}", rails.join(" "))
}

fn tags(node: &RouteNode) -> String {
    let tags: Vec<_> = node.tags.iter().map(|tag| format!("&{}", safe(tag))).collect();
    if tags.is_empty() { String::new() } else { format!("  {}", tags.join(" ")) }
}

fn notes(map: &Routes, node: &RouteNode, is_idle: bool) -> String {
    let several = node.ids.len();
    let count = format!("{several} nodes of this name");
    let notes = [
        (node.state == NodeState::Itself, "this node"),
        (node.state == NodeState::Down, "down"),
        (node.state == NodeState::Draining, "shutting down"),
        (node.state == NodeState::Silent, "does not answer"),
        (node.state == NodeState::Unknown && map.joined, "has not said yet what it serves"),
        (several > 1, count.as_str()),
        (node.declared == Some(false), "not in the topology"),
        (is_idle && node.state != NodeState::Down, "serves nothing"),
    ];
    let notes: Vec<_> =
        notes.into_iter().filter(|(holds, _)| *holds).map(|(_, note)| note).collect();
    if notes.is_empty() { String::new() } else { format!("  ({})", notes.join(", ")) }
}

fn rows(map: &Routes, f: &mut fmt::Formatter<'_>, paint: Paint, idle: &[bool]) -> fmt::Result {
    let named = |route: &Route| format!("{}.{}", safe(&route.service), safe(&route.method));
    let named: Vec<_> = map.methods.iter().map(|route| (route, named(route))).collect();
    let selecting = named.iter().filter(|(route, _)| route.selector.is_some());
    let width = selecting.map(|(_, name)| name.chars().count()).max().unwrap_or(0);
    for (route, name) in &named {
        for (cell, is_idle) in route.cells.iter().zip(idle) {
            let (glyph, style) = match CELLS.iter().find(|(known, ..)| known == cell) {
                Some((RouteCell::NotServed, ..)) | None => {
                    (RAIL, if *is_idle { Style::Dim } else { Style::Plain })
                }
                Some((_, glyph, style, _)) => (*glyph, *style),
            };
            write!(f, "{} ", paint.text(style, glyph))?;
        }
        match &route.selector {
            Some(selector) => {
                let selector = paint.text(Style::Dim, &safe(selector));
                writeln!(f, " {name:width$}  {selector}")?;
            }
            None => writeln!(f, " {name}")?,
        }
    }
    writeln!(f)
}

/// What the signs mean that occur.
fn legend(map: &Routes, f: &mut fmt::Formatter<'_>, paint: Paint) -> fmt::Result {
    let occurring: BTreeSet<RouteCell> =
        map.methods.iter().flat_map(|route| &route.cells).copied().collect();
    let unknown = occurring.contains(&RouteCell::Unknown).then_some(match map.joined {
        true => "unknown: a node has not said yet what it serves",
        false => "unknown: this node has not joined",
    });
    let known = CELLS.iter().filter(|(cell, ..)| occurring.contains(cell));
    let signs = known
        .map(|(_, glyph, style, meaning)| format!("{} {meaning}", paint.text(*style, glyph)))
        .chain(unknown.map(|meaning| format!("{} {meaning}", paint.text(Style::Dim, RAIL))));
    writeln!(f, "{}", signs.collect::<Vec<_>>().join("  "))
}

/// A text of other nodes, without what could steer a terminal.
fn safe(text: &str) -> String {
    Safe(text).to_string()
}
