#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! The statuses that every service knows.

use std::borrow::Cow;
use std::fmt;

use super::value::Status;

/// A row of the table: code, HTTP number, sentence.
pub(super) type Row = (&'static str, u16, &'static str);

/// `plain` ones take their sentence, `named` ones what they are about, `fixed` ones nothing.
macro_rules! table {
    (
        fixed { $($fixed:ident $fixed_http:literal $fixed_text:literal,)* }
        plain { $($plain:ident $plain_http:literal $plain_text:literal,)* }
        named { $($named:ident $named_http:literal $named_text:literal $key:literal $form:literal,)* }
    ) => {
        pub(super) const ROWS: &[Row] = &[
            $((stringify!($fixed), $fixed_http, $fixed_text),)*
            $((stringify!($plain), $plain_http, $plain_text),)*
            $((stringify!($named), $named_http, $named_text),)*
        ];

        /// The statuses that every service knows.
        impl Status {
            $(
                #[doc = concat!(
                    "The built-in `", stringify!($fixed), "`, ", $fixed_http, ": *", $fixed_text,
                    "*."
                )]
                pub fn $fixed() -> Self {
                    Self::new(stringify!($fixed), $fixed_http, $fixed_text)
                }
            )*
            $(
                #[doc = concat!(
                    "The built-in `", stringify!($plain), "`, ", $plain_http, ", with a sentence \
                     of its own; *", $plain_text, "* if that is empty."
                )]
                pub fn $plain(message: impl Into<Cow<'static, str>>) -> Self {
                    Self::new(stringify!($plain), $plain_http, message)
                }
            )*
            $(
                #[doc = concat!(
                    "The built-in `", stringify!($named), "`, ", $named_http, ": the sentence \
                     names what is meant, and so does `", $key, "` in the data."
                )]
                pub fn $named(name: impl fmt::Display) -> Self {
                    Self::new(stringify!($named), $named_http, format!($form, name))
                        .with($key, name)
                }
            )*
        }
    };
}

table! {
    fixed {
        ok 200 "Success",
        created 201 "Created",
        deleted 200 "Deleted",
    }
    plain {
        bad_request 400 "Bad request",
        unauthorized 401 "Unauthorized",
        forbidden 403 "Forbidden",
        not_found 404 "Not found",
        timeout 408 "Timeout",
        conflict 409 "Conflict",
        too_large 413 "Too large",
        too_many_requests 429 "Too many requests",
        cancelled 499 "Cancelled",
        internal_error 500 "Internal error",
        not_implemented 501 "Not implemented",
        service_not_available 503 "Service not available",
    }
    named {
        field_invalid 400 "A field is invalid" "field" "Field `{}` is invalid",
        field_missing 400 "A field is missing" "field" "Field `{}` is missing",
        field_unknown 400 "A field is unknown" "field" "Field `{}` is unknown",
        parameter_invalid 400 "A parameter is invalid" "parameter" "Parameter `{}` is invalid",
        parameter_missing 400 "A parameter is missing" "parameter" "Parameter `{}` is missing",
        resource_invalid 400 "The resource is invalid" "resource" "Resource `{}` is invalid",
        method_not_allowed 405 "Method not allowed" "method" "Method `{}` is not allowed",
        service_not_found 409 "Service not found" "service" "Service `{}` is not found",
    }
}

impl Status {
    /// A status of the built-in table by its code, with its usual sentence; `None` for a code that
    /// the table does not have.
    ///
    /// ```
    /// use nebula::Status;
    ///
    /// let status = Status::builtin("conflict").unwrap();
    /// assert_eq!(status.to_string(), "conflict (409): Conflict");
    /// ```
    pub fn builtin(code: &str) -> Option<Self> {
        let (code, http, text) = row(code)?;
        Some(Self::new(*code, *http, *text))
    }
}

/// The usual sentence of a code.
pub(super) fn text(code: &str) -> Option<&'static str> {
    row(code).map(|(_, _, text)| *text)
}

fn row(code: &str) -> Option<&'static Row> {
    ROWS.iter().find(|(known, _, _)| *known == code)
}
