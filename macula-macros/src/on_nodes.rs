//! `on_nodes!`: code that a build carries or leaves out, by its roles.
//!
//! ```text
//! input = [ "if" ] selector "{" .. "}" { "else" "if" selector "{" .. "}" } [ "else" "{" .. "}" ]
//! ```
//!
//! A macro is not told where it stands, and `{ f(); }` may be a body as well as items. So the
//! leading word decides: with `if` the braces hold a body, and the whole is an expression or a
//! statement, as `if` is; without it they hold items. The expansion has nothing but `#[cfg(..)]` on
//! what the user wrote, so rustc and editors treat the rest as absent.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::{Error, Item};

use crate::clause::{Clause, Name};
use crate::features::Features;
use crate::recover::Errors;
use crate::selector;

const FORM: &str = "write `on_nodes!(&db { .. } else { .. })` around items, and \
                    `on_nodes!(if &db { .. } else { .. })` in a body";

/// `on_nodes!(tokens)`.
pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    expand_for(tokens, &Features::here())
}

fn expand_for(tokens: TokenStream, features: &Features) -> TokenStream {
    let mut errors = Errors::default();
    let choice = Choice::read(selector::flat(tokens), &mut errors);
    let roles = choice.arms.iter().flat_map(|arm| &arm.clause);
    for role in roles.flat_map(|clause| [clause.tags(), clause.nodes()].concat()) {
        if let Some(fault) = fault(role, features) {
            errors.push(role.fault(fault));
        }
    }
    if choice.body { choice.body(errors) } else { choice.items(errors) }
}

fn fault(role: &Name, features: &Features) -> Option<String> {
    match role.text.split_once('@') {
        Some((short, _)) => Some(format!(
            "a build is for roles, not for one machine: write `@{short}`, a feature of that name"
        )),
        None => features.fault(&role.text),
    }
}

/// What is carried by whom.
#[derive(Default)]
struct Choice {
    /// Whether it stands in a body.
    body: bool,
    /// In order: the first that a build matches is the one it carries.
    arms: Vec<Arm>,
}

struct Arm {
    /// `None` is `else`.
    clause: Option<Clause>,
    braces: Group,
}

impl Choice {
    fn read(tokens: Vec<TokenTree>, errors: &mut Errors) -> Self {
        let mut choice = Self::default();
        if let Err(error) = choice.arms(&mut tokens.into_iter().peekable()) {
            errors.push(error);
        }
        choice
    }

    fn arms(
        &mut self,
        tokens: &mut std::iter::Peekable<impl Iterator<Item = TokenTree>>,
    ) -> syn::Result<()> {
        let is = |word: &'static str| {
            move |token: &TokenTree| match token {
                TokenTree::Ident(ident) => ident == word,
                _ => false,
            }
        };
        self.body = tokens.next_if(is("if")).is_some();
        loop {
            self.arms.push(arm(tokens)?);
            let Some(word) = tokens.next() else { return Ok(()) };
            if !is("else")(&word) {
                return Err(Error::new(word.span(), format!("`else` or the end expected: {FORM}")));
            }
            if tokens.next_if(is("if")).is_some() {
                continue;
            }
            let braces = match tokens.next() {
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => group,
                other => {
                    let at = other.map_or(word.span(), |token| token.span());
                    return Err(Error::new(at, "`{ .. }` or `if` expected after `else`"));
                }
            };
            self.arms.push(Arm { clause: None, braces });
            return match tokens.next() {
                None => Ok(()),
                Some(stray) => Err(Error::new(stray.span(), "nothing may follow the `else`")),
            };
        }
    }

    /// For each arm, what a build must carry to carry it.
    fn predicates(&self) -> Vec<TokenStream> {
        let mut before = Vec::new();
        let mut predicates = Vec::new();
        for arm in &self.arms {
            let mut needs: Vec<_> = before.iter().map(|before| quote!(not(#before))).collect();
            if let Some(clause) = &arm.clause {
                let own = clause.predicate();
                needs.push(own.clone());
                before.push(own);
            }
            predicates.push(match needs.as_slice() {
                [one] => one.clone(),
                _ => quote!(all(#(#needs),*)),
            });
        }
        predicates
    }

    fn body(self, errors: Errors) -> TokenStream {
        if errors.count() > 0 {
            let errors = errors.into_tokens();
            let first = self.arms.first().map(|Arm { braces, .. }| quote!(#[cfg(all())] #braces));
            return quote!({ #errors #first });
        }
        let whole = self.arms.last().is_some_and(|last| last.clause.is_none());
        let predicates = self.predicates();
        let arms = self.arms.iter().zip(predicates).map(|(Arm { braces, .. }, predicate)| {
            if whole {
                quote!(#[cfg(#predicate)] #braces)
            } else {
                // As with `if`: without `else`, the value must be `()` for builds that have it.
                let unit = quote_spanned!(braces.span()=> ());
                quote!(#[cfg(#predicate)] #[allow(clippy::let_unit_value)] let #unit = #braces;)
            }
        });
        quote!({ #(#arms)* })
    }

    fn items(self, mut errors: Errors) -> TokenStream {
        let mut arms = Vec::new();
        for Arm { braces, .. } in &self.arms {
            match items.parse2(braces.to_token_stream()) {
                Ok(items) => arms.push(items),
                Err(error) => {
                    arms.push(Vec::new());
                    let fault = format!("no item begins here ({error}): {FORM}");
                    errors.at_span(error.span(), fault);
                }
            }
        }
        if errors.count() > 0 {
            // What is missing would be reported as well, and what is there twice too.
            let first = arms.into_iter().next().into_iter().flatten();
            let errors = errors.into_tokens();
            return quote!(#(#first)* #errors);
        }
        let marked = arms.into_iter().zip(self.predicates()).flat_map(|(items, predicate)| {
            items.into_iter().map(move |item| quote!(#[cfg(#predicate)] #item))
        });
        marked.collect()
    }
}

fn arm(tokens: &mut std::iter::Peekable<impl Iterator<Item = TokenTree>>) -> syn::Result<Arm> {
    let mut written = Vec::new();
    for token in tokens.by_ref() {
        match token {
            TokenTree::Group(braces) if braces.delimiter() == Delimiter::Brace => {
                if written.is_empty() {
                    let fault = format!("a selector is missing before the `{{`: {FORM}");
                    return Err(Error::new(braces.span_open(), fault));
                }
                let clause = Some(selector::from_tokens(written.into_iter().collect())?.clause);
                return Ok(Arm { clause, braces });
            }
            other => written.push(other),
        }
    }
    let last = written.last().map_or_else(Span::call_site, TokenTree::span);
    Err(Error::new(last, format!("`{{ .. }}` is missing behind the selector: {FORM}")))
}

/// Items in braces as they are written, in modules and in `impl` blocks.
fn items(input: ParseStream<'_>) -> syn::Result<Vec<TokenStream>> {
    let braced;
    syn::braced!(braced in input);
    let input = &braced;
    let mut items = Vec::new();
    while !input.is_empty() {
        items.push(Item::parse(input)?.to_token_stream());
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(source: &str) -> String {
        let features = Features::of(["db", "web", "web-1", "eu", "default"]);
        let tokens = expand_for(source.parse().unwrap(), &features).to_string();
        // So that what is expected can be written as Rust is.
        tokens.parse::<TokenStream>().unwrap().to_string()
    }

    fn same(source: &str, expected: &str) {
        assert_eq!(expanded(source), expected.parse::<TokenStream>().unwrap().to_string());
    }

    #[test]
    fn items_are_marked_one_by_one() {
        same(
            "&db { /** Doc. */ pub struct A; impl A {} } else { mod other { use x::Y; } }",
            "#[cfg(feature = \"db\")] /** Doc. */ pub struct A;
             #[cfg(feature = \"db\")] impl A {}
             #[cfg(not(feature = \"db\"))] mod other { use x::Y; }",
        );
        same("&db {}", "");
        same("*{ fn f(&self); }", "#[cfg(all())] fn f(&self);");
    }

    #[test]
    fn bodies_become_a_block() {
        same(
            "if &db !@web-1 { a()? } else { b }",
            "{ #[cfg(all(feature = \"db\", not(feature = \"web-1\")))] { a()? }
               #[cfg(not(all(feature = \"db\", not(feature = \"web-1\"))))] { b } }",
        );
        same(
            "if &db { a() }",
            "{ #[cfg(feature = \"db\")] #[allow(clippy::let_unit_value)] let () = { a() }; }",
        );
    }

    #[test]
    fn the_first_arm_that_matches_is_the_one() {
        same(
            "&db { fn a(); } else if &web { fn b(); } else { fn c(); }",
            "#[cfg(feature = \"db\")] fn a();
             #[cfg(all(not(feature = \"db\"), feature = \"web\"))] fn b();
             #[cfg(all(not(feature = \"db\"), not(feature = \"web\")))] fn c();",
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_write() {
        for (source, says) in [
            ("", "`{ .. }` is missing behind the selector"),
            ("&db", "`{ .. }` is missing behind the selector"),
            ("{ fn f() {} }", "a selector is missing before the `{`"),
            ("if { 1 } else { 2 }", "a selector is missing before the `{`"),
            ("db { fn f() {} }", "`db`: write `&db` for a tag or `@db` for a node"),
            ("&db { fn f() {} } otherwise {}", "`else` or the end expected"),
            ("&db { fn f() {} } else fn g() {}", "expected after `else`"),
            ("&db { fn f() {} } else", "expected after `else`"),
            ("&db {} else {} else {}", "nothing may follow the `else`"),
            ("&db { f(1) + 2 }", "no item begins here"),
            ("&default {}", "`default` is no role"),
            ("if !@default { 1 }", "`default` is no role"),
            ("&dbb {}", "no feature `dbb`, did you mean `db`?"),
            ("!@web-2 {}", "did you mean `web-1`?"),
            ("@\"db@h1\" {}", "write `@db`"),
            ("&\"a b\" {}", "none can be called `a b`"),
        ] {
            let text = expanded(source);
            assert!(text.contains(says), "{source}: {text}");
        }
    }

    #[test]
    fn a_refused_choice_keeps_its_code() {
        assert!(expanded("&dbb { fn f() {} }").contains("fn f () { }"));
        assert!(expanded("if &dbb { f() } else { 1 }").contains("{ f () }"));
        assert_eq!(expanded("&dbb { fn f() {} } else { fn f() {} }").matches("fn f").count(), 1);
    }
}
