#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! The error a program ends with.

use std::fmt;
use std::io;
use std::net::AddrParseError;

use crate::Status;
use crate::call::{CallError, FirstError, NoTarget, QuorumError};
use crate::config::ConfigError;
use crate::exhausted::Exhausted;
use crate::nodes::{
    BadVersion, MissingServices, SelectorParseError, TopologyError, UnknownInSelector,
};
use crate::registry::{NameTaken, ValueError};
use crate::service::info::BadServiceName;
use crate::service::instance::ServiceError;

/// Any failure of this crate, as text: what `main` returns.
///
/// `Display` is one sentence a person can act on; `{:#}` and `Debug` (which is what `main` prints)
/// add what was tried. To decide by kind, match the error it came from: [`CallError`] and its
/// kin all convert into this one with `?`, and keep the text of a method's own error.
pub struct Error(Box<Text>);

struct Text {
    sentence: String,
    /// The sentence and the log below it.
    full: String,
    source: Option<io::Error>,
}

impl Error {
    /// An error with nothing to add to its sentence.
    pub fn msg(sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        Self(Box::new(Text { full: sentence.clone(), sentence, source: None }))
    }

    fn of(error: &impl fmt::Display) -> Self {
        Self(Box::new(Text {
            sentence: error.to_string(),
            full: format!("{error:#}"),
            source: None,
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if f.alternate() { &self.0.full } else { &self.0.sentence })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.full)
    }
}

impl std::error::Error for Error {
    /// The error of the operating system behind this one, if there is one.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|error| error as _)
    }
}

impl<E: fmt::Display> From<CallError<E>> for Error {
    fn from(error: CallError<E>) -> Self {
        Self::of(&error)
    }
}

impl<T, E: fmt::Display> From<FirstError<T, E>> for Error {
    fn from(error: FirstError<T, E>) -> Self {
        Self::of(&error)
    }
}

impl<T, E: fmt::Display> From<QuorumError<T, E>> for Error {
    fn from(error: QuorumError<T, E>) -> Self {
        Self::of(&error)
    }
}

impl From<NoTarget> for Error {
    fn from(error: NoTarget) -> Self {
        Self::of(&error)
    }
}

impl From<Exhausted> for Error {
    fn from(error: Exhausted) -> Self {
        Self::of(&error)
    }
}

impl From<TopologyError> for Error {
    fn from(error: TopologyError) -> Self {
        Self::of(&error)
    }
}

impl From<SelectorParseError> for Error {
    fn from(error: SelectorParseError) -> Self {
        Self::of(&error)
    }
}

impl From<UnknownInSelector> for Error {
    fn from(error: UnknownInSelector) -> Self {
        Self::of(&error)
    }
}

impl From<BadServiceName> for Error {
    fn from(error: BadServiceName) -> Self {
        Self::of(&error)
    }
}

impl From<BadVersion> for Error {
    fn from(error: BadVersion) -> Self {
        Self::of(&error)
    }
}

impl From<MissingServices> for Error {
    fn from(error: MissingServices) -> Self {
        Self::of(&error)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::of(&status)
    }
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        Self::of(&error)
    }
}

impl From<NameTaken> for Error {
    fn from(error: NameTaken) -> Self {
        Self::of(&error)
    }
}

impl From<ValueError> for Error {
    fn from(error: ValueError) -> Self {
        Self::of(&error)
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        let mut text = Self::of(&error);
        if let ConfigError::Read { source, .. } = error {
            text.0.source = Some(source);
        }
        text
    }
}

impl From<AddrParseError> for Error {
    fn from(error: AddrParseError) -> Self {
        Self::msg(format!("{error}: write a numeric address and a port, such as `0.0.0.0:9443`"))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let mut text = Self::of(&error);
        text.0.source = Some(error);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::call::tests::attempt;
    use crate::call::{Executed, Log, Why};

    fn shown(error: &Error) -> (String, String, String) {
        (error.to_string(), format!("{error:#}"), format!("{error:?}"))
    }

    #[test]
    fn main_prints_the_attempts() {
        let call: CallError = CallError::Disconnected(Log::from(attempt("db@h1", Executed::No)));
        let (short, long) = (call.to_string(), format!("{call:#}"));
        assert!(long.contains("\n  1. db@h1"), "{long}");
        assert_eq!(shown(&call.into()), (short, long.clone(), long));
    }

    #[test]
    fn keeps_the_methods_own_text() {
        struct NoDebug;
        impl fmt::Display for NoDebug {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("read only")
            }
        }
        let text = "read only".to_owned();
        let error = Error::from(CallError::App(NoDebug));
        assert_eq!(shown(&error), (text.clone(), text.clone(), text));
    }

    #[test]
    fn keeps_the_system_error_as_its_source() {
        let error = Error::from(io::Error::from(io::ErrorKind::AddrInUse));
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), error.to_string());
        assert!(std::error::Error::source(&Error::msg("no cookie")).is_none());
        let source = io::Error::from(io::ErrorKind::NotFound);
        let error = Error::from(ConfigError::Read { path: "users.toml".into(), source });
        assert!(error.to_string().starts_with("the file `users.toml` cannot be read: "), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn takes_the_failures_of_a_fan_out() {
        let quorum = QuorumError::<()>::Unreachable { workers: 1, required: 2 };
        assert_eq!(Error::from(quorum.clone()).to_string(), quorum.to_string());
        let why = Why::new("Users", "find").node("a@h", "lacks the tag db");
        let first = FirstError::<()>::NoTarget(why.clone());
        assert_eq!(format!("{:?}", Error::from(first)), format!("{why:#}"));
        assert_eq!(format!("{:?}", Error::from(NoTarget(why.clone()))), format!("{why:#}"));
    }

    #[test]
    fn takes_what_is_wrong_with_a_configuration() {
        let topology = crate::Topology::new().node("", ["db"]).unwrap_err();
        let text = topology.to_string();
        assert_eq!(Error::from(topology).to_string(), text);
        let selector = crate::nodes::parse("&").unwrap_err();
        let text = selector.to_string();
        assert_eq!(Error::from(selector).to_string(), text);
        let unknown = crate::Topology::new().check(&crate::nodes::tag("db")).unwrap_err();
        let text = unknown.to_string();
        assert_eq!(Error::from(unknown).to_string(), text);
    }

    #[test]
    fn crosses_threads_and_stays_one_pointer() {
        fn check<T: std::error::Error + Send + Sync + 'static>() {}
        check::<Error>();
        assert_eq!(size_of::<crate::Result<()>>(), size_of::<usize>());
    }
}
