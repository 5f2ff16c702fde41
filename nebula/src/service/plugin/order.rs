//! In which order plugins stand: dependants above what they depend on, else as they were listed.
//!
//! Promise: the order is a function of the list alone. Each plugin stands once; one that is needed
//! and not listed is added below all that need it; of plugins that do not depend on each other, the
//! one that was listed first stands first.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::any::TypeId;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Plugin;
use super::erased::Erased;

/// What a plugin says of its place among the others of a service. What it comes after starts before
/// it and stops after it, and stands below it: of a call, this one sees the beginning first and the
/// end last.
///
/// ```
/// use nebula::plugin::{Order, Plugin};
///
/// #[derive(Default)]
/// struct Accounts;
/// impl Plugin for Accounts {}
///
/// struct Audit;
/// impl Plugin for Audit {
///     fn order(&self) -> Order {
///         Order::new().after::<Accounts>() // is added to a service that has none
///     }
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Order {
    needs: Vec<Need>,
    group: Option<Cow<'static, str>>,
}

/// Another plugin that one comes after.
#[derive(Clone, Debug)]
struct Need {
    kind: TypeId,
    name: &'static str,
    missing: Missing,
}

/// What becomes of a need that is not listed.
#[derive(Clone, Copy, Debug)]
enum Missing {
    Make(fn() -> Arc<dyn Erased>),
    Refuse,
    Ignore,
}

impl Order {
    /// No wish at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// After `P`, which is added in its default form if the service does not have one.
    pub fn after<P: Plugin + Default>(self) -> Self {
        self.need::<P>(Missing::Make(|| Arc::new(P::default())))
    }

    /// After `P`, without which the service is refused.
    pub fn after_listed<P: Plugin>(self) -> Self {
        self.need::<P>(Missing::Refuse)
    }

    /// After `P`, if the service has it.
    pub fn after_optional<P: Plugin>(self) -> Self {
        self.need::<P>(Missing::Ignore)
    }

    /// One of a group: of the listed plugins of one group each comes after those listed before it,
    /// so that the last one listed stands on top.
    pub fn group(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// Whether it is after a plugin of this type, wherever that comes from.
    pub(crate) fn needs(&self, kind: TypeId) -> bool {
        let needs = self.needs.iter().filter(|need| !matches!(need.missing, Missing::Ignore));
        needs.map(|need| need.kind).any(|needed| needed == kind)
    }

    fn need<P: Plugin>(mut self, missing: Missing) -> Self {
        let name = super::type_name::<P>();
        self.needs.push(Need { kind: TypeId::of::<P>(), name, missing });
        self
    }
}

/// Why plugins have no order. Nothing has changed then.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// Plugins come after each other in a circle: each after the next, and the last is the first.
    #[error("these plugins come after each other in a circle: {}", Path(.0))]
    Cycle(Vec<String>),
    /// A plugin needs one that is not listed and cannot be made.
    #[error(
        "the plugin `{plugin}` comes after `{missing}`, which the service does not have: add it with `.plugin(..)`"
    )]
    Missing {
        /// Who needs it.
        plugin: String,
        /// The type that is needed.
        missing: String,
    },
    /// Two plugins bear one name.
    #[error("two plugins are called `{0}`: give one of them another name")]
    Twice(String),
    /// There are more than [`MAX_PLUGINS`] of them.
    #[error("the service has {0} plugins, more than {MAX_PLUGINS}")]
    TooMany(usize),
}

/// How many plugins a service may have.
pub const MAX_PLUGINS: usize = 64;

struct Path<'a>(&'a [String]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, name)| match at {
            0 => write!(f, "{name}"),
            _ => write!(f, " -> {name}"),
        })
    }
}

/// The plugins of a service in their order, top first, with those added that are needed: one of
/// `there` if it is of the right type, else a new one.
pub(crate) fn resolve(
    listed: &[Arc<dyn Erased>],
    there: &[Arc<dyn Erased>],
) -> Result<Vec<Arc<dyn Erased>>, OrderError> {
    let mut plugins = listed.to_vec();
    let mut orders: Vec<Order> = Vec::new();
    // Grows while what was added needs more.
    let mut at = 0;
    while let Some(plugin) = plugins.get(at).cloned() {
        let order = plugin.order();
        for need in &order.needs {
            if plugins.iter().any(|other| other.kind() == need.kind) {
                continue;
            }
            match need.missing {
                Missing::Make(make) => {
                    let known = there.iter().find(|known| known.kind() == need.kind);
                    plugins.push(known.cloned().unwrap_or_else(make));
                }
                Missing::Ignore => {}
                Missing::Refuse => {
                    let plugin = plugin.name().into_owned();
                    return Err(OrderError::Missing { plugin, missing: need.name.to_owned() });
                }
            }
        }
        if plugins.len() > MAX_PLUGINS {
            return Err(OrderError::TooMany(plugins.len()));
        }
        orders.push(order);
        at += 1;
    }
    let names: Vec<String> = plugins.iter().map(|plugin| plugin.name().into_owned()).collect();
    let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
    if let Some((_, name)) = twice {
        return Err(OrderError::Twice(name.clone()));
    }
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); plugins.len()];
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, order) in orders.iter().enumerate() {
        for need in &order.needs {
            let needed = plugins.iter().enumerate();
            let needed =
                needed.filter(|(other, plugin)| *other != at && plugin.kind() == need.kind);
            below[at].extend(needed.map(|(other, _)| other));
        }
        // Only what was listed: where in a group something goes that was added says nobody.
        let group = order.group.as_deref().filter(|_| at < listed.len());
        if let Some(earlier) = group.and_then(|group| groups.insert(group, at)) {
            below[at].push(earlier);
        }
    }
    let sorted = sort(&below).map_err(|cycle| {
        OrderError::Cycle(cycle.into_iter().map(|at| names[at].clone()).collect())
    })?;
    Ok(sorted.into_iter().map(|at| plugins[at].clone()).collect())
}

/// All numbers up to the length of `below`, each before those that are below it; where that leaves
/// a choice, the lowest first.
///
/// # Errors
///
/// A shortest circle, its first number once more at its end.
fn sort(below: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut above = vec![0_usize; below.len()];
    let edges = |at: usize| below[at].iter().copied().filter(move |other| *other != at);
    (0..below.len()).flat_map(edges).for_each(|other| above[other] += 1);
    let mut placed = vec![false; below.len()];
    let mut sorted = Vec::with_capacity(below.len());
    while let Some(next) = (0..below.len()).find(|at| !placed[*at] && above[*at] == 0) {
        placed[next] = true;
        sorted.push(next);
        edges(next).for_each(|other| above[other] -= 1);
    }
    if sorted.len() == below.len() {
        return Ok(sorted);
    }
    let left: Vec<usize> = (0..below.len()).filter(|at| !placed[*at]).collect();
    let circles = left.iter().filter_map(|start| circle(*start, below));
    Err(circles.min_by_key(Vec::len).unwrap_or(left))
}

/// A shortest way from a number down to itself.
fn circle(start: usize, below: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut level = vec![start];
    while !level.is_empty() {
        let mut next = Vec::new();
        for at in level {
            for &other in below[at].iter().filter(|other| **other != at) {
                if other == start {
                    let mut path = vec![start, at];
                    while let Some(&before) = path.last().and_then(|at| came_from.get(at)) {
                        path.push(before);
                    }
                    if path.last() != Some(&start) {
                        path.push(start);
                    }
                    path.reverse();
                    return Some(path);
                }
                came_from.entry(other).or_insert_with(|| {
                    next.push(other);
                    at
                });
            }
        }
        level = next;
    }
    None
}

#[cfg(test)]
mod tests;
