//! Who can be asked for a method at one moment, and what keeps each of the others from it.
//!
//! Calls and the questions about calls that are not made share this, so that they agree.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use macula::directory::{NodeRecord, NodeStatus, NodeView, ServiceRecord, View};
use macula::identity::NodeId;

use super::others::Others;
use crate::call::ask::Targets;
use crate::call::{ApiKey, NodeRef, Why};
use crate::node::Node;
use crate::nodes::{Selector, VersionRequirement};
use crate::service::info::ServiceInfo;
use crate::service::served::Served;

/// A method, and whom a call of it is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought<'a> {
    pub(crate) service: &'a str,
    pub(crate) method: &'a str,
    /// The wire id of the method.
    pub(crate) id: u64,
    /// The shape that it must have; `None` takes any.
    pub(crate) key: Option<[u8; 8]>,
    pub(crate) whom: Whom<'a>,
    /// The version that its service must have.
    pub(crate) version: Option<Wanted<'a>>,
    /// The contract by which it is asked, if it is a client that asks.
    pub(crate) client: Option<&'static ServiceInfo>,
    /// Whether others are told of the service, as far as the asking node knows.
    pub(crate) global: bool,
    /// The node that asks.
    pub(crate) itself: NodeId,
    pub(crate) here: Here,
}

/// Whom a call is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whom<'a> {
    /// Anyone who serves the method.
    Anyone,
    /// The nodes that the selector means.
    Selector(&'a Selector),
    /// Exactly this node.
    Node(&'a NodeId),
    /// Those that a closure took.
    Picked(&'a [NodeId]),
    /// Those that a closure is going to take from the ones that serve the method.
    Offered,
}

/// A version that is required.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) requirement: &'a VersionRequirement,
    /// What the service on the asking node says.
    pub(crate) here: &'a str,
}

impl<'a> Wanted<'a> {
    pub(crate) fn of(
        requirement: Option<&'a VersionRequirement>,
        here: Option<&'a Served>,
    ) -> Option<Self> {
        let here = here.map_or("", Served::version);
        requirement.map(|requirement| Self { requirement, here })
    }
}

/// How the service stands on the node that asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Here {
    /// It serves it and takes calls.
    Serves,
    /// It serves it, and takes no calls now.
    Closed,
    /// It does not serve it.
    Not,
    /// It serves another contract of that name.
    OtherContract,
}

impl Here {
    /// How the service of this name stands on `node`, which serves `contract` for the one who asks
    /// if it serves that at all.
    pub(crate) fn of(node: &Node, service: &str, contract: Option<&Served>) -> Self {
        match contract {
            Some(served) if !served.is_closed() => Self::Serves,
            Some(_) => Self::Closed,
            None if node.served(service).is_some() => Self::OtherContract,
            None => Self::Not,
        }
    }
}

/// Who was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Those that can be asked, by name.
    pub(crate) nodes: Vec<NodeRef>,
    /// A node that is meant and has another shape of the method, with that shape.
    pub(crate) other_shape: Option<(NodeRef, ApiKey)>,
}

impl<'a> Whom<'a> {
    /// Those that the selector means, if there is one.
    pub(crate) fn by(selector: Option<&'a Selector>) -> Self {
        selector.map_or(Self::Anyone, Self::Selector)
    }

    pub(crate) fn of(targets: &'a Targets<'_>) -> Self {
        match targets {
            Targets::Anyone => Self::Anyone,
            Targets::Selector(selector) => Self::Selector(selector),
            Targets::Node(id) => Self::Node(id),
            Targets::Nodes(ids) => Self::Picked(ids),
            Targets::Pick(_) => Self::Offered,
        }
    }

    /// What keeps a node from being meant.
    fn rejects(&self, record: &NodeRecord) -> Option<String> {
        match self {
            Self::Anyone | Self::Offered => None,
            Self::Selector(selector) => selector.rejecting_clause(&record.name, &record.tags),
            Self::Node(id) => (**id != record.node).then(|| "is not the node asked for".to_owned()),
            Self::Picked(ids) => (!ids.contains(&record.node)).then(|| "was not picked".to_owned()),
        }
    }

    fn means(&self, record: &NodeRecord) -> bool {
        match self {
            // The same answer as that of `rejects`, without a sentence.
            Self::Selector(selector) => selector.matches(&record.name, &record.tags),
            _ => self.rejects(record).is_none(),
        }
    }

    /// The nodes that are meant by their identity.
    fn named(&self) -> &'a [NodeId] {
        match *self {
            Self::Node(id) => std::slice::from_ref(id),
            Self::Picked(ids) => ids,
            Self::Anyone | Self::Selector(_) | Self::Offered => &[],
        }
    }
}

impl Sought<'_> {
    /// Who can be asked.
    pub(crate) fn find(&self, view: &View) -> Found {
        let mut other_shape = None;
        let mut named = BTreeSet::new();
        let meant = |id: &NodeId| {
            let record = view.node(id)?.record.as_ref()?;
            let asked = self.whom.means(record) && self.takes_version(record);
            asked.then(|| (record.name.clone(), *id))
        };
        if self.here == Here::Serves {
            named.extend(meant(&self.itself));
        }
        for provider in view.providers(self.id) {
            if provider.node == self.itself {
                continue;
            }
            let Some(target) = meant(&provider.node) else { continue };
            if self.key.is_none_or(|key| key == provider.key) {
                named.insert(target);
            } else {
                other_shape = Some((target, ApiKey::from_bytes(provider.key)));
            }
        }
        if cfg!(mutant = "empty_selector_widens")
            && named.is_empty()
            && !matches!(self.whom, Whom::Anyone)
        {
            return Sought { whom: Whom::Anyone, ..*self }.find(view);
        }
        let node = |(name, id): (String, NodeId)| NodeRef { id, name: name.into() };
        let other_shape = other_shape.map(|(target, theirs)| (node(target), theirs));
        Found { nodes: named.into_iter().map(node).collect(), other_shape }
    }

    /// Each known node, and what keeps it from being asked or that nothing does: first those that
    /// can be asked, then the others, both by name.
    pub(crate) fn why(&self, view: &View, node: &Node) -> Why {
        let others = Others::new(self.client, self.service, view, node);
        let reason = |known: &NodeView| match &known.record {
            None => (known.id.short(), Some("has not said yet what it serves".to_owned())),
            Some(record) => (record.name.clone(), self.obstacle(view, &others, known, record)),
        };
        let mut reasons: Vec<_> = view.nodes().iter().map(reason).collect();
        reasons.sort_by(|(a, kept), (b, also)| {
            kept.is_some().cmp(&also.is_some()).then_with(|| a.cmp(b))
        });
        let why = Why::new(self.service, self.method);
        let why = reasons.into_iter().fold(why, |why, (name, reason)| match reason {
            Some(reason) => why.node(&name, &reason),
            None => why.available(&name),
        });
        let gone = self.whom.named().iter().filter(|id| view.node(id).is_none());
        gone.fold(why, |why, id| why.node(&id.short(), "is not alive in this cluster"))
    }

    fn obstacle(
        &self,
        view: &View,
        others: &Others<'_>,
        known: &NodeView,
        record: &NodeRecord,
    ) -> Option<String> {
        if let Some(clause) = self.whom.rejects(record) {
            return Some(clause);
        }
        if known.id == self.itself && self.here == Here::Serves {
            return self.other_version(record);
        }
        if record.status != NodeStatus::Serving {
            return Some("is shutting down".into());
        }
        if known.id == self.itself {
            return Some(match self.here {
                Here::OtherContract => "serves another contract of this name".into(),
                Here::Closed => "takes no calls now".into(),
                Here::Serves | Here::Not => others.here(),
            });
        }
        if !self.global {
            let service = self.service;
            return Some(format!(
                "is another node, and `{service}` is not `#[service(global)]`: it is served to its \
                 own node only"
            ));
        }
        let shapes = view.providers(self.id).iter().filter(|p| p.node == known.id);
        let mut shapes = shapes.map(|provider| provider.key).peekable();
        if shapes.peek().is_none() {
            return Some(others.of(record));
        }
        wrong_shape(self.key, shapes).or_else(|| self.other_version(record))
    }

    /// Whether a node that serves the method does so in a version that is wanted.
    fn takes_version(&self, record: &NodeRecord) -> bool {
        let takes = |wanted: Wanted<'_>| wanted.requirement.takes(self.version_of(record, wanted));
        self.version.is_none_or(takes)
    }

    /// Why it does not.
    fn other_version(&self, record: &NodeRecord) -> Option<String> {
        let wanted = self.version?;
        wanted.requirement.refusal(self.version_of(record, wanted))
    }

    fn version_of<'r>(&'r self, record: &'r NodeRecord, wanted: Wanted<'r>) -> &'r str {
        if record.node == self.itself {
            return wanted.here;
        }
        let serves =
            |service: &&ServiceRecord| service.methods.iter().any(|method| method.id == self.id);
        record.services.iter().find(serves).map_or("", |service| &service.version)
    }
}

/// What keeps a node from being asked that serves a method in these shapes.
fn wrong_shape(wanted: Option<[u8; 8]>, served: impl Iterator<Item = [u8; 8]>) -> Option<String> {
    let mut other = None;
    for key in served {
        if wanted.is_none_or(|wanted| wanted == key) {
            return None;
        }
        other = Some(ApiKey::from_bytes(key));
    }
    other.map(|theirs| format!("serves shape {theirs} of the method only"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shape_of_several_is_enough() {
        let fault = |wanted, served: &[u8]| wrong_shape(wanted, served.iter().map(|one| [*one; 8]));
        assert_eq!((fault(Some([1; 8]), &[]), fault(None, &[2])), (None, None));
        assert!(fault(Some([1; 8]), &[2]).unwrap().contains("serves shape 0202"));
        for served in [&[1, 2], &[2, 1]] {
            assert_eq!(fault(Some([1; 8]), served), None);
        }
    }
}
