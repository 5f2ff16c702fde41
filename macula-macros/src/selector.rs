//! The short form of a selector, checked at compile time: `&db !@backup`.
//!
//! ```text
//! selector = all { "|" all }
//! all      = clause { clause }                      side by side means and
//! clause   = [ "!" ] ( "&" name | "@" name | "(" selector ")" | "*" )
//! ```
//!
//! One walk, two readers: tokens (`sel!`, where names are glued from tokens that touch and a
//! fault has a token) and text (`on = ".."`, where a fault has the whole literal). The grammar is
//! that of nebula's own reader, which reads what is written here. Beside the text the walk gives a
//! [`Clause`], for those who know the nodes (`topology!`) or the build (`on_nodes!`).
//!
//! Limits: 4 KiB of text, 32 parentheses inside each other.

mod text;

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::{Error, Lit};

use crate::clause::{Clause, Name};

const MAX_BYTES: usize = 4096;
const MAX_DEPTH: usize = 32;
const EMPTY: &str = "a selector is empty: leave it out to mean every node, or write `*`";
const CLAUSE: &str = "`&tag` or `@node` expected here";
const QUOTE: &str = "a quote is out of place: names are quoted right after `&` or `@`, with `\"`";

/// A selector without fault.
#[derive(Debug)]
pub(crate) struct Selector {
    /// Spaced the same way whatever the source.
    pub(crate) text: String,
    pub(crate) clause: Clause,
}

/// Reads the selector in `tokens`.
pub(crate) fn from_tokens(tokens: TokenStream) -> syn::Result<Selector> {
    let mut lexemes = Vec::new();
    read_tokens(tokens, &mut lexemes);
    walk(lexemes, Span::call_site())
}

/// Checks the selector in a text literal.
pub(crate) fn check_text(text: &str) -> Result<(), String> {
    if text.len() > MAX_BYTES {
        return Err(format!(
            "a selector may be {MAX_BYTES} bytes long, this one is {}",
            text.len()
        ));
    }
    walk(text::read(text), Span::call_site()).map(drop).map_err(|error| error.to_string())
}

struct Lexeme {
    kind: Kind,
    span: Span,
    /// Of its last token.
    end: Span,
}

impl Lexeme {
    fn at(kind: Kind, span: Span) -> Self {
        Self { kind, span, end: span }
    }
}

enum Kind {
    /// `&name` or `@name`.
    Name(char, String),
    Not,
    Or,
    Open,
    Close,
    /// A word without sigil, `*` among them.
    Word(String),
    Fault(String),
}

fn walk(lexemes: Vec<Lexeme>, everything: Span) -> syn::Result<Selector> {
    if lexemes.is_empty() {
        return Err(Error::new(everything, EMPTY));
    }
    let mut walk = Walk { lexemes, at: 0, depth: 0, text: String::new() };
    let clause = walk.selector()?;
    match walk.lexemes.get(walk.at) {
        None if walk.text.len() > MAX_BYTES => {
            let bytes = walk.text.len();
            let fault = format!("a selector may be {MAX_BYTES} bytes long, this one is {bytes}");
            Err(Error::new(everything, fault))
        }
        None => Ok(Selector { text: walk.text, clause }),
        Some(stray) => Err(Error::new(stray.span, "this `)` closes nothing")),
    }
}

struct Walk {
    lexemes: Vec<Lexeme>,
    at: usize,
    depth: usize,
    text: String,
}

impl Walk {
    fn selector(&mut self) -> syn::Result<Clause> {
        let mut sides = vec![self.all()?];
        while let Some(Kind::Or) = self.peek() {
            self.at += 1;
            self.text.push_str(" | ");
            sides.push(self.all()?);
        }
        Ok(Clause::Either(sides))
    }

    fn all(&mut self) -> syn::Result<Clause> {
        let mut clauses = vec![self.clause()?];
        while !matches!(self.peek(), None | Some(Kind::Or | Kind::Close)) {
            self.text.push(' ');
            clauses.push(self.clause()?);
        }
        Ok(Clause::All(clauses))
    }

    fn clause(&mut self) -> syn::Result<Clause> {
        if let Some(Kind::Not) = self.peek() {
            self.at += 1;
            self.text.push('!');
            return Ok(Clause::Not(Box::new(self.positive()?)));
        }
        self.positive()
    }

    fn positive(&mut self) -> syn::Result<Clause> {
        let span = self.here();
        let fault = match self.lexemes.get(self.at).map(|lexeme| &lexeme.kind) {
            Some(Kind::Name(sigil, name)) => {
                let written = if name.chars().all(is_bare) { name.clone() } else { quoted(name) };
                self.text.push(*sigil);
                self.text.push_str(&written);
                let name = Name { text: name.clone(), from: span, to: self.lexemes[self.at].end };
                let clause = if *sigil == '&' { Clause::Tag(name) } else { Clause::Node(name) };
                self.at += 1;
                return Ok(clause);
            }
            Some(Kind::Open) => return self.group(span),
            Some(Kind::Word(word)) if word == "*" => {
                self.text.push('*');
                self.at += 1;
                return Ok(Clause::Any);
            }
            Some(Kind::Word(word)) => {
                format!("`{word}`: write `&{word}` for a tag or `@{word}` for a node")
            }
            Some(Kind::Fault(fault)) => fault.clone(),
            None | Some(Kind::Or | Kind::Close | Kind::Not) => CLAUSE.to_owned(),
        };
        Err(Error::new(span, fault))
    }

    fn group(&mut self, opened: Span) -> syn::Result<Clause> {
        if self.depth == MAX_DEPTH {
            let fault = format!("at most {MAX_DEPTH} parentheses may be inside each other");
            return Err(Error::new(opened, fault));
        }
        self.depth += 1;
        self.at += 1;
        self.text.push('(');
        let clause = self.selector()?;
        self.text.push(')');
        self.depth -= 1;
        match self.peek() {
            Some(Kind::Close) => {
                self.at += 1;
                Ok(clause)
            }
            _ => Err(Error::new(opened, "a closing `)` is missing")),
        }
    }

    fn peek(&self) -> Option<&Kind> {
        self.lexemes.get(self.at).map(|lexeme| &lexeme.kind)
    }

    /// The next token, or the last one at the end.
    fn here(&self) -> Span {
        let lexeme = self.lexemes.get(self.at).or(self.lexemes.last());
        lexeme.map_or_else(Span::call_site, |lexeme| lexeme.span)
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !"\"'&|!@(),;".contains(c)
}

fn name_expected(sigil: char) -> Kind {
    Kind::Fault(format!(
        "a name is expected right after `{sigil}` (clauses side by side must all hold, and `|` is or)"
    ))
}

fn separator(found: char) -> Kind {
    Kind::Fault(format!("no `{found}` here: clauses side by side must all hold, and `|` is or"))
}

fn full_name(name: &str) -> Kind {
    Kind::Fault(format!("a full name needs quotes: write `@\"{name}\"`"))
}

fn read_tokens(tokens: TokenStream, out: &mut Vec<Lexeme>) {
    let tokens = flat(tokens);
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let span = token.span();
        at += 1;
        let kind = match token {
            TokenTree::Punct(sigil) if matches!(sigil.as_char(), '&' | '@') => {
                named(&tokens, &mut at, sigil.as_char())
            }
            TokenTree::Punct(punct) if punct.as_char() == '!' => Kind::Not,
            TokenTree::Punct(punct) if punct.as_char() == '|' => Kind::Or,
            TokenTree::Punct(punct) if matches!(punct.as_char(), ',' | ';') => {
                separator(punct.as_char())
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {
                out.push(Lexeme::at(Kind::Open, group.span_open()));
                read_tokens(group.stream(), out);
                out.push(Lexeme::at(Kind::Close, group.span_close()));
                continue;
            }
            TokenTree::Group(_) => Kind::Fault("only `( )` group clauses".to_owned()),
            other => {
                at -= 1;
                let mut word = String::new();
                glue(&tokens, &mut at, &mut word);
                if word.is_empty() {
                    at += 1;
                    let quote = matches!(other, TokenTree::Literal(_));
                    Kind::Fault(if quote { QUOTE } else { CLAUSE }.to_owned())
                } else {
                    Kind::Word(word)
                }
            }
        };
        let end = tokens.get(at - 1).map_or(span, TokenTree::span);
        out.push(Lexeme { kind, span, end });
    }
}

/// What follows a sigil at `tokens[at - 1]`.
fn named(tokens: &[TokenTree], at: &mut usize, sigil: char) -> Kind {
    let mut name = String::new();
    match tokens.get(*at) {
        Some(next) if !touch(&tokens[*at - 1], next) => return name_expected(sigil),
        Some(next) => match string(next) {
            Some(text) => {
                *at += 1;
                name = text;
            }
            None => glue(tokens, at, &mut name),
        },
        None => {}
    }
    if name.is_empty() {
        return name_expected(sigil);
    }
    let follows = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == '@');
    if sigil == '@'
        && tokens.get(*at).is_some_and(|next| follows(next) && touch(&tokens[*at - 1], next))
    {
        name.push('@');
        *at += 1;
        glue(tokens, at, &mut name);
        return full_name(&name);
    }
    Kind::Name(sigil, name)
}

/// Adds the run of tokens from `at` that are part of a name and touch each other.
pub(crate) fn glue(tokens: &[TokenTree], at: &mut usize, name: &mut String) {
    let start = *at;
    while let Some(token) = tokens.get(*at) {
        let piece = match token {
            TokenTree::Ident(ident) => ident.unraw().to_string(),
            TokenTree::Punct(punct) if is_bare(punct.as_char()) => punct.as_char().to_string(),
            TokenTree::Literal(literal) => literal.to_string(),
            _ => return,
        };
        let touches = *at == start || touch(&tokens[*at - 1], token);
        if !touches || !piece.chars().all(is_bare) {
            return;
        }
        name.push_str(&piece);
        *at += 1;
    }
}

/// The value of a string literal.
pub(crate) fn string(token: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = token else { return None };
    match Lit::new(literal.clone()) {
        Lit::Str(text) => Some(text.value()),
        _ => None,
    }
}

/// The tokens without the invisible groups that `macro_rules` puts around its fragments.
pub(crate) fn flat(tokens: TokenStream) -> Vec<TokenTree> {
    let mut out = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                out.extend(flat(Group::stream(&group)));
            }
            token => out.push(token),
        }
    }
    out
}

/// Whether nothing stands between two neighbours in the source.
///
/// Told apart on one line only: tokens of different lines, or of none, may have been brought
/// together by a macro. Two words that touched would be one token.
fn touch(left: &TokenTree, right: &TokenTree) -> bool {
    let is_word = |token: &TokenTree| matches!(token, TokenTree::Ident(_) | TokenTree::Literal(_));
    if is_word(left) && is_word(right) {
        return false;
    }
    if !proc_macro::is_available() {
        return true;
    }
    let place = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.span_open().unwrap(),
        token => token.span().unwrap(),
    };
    let (left, right) = (place(left), place(right));
    let (end, start) = (left.end(), right.start());
    let apart = end.line() == start.line() && end.column() < start.column();
    !apart || left.file() != right.file()
}

#[cfg(test)]
mod tests;
