#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
//! A status as serde writes and reads it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use super::bytes::MalformedStatus;
use super::reference::Reference;
use super::value::{Parts, Status, is_code, is_http};

/// Where people read, what says nothing is left out: `{"code":"not_found","http":404,"message":"Not
/// found"}`.
#[derive(serde::Serialize)]
struct Readable<'a> {
    code: &'a str,
    http: u16,
    message: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    data: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<Reference>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    internal: bool,
}

/// Elsewhere each field has its place.
#[derive(serde::Serialize)]
struct Compact<'a> {
    code: &'a str,
    http: u16,
    message: &'a str,
    data: &'a BTreeMap<String, String>,
    reference: Option<Reference>,
    internal: bool,
}

/// What is read, of either form.
#[derive(serde::Deserialize)]
struct Read {
    code: String,
    http: u16,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: BTreeMap<String, String>,
    #[serde(default)]
    reference: Option<Reference>,
    #[serde(default)]
    internal: bool,
}

/// All of it, an internal one too: [`public`](super::IntoStatus::public) makes what leaves the
/// cluster.
impl Serialize for Status {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Parts { code, http, message, data, reference, internal } = &*self.0;
        let (code, message) = (&**code, &**message);
        let (http, reference, internal) = (*http, *reference, *internal);
        if to.is_human_readable() {
            Readable { code, http, message, data, reference, internal }.serialize(to)
        } else {
            Compact { code, http, message, data, reference, internal }.serialize(to)
        }
    }
}

/// # Errors
///
/// A code or a number that [`Status::new`] would have to change.
impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Read { code, http, message, data, reference, internal } = Read::deserialize(from)?;
        if !is_code(&code) {
            return Err(D::Error::custom(MalformedStatus::Code));
        }
        if !is_http(http) {
            return Err(D::Error::custom(MalformedStatus::Http(http)));
        }
        let (code, message) = (Cow::Owned(code), Cow::Owned(message));
        let parts = Parts { code, http, message, data, reference, internal };
        Ok(Self(Box::new(parts)))
    }
}
