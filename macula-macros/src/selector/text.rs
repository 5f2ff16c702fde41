//! A selector in a text literal.

use proc_macro2::Span;

use super::{Kind, Lexeme, QUOTE, full_name, is_bare, name_expected, separator};

/// The pieces of a text. Each has the span of the whole literal.
pub(super) fn read(text: &str) -> Vec<Lexeme> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(next) = rest.chars().next() {
        let kind = match next {
            '&' | '@' => text_name(next, &mut rest),
            '!' | '|' | '(' | ')' => {
                rest = &rest[1..];
                match next {
                    '!' => Kind::Not,
                    '|' => Kind::Or,
                    '(' => Kind::Open,
                    _ => Kind::Close,
                }
            }
            ',' | ';' => {
                rest = &rest[1..];
                separator(next)
            }
            '"' | '\'' => {
                rest = "";
                Kind::Fault(QUOTE.to_owned())
            }
            _ => Kind::Word(bare(&mut rest)),
        };
        out.push(Lexeme::at(kind, Span::call_site()));
        rest = rest.trim_start();
    }
    out
}

fn text_name(sigil: char, rest: &mut &str) -> Kind {
    *rest = &rest[1..];
    let name = if rest.starts_with('"') {
        match text_quoted(rest) {
            Some(name) => name,
            None => {
                *rest = "";
                return Kind::Fault("a closing quote is missing".to_owned());
            }
        }
    } else {
        bare(rest)
    };
    if name.is_empty() {
        return name_expected(sigil);
    }
    if sigil == '@' && rest.starts_with('@') {
        *rest = &rest[1..];
        return full_name(&format!("{name}@{}", bare(rest)));
    }
    Kind::Name(sigil, name)
}

fn bare(rest: &mut &str) -> String {
    let end = rest.find(|c| !is_bare(c)).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    word.to_owned()
}

fn text_quoted(rest: &mut &str) -> Option<String> {
    let mut name = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                *rest = &rest[at + 1..];
                return Some(name);
            }
            '\\' => {
                let escaped = chars.next_if(|(_, c)| matches!(c, '"' | '\\'));
                name.push(escaped.map_or('\\', |(_, c)| c));
            }
            c => name.push(c),
        }
    }
    None
}
