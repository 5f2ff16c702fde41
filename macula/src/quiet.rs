//! What peers do wrong is told to the log, and not as often as they like.
//!
//! Promise: of one peer and one kind of news at most one line a minute, of one kind at most as many
//! as [`Kind::most`] says, whoever it is about; each line says how many before it were left out.
//! What is remembered for that is as bounded.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::identity::NodeId;

/// How long a line keeps those like it away.
const PERIOD: Duration = Duration::from_secs(60);

/// Whom a line is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Who {
    /// Somebody who has not proved to be anybody.
    At(IpAddr),
    /// A member.
    Node(NodeId),
    /// This node: what others have it do.
    Me,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    Refused,
    Violation,
    NotReading,
    BadRecord,
    BadDigest,
    DirectoryFull,
    Up,
    Down,
    Silent,
    Answers,
    Renewed,
    BadTable,
    ClusterFull,
}

impl Kind {
    /// How many lines of this kind there may be within a minute. Nodes come and go by hundreds when
    /// a cluster starts; what is wrong is known from a few examples.
    const fn most(self) -> usize {
        match self {
            Self::Up | Self::Down => 512,
            Self::Silent | Self::Answers => 64,
            _ => 16,
        }
    }
}

/// Decides what is told.
#[derive(Debug, Default)]
pub(crate) struct Quiet(Mutex<BTreeMap<Kind, Told>>);

/// What was told of one kind.
#[derive(Debug, Default)]
struct Told {
    /// Until when each is not told of again, and how many lines about it were left out.
    peers: BTreeMap<Who, (Instant, u64)>,
    /// Lines that were left out about all others.
    others: u64,
}

impl Quiet {
    /// Whether to say it: then how many lines of this kind, about this peer or about such as are not
    /// told of, were left out since the last.
    pub(crate) fn may_say(&self, kind: Kind, who: Who, now: Instant) -> Option<u64> {
        let mut kinds = crate::mesh::lock(&self.0);
        let told = kinds.entry(kind).or_default();
        if let Some((until, left_out)) = told.peers.get_mut(&who) {
            if now < *until {
                *left_out += 1;
                return None;
            }
        } else if told.peers.len() >= kind.most() {
            let others = &mut told.others;
            told.peers.retain(|_, (until, left_out)| {
                let over = *until <= now;
                *others += if over { *left_out } else { 0 };
                !over
            });
            if told.peers.len() >= kind.most() {
                told.others += 1;
                return None;
            }
        }
        let own = told.peers.insert(who, (now + PERIOD, 0)).map_or(0, |(_, left_out)| left_out);
        Some(own + std::mem::take(&mut told.others))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn at(n: u32) -> Who {
        Who::At(IpAddr::from(n.to_be_bytes()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_is_told_of_once_a_minute_and_how_often_it_was_not() {
        let (quiet, start) = (Quiet::default(), Instant::now());
        let say =
            |kind, who, seconds| quiet.may_say(kind, who, start + Duration::from_secs(seconds));
        assert_eq!(say(Kind::Refused, at(1), 0), Some(0));
        assert_eq!(say(Kind::Refused, at(2), 0), Some(0));
        assert_eq!(say(Kind::Violation, at(1), 0), Some(0));
        for second in 0..60 {
            assert_eq!(say(Kind::Refused, at(1), second), None);
        }
        assert_eq!(say(Kind::Refused, at(1), 60), Some(60));
        assert_eq!(say(Kind::Refused, at(1), 119), None);
        assert_eq!(say(Kind::Refused, at(2), 119), Some(0));
        assert_eq!(say(Kind::Refused, at(1), 500), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_told_of_by_some_of_it() {
        let (quiet, start) = (Quiet::default(), Instant::now());
        let (mut lines, mut left_out) = (0, 0);
        // A hundred peers a second for ten minutes, each once.
        for n in 0..60_000 {
            let now = start + Duration::from_millis(10) * n;
            if let Some(others) = quiet.may_say(Kind::Refused, at(n), now) {
                lines += 1;
                left_out += others;
            }
            assert!(crate::mesh::lock(&quiet.0)[&Kind::Refused].peers.len() <= 16);
        }
        assert!((160..=176).contains(&lines), "{lines}");
        // All are accounted for, but for those since the last line.
        assert!(left_out + lines > 60_000 - 6100, "{left_out}");
        assert!(left_out + lines <= 60_000, "{left_out}");
    }
}
