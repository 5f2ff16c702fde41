//! `roles!`: the roles of a program, and which of them this build carries.

use std::collections::BTreeSet;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::quote;
use syn::LitStr;

use crate::clause::between;
use crate::features::Features;
use crate::recover::Errors;
use crate::{krate, selector};

/// `roles![tokens]`.
pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    expand_for(tokens, &Features::here())
}

fn expand_for(tokens: TokenStream, features: &Features) -> TokenStream {
    let mut errors = Errors::default();
    let (krate, tokens) = match krate::split(tokens) {
        Ok(parts) => parts,
        Err(error) => {
            let error = error.to_compile_error();
            return quote!({ #error });
        }
    };
    let names = names(tokens, features, &mut errors);
    if names.is_empty() && errors.count() == 0 {
        errors.at_span(Span::call_site(), "name the roles of this program: `roles![db, web]`");
    }
    let roles = names.iter().map(|name| quote!((#name, ::core::cfg!(feature = #name))));
    let roles = quote!(#krate::Roles::new(&[#(#roles),*]));
    match errors.count() {
        0 => roles,
        _ => {
            let errors = errors.into_tokens();
            quote!({ #errors #roles })
        }
    }
}

fn names(tokens: TokenStream, features: &Features, errors: &mut Errors) -> Vec<LitStr> {
    let tokens = selector::flat(tokens);
    let comma = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ',');
    let mut named = Vec::new();
    let mut seen = BTreeSet::new();
    let mut entries = tokens.split(comma).peekable();
    while let Some(entry) = entries.next() {
        let (Some(first), Some(last)) = (entry.first(), entry.last()) else {
            if entries.peek().is_some() {
                errors.at_span(Span::call_site(), "a role is missing between two commas");
            }
            continue;
        };
        let mut at = 0;
        let text = match entry {
            [one] => selector::string(one),
            _ => None,
        };
        let text = text.unwrap_or_else(|| {
            let mut text = String::new();
            selector::glue(entry, &mut at, &mut text);
            if at == entry.len() { text } else { String::new() }
        });
        let fault = match text.as_str() {
            "" => Some("roles are names, parted by commas: `roles![db, \"web-1\"]`".to_owned()),
            text if !seen.insert(text.to_owned()) => Some(format!("`{text}` is named twice")),
            text => features.fault(text),
        };
        match fault {
            Some(fault) => errors.push(between(first.span(), last.span(), fault)),
            None => named.push(LitStr::new(&text, last.span())),
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(source: &str) -> String {
        expand_for(source.parse().unwrap(), &Features::of(["db", "web-1", "default"])).to_string()
    }

    #[test]
    fn each_role_is_a_feature() {
        let expected = ":: nebula :: Roles :: new (& [(\"db\" , :: core :: cfg ! (feature = \
                        \"db\")) , (\"web-1\" , :: core :: cfg ! (feature = \"web-1\"))])";
        assert_eq!(expanded("db, web-1"), expected);
        assert_eq!(expanded("db, \"web-1\","), expected);
        assert!(expanded("crate = my::n; db").starts_with("my :: n :: Roles"));
    }

    #[test]
    fn faults_name_the_role() {
        for (source, says) in [
            ("", "name the roles of this program"),
            ("db, , web-1", "missing between two commas"),
            ("db, db", "`db` is named twice"),
            ("(db)", "parted by commas"),
            ("&db", "parted by commas"),
            ("default, db", "`default` is no role"),
            ("dbb", "no feature `dbb`, did you mean `db`?"),
        ] {
            let text = expanded(source);
            assert!(text.contains(says), "{source}: {text}");
        }
    }
}
