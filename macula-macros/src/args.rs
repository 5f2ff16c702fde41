//! The options in `#[service(..)]` and `#[api(..)]`. A bad option is reported and left out; the
//! others still count.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, ExprLit, Lit, LitInt, LitStr, Path, Token};

use crate::recover::Errors;
use crate::selector;
use crate::topology::hidden::is_hidden;

const SERVICE: &str = "global, name, version, on, policy, timeout, max_extensions, max_concurrent, \
                       queue, stragglers, transparent, crate";
const API: &str = "idempotent, timeout, max_extensions, max_concurrent, queue, on, policy, stragglers, \
                   spawn, name, version";
/// The policies that need no more than a name, and nebula's variants of them.
const POLICIES: [(&str, &str); 5] = [
    ("local_first", "LocalFirst"),
    ("round_robin", "RoundRobin"),
    ("random", "Random"),
    ("least_loaded", "LeastLoaded"),
    ("closest", "Closest"),
];
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// How often a call may be extended, at most; the same number as in `macula::rpc`.
const MAX_EXTENSIONS: u32 = 1000;
const NAME_BYTES: usize = 128;

/// What `#[service(..)]` says.
#[derive(Default)]
pub(crate) struct ServiceArgs {
    pub(crate) global: bool,
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitStr>,
    pub(crate) on: Option<LitStr>,
    pub(crate) policy: Option<Ident>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) max_concurrent: Option<u32>,
    pub(crate) queue: Option<u32>,
    pub(crate) stragglers: Option<Stragglers>,
    pub(crate) max_extensions: Option<u32>,
    pub(crate) transparent: bool,
    pub(crate) krate: Option<Path>,
}

/// What `#[api(..)]` says.
#[derive(Default)]
pub(crate) struct ApiArgs {
    pub(crate) idempotent: bool,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) max_extensions: Option<u32>,
    pub(crate) max_concurrent: Option<u32>,
    pub(crate) queue: Option<u32>,
    pub(crate) on: Option<LitStr>,
    /// A variant of nebula's.
    pub(crate) policy: Option<Ident>,
    pub(crate) stragglers: Option<Stragglers>,
    pub(crate) spawn: bool,
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<u32>,
}

/// What becomes of calls left over after a decision.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stragglers {
    Cancel,
    Finish,
}

/// Reads the options of `#[service(..)]`.
pub(crate) fn service(tokens: TokenStream, errors: &mut Errors) -> ServiceArgs {
    let mut args = ServiceArgs::default();
    for option in options(tokens, errors) {
        match option.name.unraw().to_string().as_str() {
            "global" => args.global = option.flag(errors),
            "name" => args.name = option.wire_name(errors),
            "version" => args.version = option.text(errors).filter(|text| release(text, errors)),
            "on" => args.on = option.selector(errors),
            "policy" => args.policy = option.policy(errors),
            "timeout" => args.timeout_ms = option.duration_ms(errors),
            "max_concurrent" => args.max_concurrent = option.positive(errors),
            "queue" => args.queue = option.number(errors).map(|(n, _)| n),
            "stragglers" => args.stragglers = option.stragglers(errors),
            "max_extensions" => args.max_extensions = option.extensions(errors),
            "transparent" => args.transparent = option.flag(errors),
            "crate" => args.krate = option.path(errors),
            _ => option.unknown("service", SERVICE, "api", API, errors),
        }
    }
    args
}

/// Reads the options of `#[api(..)]`.
pub(crate) fn api(tokens: TokenStream, errors: &mut Errors) -> ApiArgs {
    let mut args = ApiArgs::default();
    for option in options(tokens, errors) {
        match option.name.unraw().to_string().as_str() {
            "idempotent" => args.idempotent = option.flag(errors),
            "timeout" => args.timeout_ms = option.duration_ms(errors),
            "max_extensions" => args.max_extensions = option.extensions(errors),
            "max_concurrent" => args.max_concurrent = option.positive(errors),
            "queue" => args.queue = option.number(errors).map(|(n, _)| n),
            "on" => args.on = option.selector(errors),
            "policy" => args.policy = option.policy(errors),
            "stragglers" => args.stragglers = option.stragglers(errors),
            "spawn" => args.spawn = option.flag(errors),
            "name" => args.name = option.wire_name(errors),
            "version" => args.version = option.number(errors).map(|(n, _)| n),
            _ => option.unknown("api", API, "service", SERVICE, errors),
        }
    }
    args
}

/// One option: a word, or a word and a value.
pub(crate) struct Opt {
    pub(crate) name: Ident,
    pub(crate) value: Option<Expr>,
}

/// The options in an attribute. One that cannot be read, or is there twice, is reported and left
/// out.
pub(crate) fn options(tokens: TokenStream, errors: &mut Errors) -> Vec<Opt> {
    let mut found: Vec<Opt> = Vec::new();
    let read = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let mut reported = false;
            match option(input) {
                Ok(option) if found.iter().any(|known| known.name == option.name) => {
                    let message = format!("`{}` is written twice", option.name);
                    errors.at(option.name, message);
                }
                Ok(option) => found.push(option),
                Err(error) => {
                    errors.push(error);
                    reported = true;
                }
            }
            // Whatever is left before the comma is one fault at most.
            while !input.is_empty() && !input.peek(Token![,]) {
                let token: TokenTree = input.parse()?;
                if !std::mem::replace(&mut reported, true) {
                    errors.at(token, "`,` is expected between options");
                }
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(())
    };
    if let Err(error) = read.parse2(tokens) {
        errors.push(error);
    }
    found
}

fn option(input: ParseStream<'_>) -> syn::Result<Opt> {
    if !input.peek(syn::Ident::peek_any) {
        return Err(input.error("an option is expected here, like `name = \"..\"`"));
    }
    let name = input.call(Ident::parse_any)?;
    if input.peek(syn::token::Paren) {
        let message = format!("`{name}` takes no parentheses: write `{name} = ..`");
        return Err(input.error(message));
    }
    let value = match input.parse::<Option<Token![=]>>()? {
        Some(_) if input.is_empty() || input.peek(Token![,]) => {
            return Err(syn::Error::new(name.span(), format!("`{name} =` lacks its value")));
        }
        Some(_) => Some(input.parse()?),
        None => None,
    };
    Ok(Opt { name, value })
}

impl Opt {
    pub(crate) fn flag(&self, errors: &mut Errors) -> bool {
        if let Some(value) = &self.value {
            errors.at(value, format!("`{0}` takes no value: write just `{0}`", self.name));
        }
        true
    }

    pub(crate) fn literal(&self) -> Option<&Lit> {
        let mut value = self.value.as_ref()?;
        while let Expr::Group(group) = value {
            value = &group.expr;
        }
        match value {
            Expr::Lit(ExprLit { lit, .. }) => Some(lit),
            _ => None,
        }
    }

    fn text(&self, errors: &mut Errors) -> Option<LitStr> {
        if let Some(Lit::Str(text)) = self.literal() {
            return Some(text.clone());
        }
        let example = match self.name.unraw().to_string().as_str() {
            "timeout" => "2s",
            "on" => "&db !@backup",
            "version" => "1.2.0",
            "stragglers" => "finish",
            "policy" => "round_robin",
            "crate" => "my::nebula",
            _ => "users",
        };
        self.lacks(&format!("a text: write `{} = \"{example}\"`", self.name), errors);
        None
    }

    fn number(&self, errors: &mut Errors) -> Option<(u32, LitInt)> {
        match self.literal() {
            Some(Lit::Int(number)) => match number.base10_parse() {
                Ok(value) => Some((value, number.clone())),
                Err(_) => {
                    let most = u32::MAX;
                    errors.at(number, format!("`{}` may be at most {most}", self.name));
                    None
                }
            },
            _ => {
                self.lacks(&format!("a whole number: write `{} = 2`", self.name), errors);
                None
            }
        }
    }

    pub(crate) fn lacks(&self, what: &str, errors: &mut Errors) {
        let message = format!("`{}` takes {what}", self.name);
        match &self.value {
            Some(value) => errors.at(value, message),
            None => errors.at(&self.name, message),
        }
    }

    fn positive(&self, errors: &mut Errors) -> Option<u32> {
        let (value, literal) = self.number(errors)?;
        if value == 0 {
            errors.at(literal, format!("`{}` must be more than zero", self.name));
            return None;
        }
        Some(value)
    }

    fn extensions(&self, errors: &mut Errors) -> Option<u32> {
        let (value, literal) = self.number(errors)?;
        if value > MAX_EXTENSIONS {
            let message = format!(
                "`{}` may be at most {MAX_EXTENSIONS}: for a call that takes longer, raise its \
                 timeout",
                self.name,
            );
            errors.at(literal, message);
            return None;
        }
        Some(value)
    }

    fn wire_name(&self, errors: &mut Errors) -> Option<LitStr> {
        let text = self.text(errors)?;
        let name = text.value();
        let fault = if name.is_empty() {
            "a name may not be empty".to_owned()
        } else if name.len() > NAME_BYTES {
            format!("a name may be {NAME_BYTES} bytes long, this one is {}", name.len())
        } else if let Some(bad) = name.chars().find(|c| c.is_whitespace() || is_hidden(*c)) {
            format!("a name may not hold {bad:?}")
        } else if name.contains('/') {
            "a name may not hold `/`: it parts service and method on the wire".to_owned()
        } else {
            return Some(text);
        };
        errors.at(text, fault);
        None
    }

    fn selector(&self, errors: &mut Errors) -> Option<LitStr> {
        let text = self.text(errors)?;
        match selector::check_text(&text.value()) {
            Ok(()) => Some(text),
            Err(fault) => {
                errors.at(text, fault);
                None
            }
        }
    }

    pub(crate) fn path(&self, errors: &mut Errors) -> Option<Path> {
        let text = self.text(errors)?;
        // The path takes the literal's span, so that a path to nowhere is reported there.
        match text.parse_with(Path::parse_mod_style) {
            Ok(path) => Some(path),
            Err(_) => {
                errors.at(text, "`crate` takes a path: write `crate = \"my::nebula\"`");
                None
            }
        }
    }

    fn stragglers(&self, errors: &mut Errors) -> Option<Stragglers> {
        let text = self.text(errors)?;
        match text.value().as_str() {
            "cancel" => Some(Stragglers::Cancel),
            "finish" => Some(Stragglers::Finish),
            _ => {
                errors.at(text, "`stragglers` is `\"cancel\"` or `\"finish\"`");
                None
            }
        }
    }

    fn policy(&self, errors: &mut Errors) -> Option<Ident> {
        let text = self.text(errors)?;
        let name = text.value();
        if let Some((_, variant)) = POLICIES.iter().find(|(known, _)| *known == name) {
            return Some(Ident::new(variant, text.span()));
        }
        let fault = if name == "sticky" {
            "`sticky` needs a key, which differs from call to call: write \
             `.policy(Policy::sticky(key))` on the call"
                .to_owned()
        } else {
            let known = POLICIES.map(|(known, _)| format!("`\"{known}\"`")).join(", ");
            format!("there is no policy `{name}`; known are {known}")
        };
        errors.at(text, fault);
        None
    }

    fn duration_ms(&self, errors: &mut Errors) -> Option<u64> {
        let text = self.text(errors)?;
        match milliseconds(&text.value()) {
            Ok(duration) => Some(duration),
            Err(fault) => {
                errors.at(text, fault);
                None
            }
        }
    }

    fn unknown(&self, at: &str, known: &str, other: &str, others: &str, errors: &mut Errors) {
        let name = self.name.to_string();
        let hint = match others.split(", ").any(|known| known == name) {
            true => format!(" (`{name}` belongs in `#[{other}(..)]`)"),
            false => String::new(),
        };
        errors.at(
            &self.name,
            format!("unknown option `{name}` of `#[{at}]`; supported are: {known}{hint}"),
        );
    }
}

fn milliseconds(text: &str) -> Result<u64, &'static str> {
    const FORM: &str = "a time is a whole number and `ms`, `s`, `m` or `h`, like `\"2s\"`";
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        _ => return Err(FORM),
    };
    if number.is_empty() {
        return Err(FORM);
    }
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)) {
        Some(0) => Err("a timeout of zero would fail every call"),
        Some(time) if time <= DAY_MS => Ok(time),
        _ => Err("a timeout may be at most 24 hours"),
    }
}

fn release(text: &LitStr, errors: &mut Errors) -> bool {
    let value = text.value();
    let numbers = value.split(['-', '+']).next().unwrap_or_default();
    let parts = numbers.split('.').collect::<Vec<_>>();
    let fine = parts.len() == 3
        && parts.iter().all(|part| part.parse::<u32>().is_ok_and(|n| n.to_string() == **part));
    if !fine {
        errors.at(text, "a version has three numbers, like `\"1.2.0\"`");
    }
    fine
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn faults(errors: Errors) -> String {
        errors.into_tokens().to_string()
    }

    fn api_fault(tokens: TokenStream) -> String {
        let mut errors = Errors::default();
        api(tokens, &mut errors);
        assert_eq!(errors.count(), 1, "{}", faults(errors));
        faults(errors)
    }

    #[test]
    fn every_option_is_read() {
        let mut errors = Errors::default();
        let args = api(
            quote!(
                idempotent,
                timeout = "2s",
                max_concurrent = 64,
                queue = 256,
                on = "&db !@backup",
                stragglers = "finish",
                spawn,
                name = "store",
                version = 2,
            ),
            &mut errors,
        );
        assert_eq!(errors.count(), 0, "{}", faults(errors));
        assert!(args.idempotent && args.spawn);
        assert_eq!((args.timeout_ms, args.max_concurrent), (Some(2000), Some(64)));
        assert_eq!((args.queue, args.version), (Some(256), Some(2)));
        assert_eq!(args.stragglers, Some(Stragglers::Finish));
        assert_eq!(args.on.map(|on| on.value()).as_deref(), Some("&db !@backup"));
        assert_eq!(args.name.map(|name| name.value()).as_deref(), Some("store"));

        let mut errors = Errors::default();
        let args = service(
            quote!(
                global,
                name = "u",
                version = "1.2.0-rc.1",
                on = "*",
                transparent,
                crate = "my::nebula"
            ),
            &mut errors,
        );
        assert_eq!(errors.count(), 0, "{}", faults(errors));
        assert!(args.global && args.transparent && args.krate.is_some());
    }

    #[test]
    fn one_bad_option_does_not_take_the_others_with_it() {
        let mut errors = Errors::default();
        let args = api(quote!(max_concurrent = 0, "x", timeout(2), bogus, idempotent), &mut errors);
        assert!(args.idempotent);
        assert_eq!(errors.count(), 4, "{}", faults(errors));
    }

    #[test]
    fn faults_say_what_to_write() {
        for (tokens, says) in [
            (quote!(bogus), "unknown option `bogus` of `#[api]`; supported are: idempotent"),
            (quote!(global), "belongs in `#[service(..)]`"),
            (quote!(timeout), "write `timeout = \\\"2s\\\"`"),
            (quote!(timeout = 2), "write `timeout = \\\"2s\\\"`"),
            (quote!(timeout = "2"), "a whole number and `ms`"),
            (quote!(timeout = "0s"), "zero"),
            (quote!(timeout = "25h"), "24 hours"),
            (quote!(timeout = "99999999999999999999h"), "24 hours"),
            (quote!(max_concurrent = 0), "more than zero"),
            (quote!(queue = -1), "a whole number"),
            (quote!(queue = 5_000_000_000), "at most 4294967295"),
            (quote!(queue = "5"), "a whole number"),
            (quote!(max_extensions = 1001), "at most 1000: for a call that takes longer"),
            (quote!(max_extensions = "3"), "a whole number"),
            (quote!(max_extensions), "write `max_extensions = 2`"),
            (quote!(idempotent = true), "takes no value"),
            (quote!(idempotent, idempotent), "written twice"),
            (quote!(stragglers = "drop"), "`\\\"cancel\\\"` or"),
            (quote!(policy = "sticky"), "write `.policy(Policy::sticky(key))` on the call"),
            (quote!(policy = "fastest"), "no policy `fastest`; known are `\\\"local_first\\\"`, "),
            (quote!(policy = round_robin), "write `policy = \\\"round_robin\\\"`"),
            (quote!(policy), "write `policy = \\\"round_robin\\\"`"),
            (quote!(name = ""), "empty"),
            (quote!(name = "a/b"), "may not hold `/`"),
            (quote!(name = "a b"), "may not hold ' '"),
            (quote!(name = "a\u{200b}"), r"may not hold '\\u{200b}'"),
            (quote!(name =), "lacks its value"),
            (quote!(on = "db"), "write `&db` for a tag or `@db` for a node"),
            (quote!(idempotent spawn), "`,` is expected"),
        ] {
            let fault = api_fault(tokens);
            assert!(fault.contains(says), "{says:?} is not in {fault}");
        }
    }

    #[test]
    fn times_have_a_unit_and_a_bound() {
        assert_eq!(milliseconds("250ms"), Ok(250));
        assert_eq!(milliseconds("1m"), Ok(60_000));
        assert_eq!(milliseconds("24h"), Ok(DAY_MS));
        for bad in ["", "s", "1.5s", "-1s", "1 s", "1d", "86400001ms", "0h"] {
            assert!(milliseconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_have_three_numbers() {
        for (version, fine) in [
            ("1.2.0", true),
            ("0.1.0+build.7", true),
            ("1.2", false),
            ("01.2.0", false),
            ("", false),
        ] {
            let mut errors = Errors::default();
            let args = service(quote!(version = #version), &mut errors);
            assert_eq!((args.version.is_some(), errors.count() == 0), (fine, fine), "{version}");
        }
    }
}
