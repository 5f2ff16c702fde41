#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
//! The status itself.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use macula::text::Safe;

use super::reference::Reference;
use super::table;

/// How long a code may be, in bytes.
pub(super) const MAX_CODE: usize = 64;
/// The code of what is withheld.
pub(super) const INTERNAL: &str = "internal_error";

/// What became of a request: a code for machines, an HTTP number, a sentence for people, and data.
///
/// `Display` is one line, the code, the number and the sentence, with everything that a terminal
/// must not see escaped: `not_found (404): There is no user 7`. A withheld one adds its reference:
/// `internal_error (500): Internal error, reference 00c0ffee...`. `{:#}` adds a line for each of
/// the data.
///
/// A status is public or internal. An internal one is for logs and for the services of the cluster;
/// [`IntoStatus::public`](super::IntoStatus::public) makes of it what a stranger may see. One
/// pointer wide.
///
/// ```
/// use nebula::Status;
///
/// let status = Status::not_found("There is no user 7").with("user", 7);
/// assert_eq!((status.code(), status.http()), ("not_found", 404));
/// assert_eq!(status.to_string(), "not_found (404): There is no user 7");
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Status(pub(super) Box<Parts>);

/// What a status consists of. The code is a code, the number one of HTTP's.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Parts {
    pub(super) code: Cow<'static, str>,
    pub(super) http: u16,
    pub(super) message: Cow<'static, str>,
    pub(super) data: BTreeMap<String, String>,
    pub(super) reference: Option<Reference>,
    pub(super) internal: bool,
}

impl Status {
    /// A public status with a code of one's own. See [`builtin`](Self::builtin) for the common
    /// ones.
    ///
    /// A code has up to 64 letters `a` to `z`, digits, `_`, `-` and `.`: what else is in it is
    /// changed to that (`Not found` is `not_found`), what is over is cut off, and an empty one is
    /// `unknown`. A number that is not in 100..=599 is 500. An empty message is the usual one of the
    /// code, or the code itself.
    pub fn new(
        code: impl Into<Cow<'static, str>>,
        http: u16,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let code = as_code(code.into());
        let mut message = message.into();
        if message.is_empty() {
            message = table::text(&code).map_or_else(|| code.clone(), Cow::Borrowed);
        }
        let http = if is_http(http) { http } else { 500 };
        let data = BTreeMap::new();
        Self(Box::new(Parts { code, http, message, data, reference: None, internal: false }))
    }

    /// What a stranger gets instead of a status that is not public: nothing but the reference.
    pub fn withheld(reference: Reference) -> Self {
        let mut status = Self::new(INTERNAL, 500, "");
        status.0.reference = Some(reference);
        status
    }

    /// Adds to the data; of two values of one key the later one counts. Data are texts.
    #[must_use = "the status is changed in what is returned"]
    pub fn with(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.0.data.insert(key.into(), value.to_string());
        self
    }

    /// Marks the status as not for strangers.
    #[must_use = "the status is marked in what is returned"]
    pub fn internal(mut self) -> Self {
        self.0.internal = true;
        self
    }

    /// The same with another sentence.
    pub(super) fn saying(mut self, message: impl fmt::Display) -> Self {
        self.0.message = message.to_string().into();
        self
    }

    /// What machines tell statuses apart by: `not_found`.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The number that HTTP has for it, in 100..=599.
    pub fn http(&self) -> u16 {
        self.0.http
    }

    /// The sentence for people. It may come from another node: `Display` of the status escapes it.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What belongs to it, by key.
    pub fn data(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.data.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The value of one key of its data.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.data.get(key).map(String::as_str)
    }

    /// Under which the log of the node that withheld the details has them. `None` if nothing was
    /// withheld.
    pub fn reference(&self) -> Option<Reference> {
        self.0.reference
    }

    /// Whether a stranger may see it: it is not marked as internal, and if it is an
    /// `internal_error`, then one whose details are withheld already.
    pub fn is_public(&self) -> bool {
        !self.0.internal && (self.0.code != INTERNAL || self.0.reference.is_some())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { code, http, message, data, reference, .. } = &*self.0;
        write!(f, "{code} ({http}): {}", Safe(message))?;
        if let Some(reference) = reference {
            write!(f, ", reference {reference}")?;
        }
        if f.alternate() {
            for (key, value) in data {
                write!(f, "\n  {}: {}", Safe(key), Safe(value))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { code, http, message, data, reference, internal } = &*self.0;
        f.debug_struct("Status")
            .field("code", code)
            .field("http", http)
            .field("message", message)
            .field("data", data)
            .field("reference", reference)
            .field("internal", internal)
            .finish()
    }
}

impl std::error::Error for Status {}

/// Whether a text can be a code.
pub(super) fn is_code(text: &str) -> bool {
    (1..=MAX_CODE).contains(&text.len()) && text.chars().all(is_in_code)
}

/// Whether HTTP has such numbers.
pub(super) fn is_http(number: u16) -> bool {
    (100..=599).contains(&number)
}

fn is_in_code(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '.')
}

fn as_code(text: Cow<'static, str>) -> Cow<'static, str> {
    if is_code(&text) {
        return text;
    }
    let letters = text.chars().map(|c| c.to_ascii_lowercase()).take(MAX_CODE);
    let code: String = letters.map(|c| if is_in_code(c) { c } else { '_' }).collect();
    if code.is_empty() { "unknown".into() } else { code.into() }
}
