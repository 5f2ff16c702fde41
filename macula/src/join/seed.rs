use std::io;
use std::net::SocketAddr;

use crate::StartError;

/// A place to join through: `host:port`, the host an address or a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Seed {
    text: String,
    literal: Option<SocketAddr>,
}

impl Seed {
    pub(crate) fn parse(text: &str) -> Result<Self, StartError> {
        let refuse = || StartError::Seed(text.chars().take(300).collect());
        let literal = text.parse().ok();
        if literal.is_none() {
            let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
            let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
            if host.is_empty() || host.len() > 253 || host.contains(odd) {
                return Err(refuse());
            }
            port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(refuse)?;
        }
        Ok(Self { text: text.into(), literal })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The address, if it is written as one.
    pub(crate) fn literal(&self) -> Option<SocketAddr> {
        self.literal
    }

    /// Surely on this machine.
    pub(crate) fn is_local(&self) -> bool {
        match self.literal {
            Some(addr) => addr.ip().is_loopback(),
            None => self.text.starts_with("localhost:"),
        }
    }

    /// The addresses behind the name, as they are now.
    pub(crate) async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        match self.literal {
            Some(addr) => Ok(vec![addr]),
            None => Ok(tokio::net::lookup_host(&self.text).await?.collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_with_a_port_are_seeds() {
        for (text, local) in [
            ("127.0.0.1:9", true),
            ("[::1]:9", true),
            ("localhost:7000", true),
            ("10.0.0.1:9443", false),
            ("db-1.example:1", false),
        ] {
            assert_eq!(Seed::parse(text).unwrap().is_local(), local, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_form_expected() {
        for text in ["", "db", "db:", ":1", "db:0", "db:70000", "a b:1", "::1:x", "http://a:1"] {
            let error = Seed::parse(text).unwrap_err().to_string();
            assert!(error.contains("host:port"), "{text}: {error}");
        }
    }
}
