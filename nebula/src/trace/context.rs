//! The header `traceparent` of W3C Trace Context: <https://www.w3.org/TR/trace-context/>.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use std::fmt;
use std::str::FromStr;

use super::Hex;

/// Characters of a header of version 00.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;
/// The ids of the trace were drawn at random.
const RANDOM: u8 = 2;
/// A set flag that is not known is not passed on.
const FLAGS: u8 = SAMPLED | RANDOM;

/// The place of one span in a trace: which trace, which span, and whether it is recorded.
///
/// It is read from and written as the header `traceparent` of W3C Trace Context, in version 00;
/// headers of later versions are read as far as they are known here.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// The first span of a new trace, which is recorded. `random` gives bits that nobody else draws.
    pub fn root(mut random: impl FnMut() -> u64) -> Self {
        let trace = (u128::from(random()) << 64 | u128::from(random())).max(1);
        let span = random().max(1);
        Self { trace: trace.to_be_bytes(), span: span.to_be_bytes(), flags: FLAGS }
    }

    /// A span below this one, in the same trace and recorded if this one is. Its id is another one.
    pub fn child(&self, mut random: impl FnMut() -> u64) -> Self {
        let parent = u64::from_be_bytes(self.span);
        let mut span = random();
        // Zero is no id, and the parent has its own.
        while span == 0 || span == parent {
            span = span.wrapping_add(1);
        }
        Self { span: span.to_be_bytes(), ..*self }
    }

    /// The span with these ids; none if one of them is all zeros.
    pub fn from_ids(trace: [u8; 16], span: [u8; 8], sampled: bool) -> Option<Self> {
        let valid = trace != [0; 16] && span != [0; 8];
        valid.then_some(Self { trace, span, flags: if sampled { SAMPLED } else { 0 } })
    }

    /// What all spans of the trace have in common. Not all zeros.
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace
    }

    /// The id of the span. Not all zeros.
    pub fn span_id(&self) -> [u8; 8] {
        self.span
    }

    /// Whether whoever began the trace may have recorded it.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    pub(crate) fn trace_hex(&self) -> impl fmt::Display {
        Hex(&self.trace)
    }

    pub(crate) fn span_hex(&self) -> impl fmt::Display {
        Hex(&self.span)
    }
}

/// As the header is written: `00-`, the trace, the span and the flags.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_hex(), self.span_hex(), self.flags)
    }
}

impl FromStr for TraceContext {
    type Err = BadTraceContext;

    fn from_str(text: &str) -> Result<Self, BadTraceContext> {
        read(text.as_bytes()).ok_or(BadTraceContext)
    }
}

/// A text that is no `traceparent`. The trace is not continued.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "this is no `traceparent`: write `00-`, 32 hexadecimal digits in lower case, `-`, 16, `-` and \
     2, and neither id all zeros"
)]
pub struct BadTraceContext;

fn read(text: &[u8]) -> Option<TraceContext> {
    let (known, more) = text.split_at_checked(LENGTH)?;
    let [version] = hex(known.get(..2)?)?;
    let fits = match version {
        0xff => false,
        0 => more.is_empty(),
        // What a later version adds comes after another dash.
        _ => more.first().is_none_or(|byte| *byte == b'-'),
    };
    let dashes = [2, 35, 52].into_iter().all(|at| known.get(at) == Some(&b'-'));
    if !fits || !dashes {
        return None;
    }
    let [flags] = hex(known.get(53..55)?)?;
    let (trace, span) = (hex(known.get(3..35)?)?, hex(known.get(36..52)?)?);
    let read = TraceContext::from_ids(trace, span, false)?;
    Some(TraceContext { flags: flags & FLAGS, ..read })
}

/// Twice as many digits in lower case.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let mut bytes = [0; N];
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read(text: &str) -> Option<TraceContext> {
        text.parse().ok()
    }

    #[test]
    fn a_header_is_read_as_it_is_written() {
        let read = read(TEXT).unwrap();
        assert_eq!((read.to_string(), read.is_sampled()), (TEXT.into(), true));
        assert_eq!(read.trace_id()[..2], [0x0a, 0xf7]);
        assert_eq!(read.span_id()[..2], [0xb7, 0xad]);
        assert_eq!((size_of::<TraceContext>(), align_of::<TraceContext>()), (25, 1));
    }

    #[test]
    fn what_the_specification_forbids_is_refused() {
        let zero_trace = TEXT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32));
        let zero_span = TEXT.replace("b7ad6b7169203331", &"0".repeat(16));
        let wrong = [
            zero_trace,
            zero_span,
            TEXT.to_uppercase(),
            TEXT.replacen("00-", "ff-", 1),
            TEXT.replacen("00-", "0x-", 1),
            TEXT.replacen('-', "_", 1),
            format!("{TEXT}-"),
            format!("{TEXT}-00"),
            format!(" {TEXT}"),
            TEXT[..54].to_owned(),
            String::new(),
            "ä".repeat(40),
        ];
        for text in wrong {
            assert_eq!(read(&text), None, "{text}");
        }
    }

    #[test]
    fn later_versions_are_read_by_their_beginning() {
        let known = read(TEXT);
        let later = TEXT.replacen("00-", "01-", 1);
        assert_eq!(read(&later), known);
        assert_eq!(read(&format!("{later}-what comes then")), known);
        assert_eq!(read(&format!("{later}x")), None);
        assert_eq!(read(&later[..54]), None);
        // Flags that are not known are not passed on, and neither is the version.
        let flags = later.replace("-01", "-ff");
        assert_eq!(read(&flags.replacen("ff-", "01-", 1)).unwrap().to_string()[53..], *"03");
        assert!(!read(&TEXT.replace("-01", "-00")).unwrap().is_sampled());
    }

    proptest! {
        #[test]
        fn whatever_is_drawn_makes_a_valid_trace(bits in prop::array::uniform4(any::<u64>())) {
            for bits in [bits, [0; 4]] {
                let mut drawn = bits.into_iter();
                let mut random = || drawn.next().unwrap();
                let root = TraceContext::root(&mut random);
                let child = root.child(&mut random);
                prop_assert_eq!(root.to_string().parse(), Ok(root));
                prop_assert_eq!(child.to_string().parse(), Ok(child));
                prop_assert_eq!(root.trace_id(), child.trace_id());
                prop_assert_ne!(root.span_id(), child.span_id());
                prop_assert!(root.is_sampled() && child.is_sampled());
            }
        }

        #[test]
        fn ids_come_back(trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), sampled: bool) {
            let Some(known) = TraceContext::from_ids(trace, span, sampled) else { return Ok(()) };
            prop_assert_eq!(known.to_string().parse(), Ok(known));
            let child = known.child(|| u64::from_be_bytes(span));
            prop_assert_eq!((child.trace_id(), child.is_sampled()), (trace, sampled));
            prop_assert_ne!(child.span_id(), span);
        }

        #[test]
        fn no_text_is_read_that_would_not_be_written_so(text in "[0-9a-f-]{50,60}|.{0,70}") {
            if let Some(read) = read(&text) {
                prop_assert_eq!(&read.to_string()[3..53], &text[3..53]);
            }
        }
    }
}
