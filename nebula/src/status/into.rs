#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! What makes a status of an error.

use std::convert::Infallible;
use std::fmt;

use super::reference::Reference;
use super::value::Status;
use super::withheld;

/// An error that can be told to others: to services of the cluster and to logs whole, to strangers
/// as far as it is public.
///
/// Derive it ([`derive@crate::IntoStatus`]), or write [`status`](Self::status). A status is public
/// unless it is marked [`internal`](Status::internal) or is an
/// [`internal_error`](Status::internal_error). [`CallError`](crate::CallError) and its kin implement
/// it for all `E` that do, so that what a call ends with has a status, too.
///
/// ```
/// use nebula::{IntoStatus, Status};
///
/// #[derive(Debug, thiserror::Error, IntoStatus)]
/// enum FindError {
///     #[error("There is no user {id}")]
///     #[status(code = 404, name = "not_found", public)]
///     NoUser { id: u64 },
///     #[error("the disk of {0} is broken")]
///     Disk(String),
/// }
///
/// let status = FindError::NoUser { id: 7 }.public();
/// assert_eq!(status.to_string(), "not_found (404): There is no user 7");
///
/// let status = FindError::Disk("db-1".into()).public();
/// assert_eq!((status.code(), status.http()), ("internal_error", 500));
/// assert!(!status.to_string().contains("db-1") && status.reference().is_some());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no status",
    label = "no `IntoStatus`",
    note = "derive it: `#[derive(IntoStatus)]`, with `#[status(code = 404, public)]` on what \
            anybody may see"
)]
pub trait IntoStatus {
    /// All that is known, for logs and for other services.
    fn status(&self) -> Status;

    /// What anybody may see, or `None` if that is nothing: the status if it is public. An error
    /// whose sentence is not for everybody says here what is.
    fn shown(&self) -> Option<Status> {
        Some(self.status()).filter(Status::is_public)
    }

    /// What a stranger gets: what anybody may see, else nothing but this reference.
    fn public_as(&self, reference: Reference) -> Status {
        self.shown().unwrap_or_else(|| Status::withheld(reference))
    }

    /// The same with a new reference at random. What is withheld is logged with it as a warning,
    /// in one line.
    fn public(&self) -> Status {
        self.shown().unwrap_or_else(|| withheld::withhold(&self.status()))
    }
}

/// Itself.
impl IntoStatus for Status {
    fn status(&self) -> Status {
        self.clone()
    }
}

/// Never asked.
impl IntoStatus for Infallible {
    fn status(&self) -> Status {
        match *self {}
    }
}

/// An internal `error`, 500, with the text as its message.
impl IntoStatus for str {
    fn status(&self) -> Status {
        Status::new("error", 500, self.to_owned()).internal()
    }
}

/// As that of a `str`.
impl IntoStatus for String {
    fn status(&self) -> Status {
        self.as_str().status()
    }
}

impl<T: IntoStatus + ?Sized> IntoStatus for &T {
    fn status(&self) -> Status {
        (**self).status()
    }

    fn shown(&self) -> Option<Status> {
        (**self).shown()
    }
}

impl<T: IntoStatus + ?Sized> IntoStatus for Box<T> {
    fn status(&self) -> Status {
        (**self).status()
    }

    fn shown(&self) -> Option<Status> {
        (**self).shown()
    }
}

/// What a derived status takes its words from.
#[diagnostic::on_unimplemented(
    message = "a status says `{Self}` in words, which has none",
    label = "no `Display`",
    note = "implement `Display` (`thiserror` does), or say `#[status(message = \"..\")]`"
)]
pub trait Worded: fmt::Display {}

#[diagnostic::do_not_recommend]
impl<T: fmt::Display + ?Sized> Worded for T {}

/// The words of a value, for generated code.
pub fn worded<T: Worded + ?Sized>(value: &T) -> String {
    value.to_string()
}
