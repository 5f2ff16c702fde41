//! What a node counts of itself, for the facade of the crate `metrics`; nothing without the feature.
//! The guide has the table of names: `docs/guide/traces.md`.

use crate::call::Outcome;

/// A call made on this node was given another attempt, since one has failed.
#[inline]
pub(crate) fn retried(node: &str) {
    #[cfg(feature = "metrics")]
    metrics::counter!("nebula_retries_total", "node" => node.to_owned()).increment(1);
    let _ = node;
}

/// A call made on this node was given a second attempt, since the first is slow.
#[inline]
pub(crate) fn hedged(node: &str) {
    #[cfg(feature = "metrics")]
    metrics::counter!("nebula_hedges_total", "node" => node.to_owned()).increment(1);
    let _ = node;
}

/// An attempt made on this node brought no reply of its method.
#[inline]
pub(crate) fn failed(node: &str, outcome: &Outcome) {
    #[cfg(feature = "metrics")]
    {
        let (node, outcome) = (node.to_owned(), gauges::word(outcome));
        let failed = metrics::counter!(
            "nebula_attempts_failed_total", "node" => node, "outcome" => outcome
        );
        failed.increment(1);
    }
    let _ = (node, outcome);
}

#[cfg(feature = "metrics")]
pub(crate) use gauges::Gauges;

#[cfg(feature = "metrics")]
mod gauges {
    use std::collections::BTreeMap;

    use macula::Mesh;
    use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

    use crate::call::Outcome;
    use crate::service::slot::Slots;

    /// What is looked at each second.
    pub(crate) struct Gauges {
        node: String,
        members: Gauge,
        connections: Gauge,
        /// Bytes and messages of each kind.
        sent: [(Counter, Counter); 3],
        dials: Counter,
        /// Calls that were refused, by the reason.
        refused: BTreeMap<&'static str, Counter>,
        /// Calls that run or wait, and that wait, by the service.
        services: BTreeMap<&'static str, (Gauge, Gauge)>,
    }

    impl Gauges {
        /// Registers them with the recorder that is installed now.
        pub(crate) fn new(node: &str) -> Self {
            describe();
            let node = node.to_owned();
            let sent = ["membership", "directory", "facts"].map(|kind| {
                let bytes = counter!("nebula_gossip_bytes_total", "node" => node.clone(), "kind" => kind);
                let messages =
                    counter!("nebula_gossip_messages_total", "node" => node.clone(), "kind" => kind);
                (bytes, messages)
            });
            Self {
                members: gauge!("nebula_members", "node" => node.clone()),
                connections: gauge!("nebula_connections", "node" => node.clone()),
                dials: counter!("nebula_dials_total", "node" => node.clone()),
                refused: BTreeMap::new(),
                services: BTreeMap::new(),
                sent,
                node,
            }
        }

        pub(crate) fn refresh(&mut self, mesh: &Mesh, slots: &Slots) {
            self.members.set(mesh.view().nodes().len() as f64);
            self.connections.set(mesh.connections() as f64);
            let traffic = mesh.traffic();
            let kinds = [traffic.membership, traffic.directory, traffic.facts];
            for ((bytes, messages), sent) in self.sent.iter().zip(kinds) {
                bytes.absolute(sent.bytes);
                messages.absolute(sent.messages);
            }
            self.dials.absolute(traffic.dials);
            for (reason, count) in mesh.refused_calls() {
                let node = || self.node.clone();
                let counter = self.refused.entry(reason).or_insert_with(
                    || counter!("nebula_calls_refused_total", "node" => node(), "reason" => reason),
                );
                counter.absolute(count);
            }
            let served = slots.all();
            let calls = served.iter().map(|served| {
                (served.info().service_name(), (served.load() as f64, served.queued() as f64))
            });
            self.show(&calls.collect());
        }

        /// Tells of the calls of each service, how many there are and how many of them wait.
        fn show(&mut self, here: &BTreeMap<&'static str, (f64, f64)>) {
            for service in here.keys() {
                let node = || self.node.clone();
                self.services.entry(service).or_insert_with(|| {
                    let load = gauge!("nebula_calls_here", "node" => node(), "service" => *service);
                    let queued =
                        gauge!("nebula_calls_queued", "node" => node(), "service" => *service);
                    (load, queued)
                });
            }
            for (service, (load, queued)) in &self.services {
                // What has gone has no calls any more.
                let (calls, waiting) = here.get(service).copied().unwrap_or_default();
                load.set(calls);
                queued.set(waiting);
            }
        }
    }

    /// A node that has stopped has none of it.
    impl Drop for Gauges {
        fn drop(&mut self) {
            self.members.set(0.0);
            self.connections.set(0.0);
            self.show(&BTreeMap::new());
        }
    }

    fn describe() {
        describe_gauge!(
            "nebula_members",
            "nodes of the cluster that are alive, as far as is known"
        );
        describe_gauge!("nebula_connections", "connections to other nodes");
        describe_gauge!("nebula_calls_here", "calls of a service that run or wait for their turn");
        describe_gauge!("nebula_calls_queued", "calls of a service that wait for their turn");
        let bytes = "what was sent to keep up with the cluster";
        describe_counter!("nebula_gossip_bytes_total", Unit::Bytes, bytes);
        describe_counter!("nebula_gossip_messages_total", "messages sent for that");
        describe_counter!("nebula_dials_total", "connections that were begun");
        describe_counter!("nebula_calls_refused_total", "calls that were refused and not run");
        describe_counter!("nebula_retries_total", "attempts made since another one failed");
        describe_counter!("nebula_hedges_total", "attempts made since another one was slow");
        describe_counter!(
            "nebula_attempts_failed_total",
            "attempts on other nodes without a reply"
        );
    }

    pub(super) fn word(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Unreachable(_) => "unreachable",
            Outcome::Overloaded => "overloaded",
            Outcome::Draining => "draining",
            Outcome::NotServed => "not_served",
            Outcome::Incompatible => "incompatible",
            Outcome::Denied(_) => "denied",
            Outcome::RequestTooLarge | Outcome::ReplyTooLarge => "too_large",
            Outcome::Panicked => "panicked",
            Outcome::Reset(_) => "reset",
            Outcome::TimedOut => "timed_out",
            Outcome::Overran => "overran",
            Outcome::Cancelled => "cancelled",
            Outcome::Malformed(_)
            | Outcome::Unwritable(_)
            | Outcome::Unreadable(_)
            | Outcome::Untaken(_)
            | Outcome::ReplyUnwritable(_) => "protocol",
        }
    }
}
