//! One rule of who may call what, and its form as a text.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::NodeId;
use crate::context::Caller;

/// Who may call, or may not, and what.
///
/// As a text: `allow` or `deny`, who, and for some methods only `:` and their wire names, with `*`
/// at the end of a name for all that begin so. Who is `*` for everybody, `#` and the id of a node in
/// 64 hexadecimal digits, `@` and a name, or `&` and a tag.
///
/// ```
/// use nebula::plugins::{Rule, Who};
///
/// let rule: Rule = "allow &web: find, list_*".parse()?;
/// assert_eq!(rule, Rule::allow(Who::tag("web")).method("find").method("list_*"));
/// assert_eq!("deny *".parse::<Rule>()?, Rule::deny(Who::Anyone));
/// # Ok::<_, nebula::plugins::MalformedRule>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct Rule {
    verdict: Verdict,
    who: Who,
    /// All if there is none.
    methods: Vec<String>,
}

/// Whom a rule fits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Who {
    /// Everybody, also those without a node.
    Anyone,
    /// The node that holds the key to this id.
    Node(NodeId),
    /// Nodes that call themselves so: `web-1@h1`, or `web-1` on any host; with `*` at its end, all
    /// whose whole names begin so. Anybody can call himself anything.
    Name(String),
    /// Nodes that say they carry this tag. Anybody can say so.
    Tag(String),
}

impl Rule {
    /// They may call all methods, unless some are [named](Self::method).
    pub fn allow(who: Who) -> Self {
        Self { verdict: Verdict::Allow, who, methods: Vec::new() }
    }

    /// They may call no method, unless some are [named](Self::method).
    pub fn deny(who: Who) -> Self {
        Self { verdict: Verdict::Deny, who, methods: Vec::new() }
    }

    /// Is a rule for this method only, and for others that are named. `list_*` is each method whose
    /// name begins with `list_`.
    #[must_use]
    pub fn method(mut self, name: impl Into<String>) -> Self {
        self.methods.push(name.into());
        self
    }

    /// What it says.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether it is about this call.
    pub(super) fn fits(&self, caller: Option<&Caller>, method: &str) -> bool {
        self.is_about(method) && self.who.is(caller)
    }

    /// Whether it is about calls of the method, and goes by what callers say of themselves.
    pub(super) fn asks_what_is_said(&self, method: &str) -> bool {
        self.is_about(method) && matches!(self.who, Who::Name(_) | Who::Tag(_))
    }

    fn is_about(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|pattern| is_like(method, pattern))
    }

    /// The methods that are named in full.
    pub(super) fn whole_methods(&self) -> impl Iterator<Item = &String> {
        self.methods.iter().filter(|method| !method.ends_with('*'))
    }
}

impl Who {
    /// By name; see [`Name`](Self::Name).
    pub fn name(name: impl Into<String>) -> Self {
        Self::Name(name.into())
    }

    /// By tag; see [`Tag`](Self::Tag).
    pub fn tag(tag: impl Into<String>) -> Self {
        Self::Tag(tag.into())
    }

    fn is(&self, caller: Option<&Caller>) -> bool {
        let Some(caller) = caller else { return *self == Self::Anyone };
        match self {
            Self::Anyone => true,
            Self::Node(id) => caller.id == *id,
            Self::Name(pattern) => {
                let short = caller.name.split('@').next().unwrap_or_default();
                is_like(&caller.name, pattern) || short == pattern
            }
            Self::Tag(tag) => caller.tags.iter().any(|known| **known == **tag),
        }
    }
}

/// Whether a name is a pattern, or begins with what is before its `*`.
fn is_like(name: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

impl FromStr for Rule {
    type Err = MalformedRule;

    fn from_str(text: &str) -> Result<Self, MalformedRule> {
        let malformed = |reason| MalformedRule { rule: text.to_owned(), reason };
        let (verdict, rest) = text.trim().split_once(' ').ok_or(malformed(Reason::Verdict))?;
        let verdict = match verdict {
            "allow" => Verdict::Allow,
            "deny" => Verdict::Deny,
            _ => return Err(malformed(Reason::Verdict)),
        };
        let (who, methods) = match rest.split_once(':') {
            Some((who, methods)) => (who, methods.split(',').map(str::trim).collect()),
            None => (rest, Vec::new()),
        };
        let who = Who::read(who.trim()).map_err(malformed)?;
        if methods.iter().any(|method| !is_pattern(method)) {
            return Err(malformed(Reason::Method));
        }
        Ok(Self { verdict, who, methods: methods.into_iter().map(str::to_owned).collect() })
    }
}

impl Who {
    fn read(text: &str) -> Result<Self, Reason> {
        if text == "*" {
            return Ok(Self::Anyone);
        }
        if let Some(id) = text.strip_prefix('#') {
            return id.parse().map(Self::Node).map_err(|_| Reason::Id);
        }
        let (name, who): (_, fn(String) -> Self) = match text.strip_prefix('@') {
            Some(name) => (name, Self::Name),
            None => (text.strip_prefix('&').ok_or(Reason::Who)?, Self::Tag),
        };
        // A tag has no pattern: `web*` would never fit.
        let is_name = match who(String::new()) {
            Self::Tag(_) => is_pattern(name) && !name.ends_with('*'),
            _ => is_pattern(name),
        };
        if is_name { Ok(who(name.to_owned())) } else { Err(Reason::Name) }
    }
}

/// Whether a text can be a name, perhaps with a `*` at its end.
fn is_pattern(text: &str) -> bool {
    let name = text.strip_suffix('*').unwrap_or(text);
    let odd =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | ':' | ',' | '#' | '&');
    !text.is_empty() && !name.contains(odd)
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("*"),
            Self::Node(id) => write!(f, "#{id}"),
            Self::Name(name) => write!(f, "@{name}"),
            Self::Tag(tag) => write!(f, "&{tag}"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Allow => "allow",
            Verdict::Deny => "deny",
        };
        write!(f, "{verdict} {}", self.who)?;
        for (at, method) in self.methods.iter().enumerate() {
            write!(f, "{} {method}", if at == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for Rule {
    type Error = MalformedRule;

    fn try_from(text: String) -> Result<Self, MalformedRule> {
        text.parse()
    }
}

/// A text that is no rule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{}` is no rule: {reason}", rule.escape_debug())]
pub struct MalformedRule {
    rule: String,
    reason: Reason,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
enum Reason {
    #[error("it begins with `allow ` or `deny `, as in `allow &web: find`")]
    Verdict,
    #[error("who is `*`, `#` and the id of a node, `@` and a name, or `&` and a tag")]
    Who,
    #[error("behind `#` are the 64 hexadecimal digits of a node's id")]
    Id,
    #[error("a name has no white space in it, and `*` only at the end; a tag has none")]
    Name,
    #[error("behind `:` are names of methods with `,` between them, and `*` only at their ends")]
    Method,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn caller(name: &str, tags: &[&str]) -> Caller {
        let tags: Vec<Box<str>> = tags.iter().map(|tag| (*tag).into()).collect();
        Caller { id: NodeId::from_bytes([7; 32]), name: name.into(), tags: tags.into() }
    }

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    #[test]
    fn rules_fit_whom_they_name() {
        let web = caller("web-1@h1", &["web", "eu"]);
        let seven = format!("allow #{}", NodeId::from_bytes([7; 32]));
        let eight = format!("allow #{}", NodeId::from_bytes([8; 32]));
        for (text, fits) in [
            ("allow *", true),
            ("allow &web", true),
            ("allow &we", false),
            ("allow @web-1", true),
            ("allow @web-1@h1", true),
            ("allow @web-1@h2", false),
            ("allow @web-*", true),
            ("allow @web-1@*", true),
            ("allow @web", false),
            ("allow @*", true),
            (&*seven, true),
            (&*eight, false),
            ("deny &web: put", false),
            ("deny &web: put, find", true),
            ("deny &web: fi*", true),
            ("deny &web: *", true),
        ] {
            assert_eq!(rule(text).fits(Some(&web), "find"), fits, "{text}");
        }
        assert!(rule("allow *").fits(None, "find"), "everybody");
        assert!(!rule("allow @*").fits(None, "find"), "whoever has a name");
        let methods: Vec<_> = ["find", "put"].map(str::to_owned).into();
        assert_eq!(
            rule("deny *: find, list_*, put").whole_methods().cloned().collect::<Vec<_>>(),
            methods
        );
    }

    #[test]
    fn what_is_no_rule_says_why() {
        for (text, reason) in [
            ("", Reason::Verdict),
            ("allow", Reason::Verdict),
            ("permit *", Reason::Verdict),
            ("allow web", Reason::Who),
            ("allow : find", Reason::Who),
            ("allow #77", Reason::Id),
            ("allow @", Reason::Name),
            ("allow @a b", Reason::Name),
            ("allow @a*b", Reason::Name),
            ("allow &web*", Reason::Name),
            ("allow *:", Reason::Method),
            ("allow *: find,", Reason::Method),
            ("allow *: f*d", Reason::Method),
        ] {
            let error = text.parse::<Rule>().unwrap_err();
            assert_eq!(error.reason, reason, "{text}");
        }
        assert_eq!(
            "allow web".parse::<Rule>().unwrap_err().to_string(),
            "`allow web` is no rule: who is `*`, `#` and the id of a node, `@` and a name, or `&` \
             and a tag"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_rule_is_read_as_it_is_written(
            allow: bool,
            who in prop_oneof![
                Just(Who::Anyone),
                any::<[u8; 32]>().prop_map(|id| Who::Node(NodeId::from_bytes(id))),
                "[a-z0-9@.-]{1,9}[*]?".prop_map(Who::Name),
                "[a-z0-9-]{1,9}".prop_map(Who::Tag),
            ],
            methods in prop::collection::vec("[a-z_]{1,9}[*]?", 0..4),
        ) {
            let rule = if allow { Rule::allow(who) } else { Rule::deny(who) };
            let rule = methods.into_iter().fold(rule, Rule::method);
            prop_assert_eq!(rule.to_string().parse::<Rule>().unwrap(), rule);
        }

        #[test]
        fn no_text_panics(text in "(allow|deny)? ?[#@&*:, a-z]{0,20}") {
            if let Ok(rule) = text.parse::<Rule>() {
                prop_assert_eq!(rule.to_string().parse::<Rule>().unwrap(), rule);
            }
        }
    }
}
