//! What is written beside the arguments of a call.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use macula::rpc::{HeaderError, Headers};

use super::options::Options;
use crate::trace::{TraceContext, handed};

/// The headers that somebody wrote on a call or on a client, and what was wrong with the first that
/// cannot be one. Most have none, which costs a pointer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written(Option<Box<Inner>>);

#[derive(Clone, Debug, Default)]
struct Inner {
    headers: Headers,
    fault: Option<(String, HeaderError)>,
    /// The span of the call, if it shows one.
    span: Option<TraceContext>,
}

impl Written {
    pub(crate) fn insert(&mut self, key: &str, value: &str) {
        let inner = self.0.get_or_insert_default();
        if let Err(fault) = inner.headers.insert(key, value) {
            inner.fault.get_or_insert_with(|| (key.chars().take(64).collect(), fault));
        }
    }

    /// What was written under this key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.headers()?.get(key)
    }

    /// The call has this span, which its headers say unless they say another one.
    pub(crate) fn set_span(&mut self, span: TraceContext) {
        self.0.get_or_insert_default().span = Some(span);
    }

    #[inline]
    fn headers(&self) -> Option<&Headers> {
        self.0.as_ref().map(|inner| &inner.headers)
    }

    fn fault(&self) -> Option<String> {
        let (key, fault) = self.0.as_ref()?.fault.as_ref()?;
        Some(format!("the header `{}`: {fault}", key.escape_debug()))
    }
}

/// What goes with a call: the headers of its client, over them its own, and under both the trace
/// that is handed down to it.
#[inline]
pub(crate) fn headers(client: &Options, call: &Options, outer: &Headers) -> Headers {
    match client.is_plain() && call.is_plain() && outer.is_empty() {
        true => Headers::new(),
        false => merged(client.written(), call.written(), outer),
    }
}

#[inline(never)]
fn merged(client: Option<&Written>, call: Option<&Written>, outer: &Headers) -> Headers {
    let said = match (client.and_then(Written::headers), call.and_then(Written::headers)) {
        (None, None) => Headers::new(),
        (Some(headers), None) | (None, Some(headers)) => headers.clone(),
        (Some(client), Some(call)) => both(client, call).unwrap_or_else(|_| call.clone()),
    };
    let own = call.and_then(|call| call.0.as_ref()?.span);
    match outer.is_empty() && own.is_none() {
        true => said,
        false => handed::continued(said, outer, own),
    }
}

/// Why the headers of a call cannot be sent, if they cannot.
#[inline]
pub(crate) fn fault(client: &Options, call: &Options) -> Option<String> {
    if client.is_plain() && call.is_plain() {
        return None;
    }
    wrong(client.written(), call.written())
}

#[cold]
fn wrong(client: Option<&Written>, call: Option<&Written>) -> Option<String> {
    let alone = client.and_then(Written::fault).or_else(|| call?.fault());
    alone.or_else(|| {
        let together = both(client?.headers()?, call?.headers()?);
        Some(together.err()?.to_string())
    })
}

fn both(client: &Headers, call: &Headers) -> Result<Headers, HeaderError> {
    let mut headers = client.clone();
    call.iter().try_for_each(|(key, value)| headers.insert(key, value))?;
    Ok(headers)
}
