//! Writes the map as JSON. It is what `Serialize` gives, by hand: a crate that writes any value as
//! JSON makes types of programs ambiguous (`assert_eq!(bytes, [])`) by being there.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt::Write;

use macula::text::is_hidden;

use super::{Route, RouteNode, Routes};

/// One object in one line.
pub(super) fn write(map: &Routes) -> String {
    object(&[
        ("view", text(map.view.name())),
        ("node", optional(map.node.as_deref())),
        ("joined", map.joined.to_string()),
        ("off_topology", map.off_topology.to_string()),
        ("nodes", list(map.nodes.iter().map(node))),
        ("methods", list(map.methods.iter().map(method))),
        ("nodes_left_out", map.nodes_left_out.to_string()),
        ("methods_left_out", map.methods_left_out.to_string()),
    ])
}

fn node(node: &RouteNode) -> String {
    object(&[
        ("name", text(&node.name)),
        ("tags", list(node.tags.iter().map(|tag| text(tag)))),
        ("state", text(node.state.name())),
        ("declared", node.declared.map_or("null".to_owned(), |declared| declared.to_string())),
        ("ids", list(node.ids.iter().map(|id| text(&id.to_string())))),
    ])
}

fn method(route: &Route) -> String {
    object(&[
        ("service", text(&route.service)),
        ("method", text(&route.method)),
        ("selector", optional(route.selector.as_deref())),
        ("cells", list(route.cells.iter().map(|cell| text(cell.name())))),
    ])
}

fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn optional(value: Option<&str>) -> String {
    value.map_or_else(|| "null".to_owned(), text)
}

/// A string. What could steer a terminal is escaped as well, since JSON is often looked at.
fn text(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_hidden(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string has no way to fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
