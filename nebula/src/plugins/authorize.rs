//! Who may call what.

mod rule;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::live::{Live, known};
use crate::config::{Invalid, Schema};
use crate::context::Caller;
use crate::plugin::{Host, Inbound, Plugin, Refusal, Updated};
use crate::{Children, NodeId, Result, Status};

pub use self::rule::{MalformedRule, Rule, Who};

/// How many rules there may be.
const MOST: usize = 256;

/// Refuses calls by who makes them, as [`Denied`](crate::CallError::Denied) with the status
/// `forbidden`, which says the rule: they have not been executed.
///
/// The rules are asked in their order, and the first one that fits the caller and the method
/// decides. If none does, the call is refused; allowed after
/// [`allow_others`](Self::allow_others).
///
/// **Only the id of a node is proved.** A node holds the secret key to its id, and nobody else can
/// claim that id. Its name and its tags are what it says of itself: every node that is admitted to
/// the realm can call itself `web-1` and carry the tag `admin`. Rules by name and tag keep honest
/// nodes from calling what is not theirs, by mistake; against nodes that lie, name ids.
///
/// The calls of a node that has just come may be faster than what it says of itself. Where a rule by
/// name or tag would be asked next, such a call goes on to another node, or is made again: it has
/// not been executed.
///
/// Calls from the node that serves are not asked about: who runs in its process could call the
/// object itself. [`judge_this_node`](Self::judge_this_node) has its name, tags and id asked like
/// any other's. A caller without a node has proved nothing, and is refused as `unauthorized` where
/// no rule for everybody ([`Who::Anyone`]) lets it in.
///
/// Its name is `access`, and its section of the configuration, [`AuthorizeConfig`], is
/// `[plugins.access]`, which may be changed while the service runs:
///
/// ```toml
/// [plugins.access]
/// others = "deny"
/// rules = [
///     "deny @web-3",                                 # by name, from the first rule on
///     "allow &web: find, list_*",                    # by tag, for some methods
///     "allow @db-*",                                 # by the beginning of a name
///     "allow #3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
/// ]
/// ```
///
/// ```
/// use nebula::plugins::{Authorize, Rule, Who};
///
/// let web = Rule::allow(Who::tag("web")).method("find").method("list_*");
/// assert_eq!(web.to_string(), "allow &web: find, list_*");
/// let authorize = Authorize::new().deny_name("web-3").rule(web).allow_name("db-*");
/// # drop(authorize);
/// ```
#[derive(Debug)]
pub struct Authorize {
    live: Live<AuthorizeConfig>,
}

/// What `[plugins.access]` may say.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AuthorizeConfig {
    /// The rules in their order, 256 at most. See [`Rule`] for their form.
    pub rules: Vec<Rule>,
    /// What becomes of callers that no rule fits.
    pub others: Verdict,
    /// Whether calls of the node that serves are asked about as well.
    pub judge_this_node: bool,
}

/// What a rule says of those that it fits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// They may call.
    Allow,
    /// They may not.
    Deny,
}

/// A verdict, and the rule that says it; none where no rule fits.
type Judged<'c> = (Verdict, Option<(usize, &'c Rule)>);

impl AuthorizeConfig {
    fn check(&self) -> Result<(), Invalid> {
        match self.rules.len() {
            0..=MOST => Ok(()),
            _ => Err(Invalid::new("rules", "there are at most 256")),
        }
    }

    /// What is said of this call, and by which rule; nothing if that takes what is not known yet.
    fn judge(&self, caller: Option<&Caller>, method: &str) -> Option<Judged<'_>> {
        let is_unknown = caller.is_some_and(|node| node.name.is_empty());
        for (at, rule) in self.rules.iter().enumerate() {
            if rule.fits(caller, method) {
                return Some((rule.verdict(), Some((at, rule))));
            }
            if is_unknown && rule.asks_what_is_said(method) {
                return None;
            }
        }
        Some((self.others, None))
    }
}

impl Authorize {
    /// No rules yet: it refuses all that is not allowed from here on.
    pub fn new() -> Self {
        let (rules, others) = (Vec::new(), Verdict::Deny);
        Self { live: Live::new(AuthorizeConfig { rules, others, judge_this_node: false }) }
    }

    /// One more rule below those that are there. With one that names a method which the service does
    /// not have, it does not start.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.live = self.live.with(|config| config.rules.push(rule));
        self
    }

    /// The node with this id may call all methods.
    #[must_use]
    pub fn allow_node(self, id: NodeId) -> Self {
        self.rule(Rule::allow(Who::Node(id)))
    }

    /// Nodes of this name may call all methods. See [`Who::Name`] for its form; a name is not
    /// proved.
    #[must_use]
    pub fn allow_name(self, name: impl Into<String>) -> Self {
        self.rule(Rule::allow(Who::name(name)))
    }

    /// Nodes with this tag may call all methods. A tag is not proved.
    #[must_use]
    pub fn allow_tag(self, tag: impl Into<String>) -> Self {
        self.rule(Rule::allow(Who::tag(tag)))
    }

    /// The node with this id may call nothing.
    #[must_use]
    pub fn deny_node(self, id: NodeId) -> Self {
        self.rule(Rule::deny(Who::Node(id)))
    }

    /// Nodes of this name may call nothing. See [`Who::Name`] for its form; a name is not proved.
    #[must_use]
    pub fn deny_name(self, name: impl Into<String>) -> Self {
        self.rule(Rule::deny(Who::name(name)))
    }

    /// Nodes with this tag may call nothing. A tag is not proved.
    #[must_use]
    pub fn deny_tag(self, tag: impl Into<String>) -> Self {
        self.rule(Rule::deny(Who::tag(tag)))
    }

    /// Lets those in that no rule fits.
    #[must_use]
    pub fn allow_others(mut self) -> Self {
        self.live = self.live.with(|config| config.others = Verdict::Allow);
        self
    }

    /// Has calls of the node that serves asked about as well.
    #[must_use]
    pub fn judge_this_node(mut self) -> Self {
        self.live = self.live.with(|config| config.judge_this_node = true);
        self
    }
}

impl Default for Authorize {
    fn default() -> Self {
        Self::new()
    }
}

#[crate::plugin(crate = "crate")]
impl Plugin for Authorize {
    fn name(&self) -> Cow<'static, str> {
        // A key with `auth` in it is taken for a secret, and its rules would not be shown in errors.
        "access".into()
    }

    fn config(&self) -> Option<Schema> {
        self.live.schema(AuthorizeConfig::check)
    }

    async fn start(&self, host: &Host) -> Result<Children> {
        self.updated(host).await?;
        Ok(Children::new())
    }

    async fn updated(&self, host: &Host) -> Result<Updated> {
        if let Some(config) = host.config::<AuthorizeConfig>() {
            // A rule that fits nothing is mostly one that shall protect something.
            known(host, config.rules.iter().flat_map(Rule::whole_methods))?;
        }
        self.live.refresh(host);
        Ok(Updated::Kept)
    }

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        let config = self.live.now();
        let caller = call.caller();
        if !config.judge_this_node && caller.is_some_and(|node| node.id == call.host().node_id()) {
            return Ok(());
        }
        let why = match config.judge(caller, call.method()) {
            Some((Verdict::Allow, _)) => return Ok(()),
            Some((Verdict::Deny, Some((at, rule)))) => format!("rule {}, `{rule}`", at + 1),
            Some((Verdict::Deny, None)) => "no rule allows it".to_owned(),
            None => {
                let why = "the name and the tags of the caller are not known here yet";
                return Err(Refusal::Unavailable(why.into()));
            }
        };
        let what = format_args!("`{}/{}`", call.service(), call.method());
        Err(match caller {
            Some(node) => {
                let (name, id) = (&node.name, node.id);
                Refusal::denied(format!("the node `{name}` ({id:?}) may not call {what}: {why}"))
            }
            None => {
                let why = format!("a caller without a node may not call {what}: {why}");
                Refusal::Denied(Status::unauthorized(why))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_judged_by_a_name_that_is_not_known_yet() {
        let id = NodeId::from_bytes([7; 32]);
        let (by_id, others) =
            (format!("allow #{id}"), format!("deny #{}", NodeId::from_bytes([8; 32])));
        let unknown = Caller { id, name: "".into(), tags: [].into() };
        let known = Caller { id, name: "web-3".into(), tags: ["web".into()].into() };
        let (allow, deny) = (Some(Verdict::Allow), Some(Verdict::Deny));
        // The rules, what becomes of others, and the verdicts on the one and the other.
        for (rules, others, on_unknown, on_known) in [
            // These would let it in, and these keep it out.
            (&["deny @web-3"][..], Verdict::Allow, None, deny),
            (&["deny &web"], Verdict::Allow, None, deny),
            (&["allow @web-*"], Verdict::Deny, None, allow),
            (&["allow &web"], Verdict::Deny, None, allow),
            (&[&others, "deny &web", &by_id], Verdict::Deny, None, deny),
            // These do not get as far, or are about another method, or go by no name.
            (&[&by_id, "deny &web"], Verdict::Deny, allow, allow),
            (&["deny *: find", "allow &web"], Verdict::Allow, deny, deny),
            (&["deny &web: put"], Verdict::Allow, allow, allow),
            (&["allow @*"], Verdict::Deny, allow, allow),
            (&[&others], Verdict::Allow, allow, allow),
        ] {
            let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
            let config = AuthorizeConfig { rules, others, judge_this_node: false };
            let judge = |caller| config.judge(Some(caller), "find").map(|(verdict, _)| verdict);
            assert_eq!((judge(&unknown), judge(&known)), (on_unknown, on_known), "{config:?}");
            assert!(config.judge(None, "find").is_some(), "it has no name to wait for");
        }
    }
}
