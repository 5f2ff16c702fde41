//! In which form the arguments and the result of a call travel.
//!
//! Protocol: a call that says nothing is in the form of the mesh, postcard. The header
//! `nebula-codec: json` says that its body is a JSON array of the arguments; the answer is then a JSON
//! object, `{"Ok": value}` or, where the method returned its own error, `{"Err": error}`.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use macula::rpc::{Answer, Fault, Headers};
use macula::text::Safe;

use super::input::contained;
use super::method::Method;
use super::shape::ShapeOf;
use super::whole;
use super::wire::{Args as _, written};

/// The header that names the form.
pub(crate) const HEADER: &str = "nebula-codec";
/// Its value for JSON.
pub(crate) const JSON: &str = "json";

/// How much of a name that is not known is repeated, in bytes.
const REPEATED: usize = 64;

/// The form of a call.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Codec {
    /// That of generated clients.
    #[default]
    Postcard,
    /// That of tools, which do not know the types.
    #[cfg(feature = "json")]
    Json,
}

impl Codec {
    /// The form that the headers name.
    ///
    /// # Errors
    ///
    /// This node cannot read it: nothing has run.
    pub(crate) fn of(headers: &Headers) -> Result<Self, Fault> {
        match headers.get(HEADER) {
            None => Ok(Self::Postcard),
            #[cfg(feature = "json")]
            Some(JSON) => Ok(Self::Json),
            Some(name) => Err(Fault::Malformed(unread(name))),
        }
    }

    /// The arguments of a call.
    pub(super) fn args<M: Method>(self, bytes: &bytes::Bytes) -> Result<M::Args, String> {
        match self {
            Self::Postcard => contained(|| whole::read(bytes, M::Args::decode)),
            #[cfg(feature = "json")]
            Self::Json => contained(|| M::Args::decode_json(bytes)),
        }
    }

    /// What its caller is sent, with these headers beside it. Of its own it adds none.
    pub(super) fn answer<M: Method>(
        self,
        reply: &M::Reply,
        headers: Headers,
    ) -> Result<Answer, Fault> {
        let body = written(|out| {
            contained(|| match self {
                Self::Postcard => M::Shape::encode(reply, out),
                #[cfg(feature = "json")]
                Self::Json => M::Shape::encode_json(reply, out),
            })
        });
        body.map(|body| Answer { body, headers }).map_err(Fault::Unwritable)
    }
}

/// Why arguments in the form of this name are not read.
fn unread(name: &str) -> String {
    match name {
        JSON => {
            "they are JSON, and the program of this node is built without the feature `json` of \
                 nebula: add it there"
                .to_owned()
        }
        name => {
            let name = name.get(..name.floor_char_boundary(REPEATED)).unwrap_or_default();
            format!("they are in the form `{}`, which this node does not know", Safe(name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Result<Codec, Fault> {
        let mut headers = Headers::new();
        headers.insert(HEADER, name).unwrap();
        Codec::of(&headers)
    }

    #[test]
    fn a_form_is_known_or_refused() {
        assert_eq!(Codec::of(&Headers::new()), Ok(Codec::Postcard));
        #[cfg(feature = "json")]
        assert_eq!(of("json"), Ok(Codec::Json));
        let fault = of(&"x\u{7}".repeat(100)).unwrap_err();
        let Fault::Malformed(text) = fault else { panic!("{fault:?}") };
        assert!(text.starts_with("they are in the form `x\\u{7}") && text.len() < 700, "{text}");
        assert!(unread("json").contains("without the feature `json`"));
    }
}
