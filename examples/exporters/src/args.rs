//! What the program is told.

use std::net::{Ipv4Addr, SocketAddr};

use nebula::Error;

const USAGE: &str = "usage: exporters [--metrics ADDRESS] [--listen ADDRESS] [--join HOST:PORT]";

/// The arguments of the program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Args {
    /// Where Prometheus asks; 127.0.0.1:9464 unless said.
    pub metrics: SocketAddr,
    /// Where the first node listens; a free port of this machine unless said.
    pub listen: Option<SocketAddr>,
    /// A node of another machine.
    pub join: Option<String>,
}

impl Args {
    /// Reads them; the error says how they are written.
    pub fn read(mut args: impl Iterator<Item = String>) -> nebula::Result<Self> {
        let metrics = (Ipv4Addr::LOCALHOST, 9464).into();
        let mut read = Self { metrics, listen: None, join: None };
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| Error::msg(USAGE))?;
            match name.as_str() {
                "--metrics" => read.metrics = value.parse()?,
                "--listen" => read.listen = Some(value.parse()?),
                "--join" => read.join = Some(value),
                _ => return Err(Error::msg(USAGE)),
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> nebula::Result<Args> {
        Args::read(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let metrics = (Ipv4Addr::LOCALHOST, 9464).into();
        assert_eq!(read("").unwrap(), Args { metrics, listen: None, join: None });
        let said = read("--metrics [::1]:1 --listen 0.0.0.0:2 --join h:3").unwrap();
        assert_eq!(said.metrics, "[::1]:1".parse().unwrap());
        assert_eq!(said.listen, Some("0.0.0.0:2".parse().unwrap()));
        assert_eq!(said.join.as_deref(), Some("h:3"));
        for wrong in ["--join", "--metrics nowhere", "--help x", "x"] {
            read(wrong).unwrap_err();
        }
    }
}
