//! The options in `#[status(..)]`, where they may stand, and what they may say.

use proc_macro2::Ident;
use syn::ext::IdentExt as _;
use syn::{Attribute, Lit, LitStr, Meta, Path};

use crate::args::{self, Opt};
use crate::recover::Errors;

/// What strangers get for all that is withheld.
pub(super) const WITHHELD: &str = "internal_error";

const OF_CASE: &str = "code, public, name, message, transparent";
const OF_TYPE: &str = "crate";
const OF_FIELD: &str = "data";
/// As in nebula.
const CODE_BYTES: usize = 64;
/// So long may a key be that nebula keeps when it cuts a status.
const KEY_BYTES: usize = 64;

/// The options in one `#[status(..)]`.
pub(super) struct Options(Vec<Opt>);

/// Those of a variant, or of a struct.
#[derive(Default)]
pub(super) struct OfCase {
    pub(super) http: Option<u16>,
    pub(super) public: Option<Ident>,
    pub(super) name: Option<LitStr>,
    pub(super) message: Option<LitStr>,
    pub(super) transparent: Option<Ident>,
}

/// Those of a field: the word `data`, and the key if it says one.
#[derive(Default)]
pub(super) struct OfField {
    pub(super) data: Option<(Ident, Option<LitStr>)>,
}

impl Options {
    /// Among these attributes.
    pub(super) fn of(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = None;
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("status")) {
            if found.is_some() {
                errors.at(attr, "`#[status]` is written twice: put all options into one");
                continue;
            }
            found = Some(match &attr.meta {
                Meta::List(list) => args::options(list.tokens.clone(), errors),
                other => {
                    errors.at(other, "options go in parentheses: `#[status(code = 404, public)]`");
                    Vec::new()
                }
            });
        }
        Self(found.unwrap_or_default())
    }

    /// Takes out `crate = ".."`, which a type may have.
    pub(super) fn krate(&mut self, errors: &mut Errors) -> Option<Path> {
        let at = self.0.iter().position(|option| option.name == "crate")?;
        self.0.remove(at).path(errors)
    }

    /// Those left over are in the wrong place: an enum has none but `crate`.
    pub(super) fn nothing_else(self, errors: &mut Errors) {
        for option in self.0 {
            unknown(&option, "an enum", OF_TYPE, errors);
        }
    }

    /// As those of a variant or a struct.
    pub(super) fn of_case(self, errors: &mut Errors) -> OfCase {
        let mut case = OfCase::default();
        let all = self.0.len();
        let mut bad_code = false;
        for option in &self.0 {
            match option.name.unraw().to_string().as_str() {
                "code" => {
                    case.http = http(option, errors);
                    bad_code = case.http.is_none();
                }
                "public" => case.public = word(option, errors),
                "name" => case.name = text(option, "not_found", fault_of_code, errors),
                "message" => case.message = text(option, "No such user", message, errors),
                "transparent" => case.transparent = word(option, errors),
                _ => unknown(option, "a variant", OF_CASE, errors),
            }
        }
        match (&case.transparent, &case.public) {
            (Some(word), _) if all > 1 => errors.at(
                word,
                "`transparent` stands alone: code, number and sentence are those of the field",
            ),
            (None, Some(word)) if case.http.is_none() && !bad_code => {
                errors.at(word, "what is public says its HTTP number: write `code = 404, public`")
            }
            _ => {}
        }
        case
    }

    /// As those of a field.
    pub(super) fn of_field(self, errors: &mut Errors) -> OfField {
        let mut field = OfField::default();
        for option in &self.0 {
            if option.name != "data" {
                unknown(option, "a field", OF_FIELD, errors);
                continue;
            }
            let key = match &option.value {
                Some(_) => match text(option, "id", key, errors) {
                    Some(key) => Some(key),
                    None => continue,
                },
                None => None,
            };
            field.data = Some((option.name.clone(), key));
        }
        field
    }
}

/// What keeps a text from being a code.
pub(super) fn fault_of_code(text: &str) -> Option<String> {
    let fine = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '.');
    let is_code = (1..=CODE_BYTES).contains(&text.len()) && text.chars().all(fine);
    (!is_code).then(|| {
        format!(
            "a code has 1 to {CODE_BYTES} letters `a` to `z`, digits, `_`, `-` and `.`, and \
             {text:?} is none"
        )
    })
}

fn message(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("a message may not be empty: leave it out, and `Display` says it".to_owned());
    }
    text.contains(['{', '}']).then(|| {
        "a message is taken as it is, and nothing is put into braces: leave it out, and `Display` \
         says it"
            .to_owned()
    })
}

fn key(text: &str) -> Option<String> {
    let fine = (1..=KEY_BYTES).contains(&text.len()) && !text.contains(char::is_control);
    (!fine).then(|| format!("a key of the data has 1 to {KEY_BYTES} bytes that can be seen"))
}

fn word(option: &Opt, errors: &mut Errors) -> Option<Ident> {
    option.flag(errors).then(|| option.name.clone())
}

fn http(option: &Opt, errors: &mut Errors) -> Option<u16> {
    match option.literal() {
        Some(Lit::Int(number)) => {
            let http = number.base10_parse().ok().filter(|http| (300..=599).contains(http));
            if http.is_none() {
                errors.at(number, "an error has an HTTP number from 300 to 599");
            }
            http
        }
        Some(Lit::Str(text)) => {
            errors.at(
                text,
                "`code` takes the HTTP number: write `code = 404`; the code for machines is \
                 `name = \"..\"`",
            );
            None
        }
        _ => {
            option.lacks("the HTTP number: write `code = 404`", errors);
            None
        }
    }
}

fn text(
    option: &Opt,
    example: &str,
    fault: fn(&str) -> Option<String>,
    errors: &mut Errors,
) -> Option<LitStr> {
    let Some(Lit::Str(text)) = option.literal() else {
        option.lacks(&format!("a text: write `{} = \"{example}\"`", option.name), errors);
        return None;
    };
    match fault(&text.value()) {
        Some(fault) => {
            errors.at(text, fault);
            None
        }
        None => Some(text.clone()),
    }
}

fn unknown(option: &Opt, place: &str, known: &str, errors: &mut Errors) {
    let name = option.name.to_string();
    let elsewhere = [(OF_CASE, "a variant"), (OF_TYPE, "the type"), (OF_FIELD, "a field")];
    let belongs = elsewhere.iter().find(|(known, _)| known.split(", ").any(|known| known == name));
    let hint = match belongs {
        Some((_, place)) => format!(" (`{name}` belongs on {place})"),
        None => String::new(),
    };
    errors.at(
        &option.name,
        format!("unknown option `{name}` of `#[status]` on {place}; supported are: {known}{hint}"),
    );
}
