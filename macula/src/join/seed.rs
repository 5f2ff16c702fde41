//! Where a node may find others to join.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::limits::{SEED_FILE, SEEDS};
use crate::text::Safe;

/// The port of a seed that names none, and of which DNS knows no service.
///
/// Nodes do not listen there by themselves: one that is to be found under its host alone is told to
/// ([`MeshBuilder::listen`](crate::MeshBuilder::listen)).
pub const DEFAULT_PORT: u16 = 9443;

/// The service that is asked for where a seed is a host alone.
const SERVICE: &str = "macula";
/// The most bytes of a host name, and of one of its labels (RFC 1035, section 2.3.4).
const NAME: usize = 253;
const LABEL: usize = 63;
/// How much is shown of what is no seed.
const SHOWN: usize = 300;

/// A place to join through, in one of the forms that [`Seed::parse`] takes.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Seed {
    text: String,
    place: Place,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Place {
    Address(SocketAddr),
    /// The addresses of a host.
    Host {
        host: String,
        port: u16,
    },
    /// The service `_<service>._udp.<host>` in DNS, else the addresses of the host.
    Service {
        service: String,
        host: String,
    },
}

/// Why a list of seeds cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// It has none of the forms of a seed. No node was started; one that runs keeps the seeds that
    /// it has from the same file.
    #[error(
        "{}`{}` is not a seed: write `10.0.0.1:9443`, `[::1]:9443`, `host:port`, `host` or \
        `name@host`",
        At(at),
        Safe(text)
    )]
    Form {
        /// The file and its line, or the variable; empty for one that was given in the code.
        at: String,
        /// What stands there, as far as 300 characters show it.
        text: String,
    },
    /// The list is no text.
    #[error("{}this is not UTF-8: write one seed a line, such as `host:port`", At(at))]
    Text {
        /// The file, or the variable.
        at: String,
    },
    /// A seed file cannot be read. No node was started; one that runs keeps what it last read.
    #[error("cannot read the seed file `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A seed file is too long. No node was started; one that runs keeps what it last read.
    #[error("the seed file `{}` has more than {SEED_FILE} bytes: name fewer seeds", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// There are too many seeds. No node was started; one that runs keeps those that it has.
    #[error("these are {0} seeds, and a node takes {SEEDS} at most: a few that are usually up do")]
    TooMany(usize),
}

struct At<'a>(&'a str);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}: ", Safe(self.0)) }
    }
}

impl Seed {
    /// Reads `10.0.0.1:9443`, `[::1]:9443`, `host:port`, `host` or `name@host`, where a host may be
    /// an address too. `at` says where the text stands.
    pub(crate) fn parse(text: &str, at: &str) -> Result<Self, SeedError> {
        match place(text) {
            Some(place) => Ok(Self { text: text.into(), place }),
            None => {
                let text = text.chars().take(SHOWN).collect();
                Err(SeedError::Form { at: at.into(), text })
            }
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The address, if it is written as one.
    pub(crate) fn literal(&self) -> Option<SocketAddr> {
        match self.place {
            Place::Address(addr) => Some(addr),
            _ => None,
        }
    }

    /// Surely on this machine.
    pub(crate) fn is_local(&self) -> bool {
        match &self.place {
            Place::Address(addr) => addr.ip().is_loopback(),
            Place::Host { host, .. } | Place::Service { host, .. } => {
                host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
            }
        }
    }
}

fn place(text: &str) -> Option<Place> {
    if let Ok(addr) = text.parse::<SocketAddr>() {
        let addr = match addr.ip().to_canonical() {
            IpAddr::V4(ip) => SocketAddr::from((ip, addr.port())),
            IpAddr::V6(_) => addr,
        };
        return (addr.port() > 0).then_some(Place::Address(addr));
    }
    if let Some((service, host)) = text.split_once('@') {
        if !is_label(service) || service.len() >= LABEL {
            return None;
        }
        return Some(match bare(host) {
            Some(addr) => Place::Address(addr),
            None => Place::Service { service: service.into(), host: named(host)? },
        });
    }
    if let Some(addr) = bare(text) {
        return Some(Place::Address(addr));
    }
    match text.split_once(':') {
        Some((host, port)) => {
            let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|port| digits && *port > 0)?;
            Some(Place::Host { host: named(host)?, port })
        }
        None => Some(Place::Service { service: SERVICE.into(), host: named(text)? }),
    }
}

/// An address without a port. One of IPv6 is in brackets: without, its last group may have been
/// meant as a port.
fn bare(host: &str) -> Option<SocketAddr> {
    let six = || host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let ip = host.parse::<Ipv4Addr>().map(Into::into).ok().or_else(|| Some(six()?.into()))?;
    Some(SocketAddr::new(ip, DEFAULT_PORT))
}

/// A host that is a name. What ends in a number is none, though resolvers read `10.1` as an
/// address.
pub(crate) fn named(host: &str) -> Option<String> {
    let labels = host.strip_suffix('.').unwrap_or(host);
    let last = labels.rsplit('.').next()?;
    let name = labels.len() <= NAME && labels.split('.').all(is_label);
    (name && !last.bytes().all(|byte| byte.is_ascii_digit())).then(|| host.into())
}

fn is_label(label: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=LABEL).contains(&label.len()) && label.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Place {
        Seed::parse(text, "").unwrap().place
    }

    fn address(text: &str) -> Place {
        Place::Address(text.parse().unwrap())
    }

    #[test]
    fn addresses_are_seeds_of_both_families() {
        for text in ["127.0.0.1:9", "[::1]:9", "[2001:db8::7]:65535", "[fe80::1%3]:9443"] {
            assert_eq!(parsed(text), address(text));
        }
        assert_eq!(parsed("[::ffff:10.0.0.1]:9"), address("10.0.0.1:9"));
        // Without a port, it is the usual one; an address has no records of services.
        for (text, means) in [
            ("10.0.0.1", "10.0.0.1:9443"),
            ("[::1]", "[::1]:9443"),
            ("db@10.0.0.1", "10.0.0.1:9443"),
            ("db@[2001:db8::7]", "[2001:db8::7]:9443"),
        ] {
            assert_eq!(parsed(text), address(means), "{text}");
        }
    }

    /// The forms of CL-1, CL-2 and CL-3.
    #[test]
    fn names_are_seeds_with_a_port_or_a_service_or_alone() {
        let host = |host: &str, port| Place::Host { host: host.into(), port };
        assert_eq!(parsed("db-1.example:1"), host("db-1.example", 1));
        assert_eq!(parsed("db_1.example.:9443"), host("db_1.example.", 9443));
        assert_eq!(parsed("7.example:9443"), host("7.example", 9443));
        let service = |service: &str, host: &str| Place::Service {
            service: service.into(),
            host: host.into(),
        };
        assert_eq!(parsed("cluster.example"), service("macula", "cluster.example"));
        assert_eq!(parsed("db"), service("macula", "db"));
        assert_eq!(parsed("users@cluster.example"), service("users", "cluster.example"));
    }

    #[test]
    fn what_is_on_this_machine_is_known() {
        for (text, local) in [
            ("127.0.0.1:9", true),
            ("[::1]:9", true),
            ("localhost:7000", true),
            ("LOCALHOST", true),
            ("users@localhost.", true),
            ("10.0.0.1:9443", false),
            ("[2001:db8::7]:9443", false),
            ("db-1.example:1", false),
            ("localhost.example", false),
        ] {
            assert_eq!(Seed::parse(text, "").unwrap().is_local(), local, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_forms_expected() {
        let long_label = "a".repeat(64);
        let long_name = format!("{}b", "a.".repeat(127));
        let service_too_long = format!("{}@b", "a".repeat(63));
        for text in [
            "",
            " ",
            "db:",
            ":1",
            "db:0",
            "db:70000",
            "db:+1",
            "a b:1",
            "a b",
            "::1:x",
            "::1",
            "::1:9443",
            "[::1",
            "[::1]9443",
            "[::1]:",
            "[::1]:0",
            "10.0.0.1:0",
            "http://a:1",
            "a..b",
            ".a",
            "a/b",
            "10.1",
            "10.0.0.256",
            "256.0.0.1:1",
            "7",
            "7:1",
            "@b",
            "a@",
            "a.b@c",
            "a@b@c",
            "a@b:1",
            "a@10.1",
            "é",
            &long_label,
            &long_name,
            &service_too_long,
        ] {
            let error = Seed::parse(text, "").unwrap_err().to_string();
            let forms = ["10.0.0.1:9443", "[::1]:9443", "host:port", "host", "name@host"];
            let says = |form: &&str| error.contains(&format!("`{form}`"));
            assert!(forms.iter().all(says), "{text}: {error}");
            assert!(error.starts_with(&format!("`{text}` is not a seed: ")), "{error}");
        }
        let error = Seed::parse("a\u{1b}[2J", "seeds\u{202e}:3").unwrap_err().to_string();
        assert!(error.starts_with("seeds\\u{202e}:3: `a\\u{1b}[2J` is not a seed"), "{error}");
    }
}
