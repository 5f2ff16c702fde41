//! What a call takes over of the trace around it, in the form of headers.

use macula::rpc::Headers;

use super::{TraceContext, random, state};

/// The key of the header that says which span a call belongs to.
pub(crate) const PARENT: &str = "traceparent";
/// The key of the header that others write beside it.
const STATE: &str = "tracestate";

/// The span that these headers name; none if they name none, or a wrong one.
pub(crate) fn named(headers: &Headers) -> Option<TraceContext> {
    headers.get(PARENT)?.parse().ok()
}

/// The headers of a call that is made where `outer` is handed down: what was `said` for it, and a
/// span below the one around it, if there is one. With `own`, the call has that span.
///
/// What was said wins. Where there is no room for more, the call goes without.
#[cold]
#[inline(never)]
pub(crate) fn continued(mut said: Headers, outer: &Headers, own: Option<TraceContext>) -> Headers {
    if said.get(PARENT).is_some() {
        return said;
    }
    let around = named(outer);
    let own = own.or_else(|| Some(around?.child(random)));
    if let Some(own) = own
        && said.insert(PARENT, &own.to_string()).is_ok()
        && around.is_some()
        && said.get(STATE).is_none()
        && let Some(state) = valid_state(outer)
    {
        let _ = said.insert(STATE, state);
    }
    said
}

/// What is handed down inside the span `own`, to which a call with these headers has led.
#[cold]
pub(crate) fn below(headers: &Headers, own: &TraceContext) -> Headers {
    let mut handed = Headers::new();
    // An empty list has room for both.
    let _ = handed.insert(PARENT, &own.to_string());
    if named(headers).is_some()
        && let Some(state) = valid_state(headers)
    {
        let _ = handed.insert(STATE, state);
    }
    handed
}

fn valid_state(headers: &Headers) -> Option<&str> {
    headers.get(STATE).filter(|text| state::is_valid(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        pairs.iter().for_each(|(key, value)| headers.insert(key, value).unwrap());
        headers
    }

    #[test]
    fn a_call_continues_the_trace_around_it() {
        let outer = headers(&[(PARENT, TEXT), (STATE, "a=1"), ("tenant", "acme")]);
        let made = continued(headers(&[("k", "v")]), &outer, None);
        let (around, own) = (named(&outer).unwrap(), named(&made).unwrap());
        assert_eq!(own.trace_id(), around.trace_id());
        assert_ne!(own.span_id(), around.span_id());
        assert_eq!((made.get(STATE), made.get("k"), made.len()), (Some("a=1"), Some("v"), 3));
        let known = TraceContext::root(|| 7);
        let made = continued(Headers::new(), &outer, Some(known));
        assert_eq!((named(&made), made.get(STATE)), (Some(known), Some("a=1")));
        assert_eq!(below(&made, &around), headers(&[(PARENT, TEXT), (STATE, "a=1")]));
    }

    #[test]
    fn what_was_said_wins_and_what_is_wrong_ends() {
        let outer = headers(&[(PARENT, TEXT), (STATE, "a=1")]);
        let said = headers(&[(PARENT, "mine")]);
        assert_eq!(continued(said.clone(), &outer, Some(TraceContext::root(|| 7))), said);
        // Nobody's state goes with another trace, and a wrong one with none.
        let wrong = headers(&[(PARENT, "wrong"), (STATE, "a=1")]);
        assert!(continued(Headers::new(), &wrong, None).is_empty());
        let made = continued(Headers::new(), &wrong, Some(TraceContext::root(|| 7)));
        assert_eq!((made.len(), made.get(STATE)), (1, None));
        let made = continued(Headers::new(), &headers(&[(PARENT, TEXT), (STATE, "A")]), None);
        assert_eq!((made.len(), made.get(STATE)), (1, None));
        let own = continued(headers(&[(STATE, "b=2")]), &outer, None);
        assert_eq!((own.len(), own.get(STATE)), (2, Some("b=2")));
    }

    #[test]
    fn a_call_without_room_goes_without() {
        let keys: Vec<_> = (0..macula::rpc::MAX_HEADERS).map(|at| format!("k{at}")).collect();
        let full: Vec<_> = keys.iter().map(|key| (key.as_str(), "v")).collect();
        let outer = headers(&[(PARENT, TEXT), (STATE, "a=1")]);
        let said = headers(&full);
        assert_eq!(continued(said.clone(), &outer, None), said);
        let said = headers(&full[1..]);
        let made = continued(said, &outer, None);
        assert!(named(&made).is_some() && made.get(STATE).is_none());
    }
}
