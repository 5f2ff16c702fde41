#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! Why there was nobody to ask.

use std::fmt;

use macula::text::Safe;

use super::log::Log;
use crate::service::info::MethodInfo;

/// What is said of a node that nothing keeps from being asked.
const CAN_BE_ASKED: &str = "can be asked";

/// What is said of this node if it has never met another one.
const ALONE: &str = "this node has met no other node of its realm";

/// How many nodes or addresses a [`Why`] lists; the rest are counted.
const MAX_LISTED: usize = 256;
/// How many of them its sentence names.
const MAX_NAMED: usize = 3;

/// Why there was nobody to ask: the method wanted, and for each known node what removed it.
///
/// Of a call that is not made yet ([`Call::why`](super::Call::why)) it may also say that some nodes
/// can be asked. `Display` is one sentence that names up to three nodes; `{:#}` adds one line for each of up to
/// 256. One pointer wide.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Why(Box<Reasons>);

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Reasons {
    service: Box<str>,
    method: Box<str>,
    /// What else may have been meant by these names.
    meant: Option<Box<str>>,
    /// What alone keeps the call from being made, whoever is there.
    fault: Option<Box<str>>,
    nodes: Listed,
    /// How many of the nodes can be asked.
    available: usize,
    joining: Listed,
    /// This node has joined all the same.
    joined: bool,
    /// It has never met another node, which might have been asked.
    alone: bool,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Listed {
    pairs: Vec<(Box<str>, Box<str>)>,
    left_out: usize,
}

impl Why {
    /// Nobody could be asked for `service.method`; the reasons follow.
    pub(crate) fn new(service: &str, method: &str) -> Self {
        Self(Box::new(Reasons {
            service: service.into(),
            method: method.into(),
            ..Reasons::default()
        }))
    }

    /// The same of a method under the names that it is called by.
    pub(crate) fn of(method: &MethodInfo) -> Self {
        Self::new(method.service_name(), method.method_name())
    }

    /// A known node, and the clause or fact that removed it: `lacks the tag db`.
    pub(crate) fn node(mut self, name: &str, reason: &str) -> Self {
        self.0.nodes.add_by_name(name, reason);
        self
    }

    /// A known node that nothing keeps from being asked.
    pub(crate) fn available(mut self, name: &str) -> Self {
        self.0.available += 1;
        self.node(name, CAN_BE_ASKED)
    }

    /// What alone keeps the call from being made: no configured node has the tag.
    pub(crate) fn fault(mut self, text: &str) -> Self {
        self.0.fault = Some(text.into());
        self
    }

    /// Nobody is known to have a method of this name, but one of `name`, which is spelt much the same.
    #[cfg(feature = "json")]
    pub(crate) fn meant(mut self, name: &str) -> Self {
        self.0.meant = Some(name.into());
        self
    }

    /// Whether nobody can be meant, whoever is there.
    pub(crate) fn is_final(&self) -> bool {
        self.0.fault.is_some()
    }

    /// Nodes that were asked in vain: what they said replaces what was known of them.
    pub(crate) fn asked(mut self, log: &Log) -> Self {
        for attempt in log.attempts() {
            self = self.because(&attempt.name, &attempt.outcome.to_string());
        }
        self
    }

    /// The same as [`node`](Self::node), in the place of what was said of it before.
    pub(crate) fn because(mut self, name: &str, reason: &str) -> Self {
        match self.0.nodes.pairs.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, known)) => *known = reason.into(),
            None => self.0.nodes.add_by_name(name, reason),
        }
        self
    }

    /// This node is still joining, and trying `address` ended so: `connection refused`.
    pub(crate) fn joining(mut self, address: &str, reason: &str) -> Self {
        self.0.joining.add(address, reason);
        self
    }

    /// Somebody at `address` did not become a member of this cluster: `its cookie is another`.
    pub(crate) fn unmet(mut self, address: &str, reason: &str) -> Self {
        self.0.joined = true;
        self.joining(address, reason)
    }

    /// This node has joined, and has never met another one, which might be asked.
    pub(crate) fn alone(mut self) -> Self {
        self.0.alone = true;
        self
    }

    /// The name of the service that was wanted.
    pub fn service(&self) -> &str {
        &self.0.service
    }

    /// The name of the method that was wanted.
    pub fn method(&self) -> &str {
        &self.0.method
    }

    /// Known nodes (at most 256): first those that can be asked, with `can be asked`, then the others,
    /// each with what kept it from being asked; both by name.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.nodes.iter()
    }

    /// How many of the known nodes can be asked: zero where it explains a failure.
    pub fn askable(&self) -> usize {
        if self.0.fault.is_some() { 0 } else { self.0.available }
    }

    /// Addresses (at most 256) tried in vain to join the cluster or to find more of it, each with the
    /// reason.
    pub fn tried(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.joining.iter()
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reasons { service, method, meant, fault, nodes, .. } = &*self.0;
        let Reasons { available, joining, joined, alone, .. } = &*self.0;
        let wanted = fmt::from_fn(|f| match meant {
            None => write!(f, "`{service}.{method}`"),
            Some(name) => write!(f, "`{service}.{method}` (did you mean `{}`?)", Safe(name)),
        });
        if let Some(fault) = fault {
            write!(f, "nobody can be asked for {wanted}: {fault}")?;
            return if f.alternate() { nodes.write_lines(f) } else { Ok(()) };
        }
        if *available > 0 {
            match nodes.total() {
                1 => f.write_str("the only known node")?,
                known => write!(f, "{available} of the {known} known nodes")?,
            }
            write!(f, " can be asked for {wanted}: ")?;
            return nodes.write(f);
        }
        if joining.total() > 0 && !joined {
            write!(
                f,
                "nobody can be asked for {wanted}: this node is still joining the \
                 cluster, check the seeds and the cookie; tried "
            )?;
            joining.write(f)?;
            if f.alternate() && nodes.total() > 0 {
                nodes.write_lines(f)?;
            }
            return Ok(());
        }
        match nodes.total() {
            0 => write!(
                f,
                "nobody can be asked for {wanted}: no node is known, so serve \
                 `{service}` on this one or give it a seed to join others"
            ),
            1 => {
                write!(f, "the only known node cannot be asked for {wanted}: ")?;
                nodes.write(f)
            }
            known => {
                write!(f, "none of the {known} known nodes can be asked for ")?;
                write!(f, "{wanted}: ")?;
                nodes.write(f)
            }
        }?;
        if !*alone && joining.total() == 0 {
            return Ok(());
        }
        f.write_str(if f.alternate() { "\n  " } else { "; " })?;
        match (alone, joining.total()) {
            (true, 0) => return f.write_str(ALONE),
            (true, _) => write!(f, "{ALONE}, tried: ")?,
            (false, _) => f.write_str("not met: ")?,
        }
        joining.write(f)
    }
}

impl Listed {
    fn add(&mut self, name: &str, reason: &str) {
        if self.pairs.len() < MAX_LISTED {
            self.pairs.push((name.into(), reason.into()));
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// Where its name puts it, so that the first by name are listed; before all others if it can be
    /// asked.
    fn add_by_name(&mut self, name: &str, reason: &str) {
        let place = (reason != CAN_BE_ASKED, name);
        let before =
            |(name, reason): &(Box<str>, Box<str>)| (**reason != *CAN_BE_ASKED, &**name) <= place;
        let at = self.pairs.partition_point(before);
        self.pairs.insert(at, (name.into(), reason.into()));
        if self.pairs.len() > MAX_LISTED {
            self.pairs.truncate(MAX_LISTED);
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    fn total(&self) -> usize {
        self.pairs.len().saturating_add(self.left_out)
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, reason)| (&**name, &**reason))
    }

    /// The first few in one line; with `{:#}` all of them below it as well.
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, reason)) in self.iter().take(MAX_NAMED).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} ({})", Safe(name), Safe(reason))?;
        }
        if let more @ 1.. = self.total().saturating_sub(MAX_NAMED) {
            write!(f, " and {more} more")?;
        }
        if f.alternate() { self.write_lines(f) } else { Ok(()) }
    }

    fn write_lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, reason) in self.iter() {
            write!(f, "\n  {}: {}", Safe(name), Safe(reason))?;
        }
        match self.left_out {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// A fan-out had no target: nothing was called. The reason is inside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoTarget(pub Why);

impl fmt::Display for NoTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for NoTarget {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_known() {
        assert_eq!(
            Why::new("Users", "find").to_string(),
            "nobody can be asked for `Users.find`: no node is known, so serve `Users` on this one \
             or give it a seed to join others"
        );
    }

    #[test]
    fn sentence_names_three_and_the_long_form_all() {
        let mut why = Why::new("Users", "find").node("a@h", "lacks the tag db");
        assert_eq!(
            why.to_string(),
            "the only known node cannot be asked for `Users.find`: a@h (lacks the tag db)"
        );
        for name in ["b@h", "c@h", "d@h"] {
            why = why.node(name, "does not serve it");
        }
        let sentence = "none of the 4 known nodes can be asked for `Users.find`: a@h (lacks the \
                        tag db), b@h (does not serve it), c@h (does not serve it) and 1 more";
        assert_eq!(NoTarget(why.clone()).to_string(), sentence);
        assert_eq!(
            format!("{:#}", NoTarget(why.clone())),
            format!(
                "{sentence}\n  a@h: lacks the tag db\n  b@h: does not serve it\
                 \n  c@h: does not serve it\n  d@h: does not serve it"
            )
        );
        assert_eq!(why.nodes().len(), 4);
        assert_eq!((why.service(), why.method()), ("Users", "find"));
    }

    #[test]
    fn a_fault_stands_alone() {
        let why = Why::new("Users", "find").node("a@h", "lacks &db").fault("no such tag");
        assert_eq!(why.to_string(), "nobody can be asked for `Users.find`: no such tag");
        assert!(format!("{why:#}").ends_with("\n  a@h: lacks &db"));
    }

    #[test]
    fn what_a_node_said_replaces_what_was_known_of_it() {
        use crate::call::Executed;
        use crate::call::log::tests::attempt;
        let mut log = Log::from(attempt("a@h", Executed::No));
        log.push(attempt("b@h", Executed::No));
        let why = Why::new("Users", "find").node("b@h", "is shutting down").asked(&log);
        let reason = "unreachable: no route to host";
        assert_eq!(why.nodes().collect::<Vec<_>>(), [("a@h", reason), ("b@h", reason)]);
    }

    #[test]
    fn nodes_are_listed_by_name() {
        let names = |why: &Why| why.nodes().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        let why = ["c@h", "a@h", "d@h", "b@h"]
            .into_iter()
            .fold(Why::new("S", "m"), |why, name| why.node(name, "down"));
        assert_eq!(names(&why), ["a@h", "b@h", "c@h", "d@h"]);
        assert!(why.to_string().contains(": a@h (down), b@h (down), c@h (down) and 1 more"));
        // The first by name are listed, in whatever order they come.
        let why =
            (0..300).rev().fold(Why::new("S", "m"), |why, i| why.node(&format!("n{i:03}"), "down"));
        assert_eq!((why.nodes().next(), why.nodes().len()), (Some(("n000", "down")), MAX_LISTED));
    }

    #[test]
    fn joining_is_said_first() {
        let why = Why::new("Users", "find")
            .node("web@h", "does not serve it")
            .joining("10.0.0.1:9443", "connection refused");
        let sentence = "nobody can be asked for `Users.find`: this node is still joining the \
                        cluster, check the seeds and the cookie; tried 10.0.0.1:9443 (connection \
                        refused)";
        assert_eq!(why.to_string(), sentence);
        assert_eq!(
            format!("{why:#}"),
            format!("{sentence}\n  10.0.0.1:9443: connection refused\n  web@h: does not serve it")
        );
        assert_eq!(why.tried().next(), Some(("10.0.0.1:9443", "connection refused")));
    }

    #[test]
    fn who_could_not_be_met_is_said_last() {
        let why = Why::new("Users", "find")
            .node("web@h", "does not serve it")
            .unmet("127.0.0.1:9443 on this machine", "it has another cookie");
        let sentence = "the only known node cannot be asked for `Users.find`: web@h (does not \
                        serve it)";
        let unmet = "not met: 127.0.0.1:9443 on this machine (it has another cookie)";
        assert_eq!(why.to_string(), format!("{sentence}; {unmet}"));
        let long = format!("{why:#}");
        assert!(long.starts_with(sentence) && long.contains(&format!("\n  {unmet}")), "{long}");
    }

    #[test]
    fn who_has_met_nobody_says_so() {
        let why = Why::new("Users", "find").node("web@h", "does not serve it").alone();
        let sentence = "the only known node cannot be asked for `Users.find`: web@h (does not \
                        serve it); this node has met no other node of its realm";
        assert_eq!(why.to_string(), sentence);
        let why = why.unmet("10.0.0.1:9443", "no answer within 3s");
        let tried = "tried: 10.0.0.1:9443 (no answer within 3s)";
        assert_eq!(why.to_string(), format!("{sentence}, {tried}"));
        let long = format!("{why:#}");
        assert!(
            long.contains(&format!("\n  this node has met no other node of its realm, {tried}"))
        );
        // As long as it is joining, there is nothing else to be said.
        let why = Why::new("Users", "find").joining("10.0.0.1:9443", "no answer yet");
        assert_eq!(why.clone().alone().to_string(), why.to_string());
    }

    #[test]
    fn a_call_that_can_be_made() {
        let why = Why::new("Users", "find").available("a@h");
        assert_eq!(
            why.to_string(),
            "the only known node can be asked for `Users.find`: a@h (can be asked)"
        );
        let why = why.node("b@h", "lacks &db");
        let sentence = "1 of the 2 known nodes can be asked for `Users.find`: a@h (can be asked), \
                        b@h (lacks &db)";
        assert_eq!(why.to_string(), sentence);
        assert_eq!(
            format!("{why:#}"),
            format!("{sentence}\n  a@h: can be asked\n  b@h: lacks &db")
        );
        assert_eq!((why.askable(), why.fault("no such tag").askable()), (1, 0));
    }

    #[cfg(feature = "json")]
    #[test]
    fn what_may_have_been_meant_is_said_with_the_name() {
        let why = Why::new("Users", "fnd").meant("Users.find").node("a@h", "does not serve it");
        assert_eq!(
            why.to_string(),
            "the only known node cannot be asked for `Users.fnd` (did you mean `Users.find`?): a@h \
             (does not serve it)"
        );
    }

    #[test]
    fn bounded() {
        let why = (0..300).fold(Why::new("S", "m"), |why, i| why.node(&format!("n{i}"), "down"));
        assert_eq!(why.nodes().len(), MAX_LISTED);
        assert!(why.to_string().contains("300 known nodes"), "{why}");
        assert!(format!("{why:#}").ends_with("\n  and 44 more"), "{why:#}");
        assert_eq!(size_of::<Why>(), size_of::<usize>());
    }
}
