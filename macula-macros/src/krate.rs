//! Where nebula is found: `::nebula`, unless a macro's input begins with `crate = path;`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote};
use syn::parse::Parser as _;
use syn::{Error, Path};

/// The path of nebula, and the input behind it.
///
/// # Errors
///
/// A `crate =` that is not followed by a path and `;`.
pub(crate) fn split(tokens: TokenStream) -> syn::Result<(TokenStream, TokenStream)> {
    let mut ahead = tokens.clone().into_iter();
    let says = matches!(ahead.next(), Some(TokenTree::Ident(word)) if word == "crate")
        && matches!(ahead.next(), Some(TokenTree::Punct(punct)) if punct.as_char() == '=');
    if !says {
        return Ok((quote!(::nebula), tokens));
    }
    let ends =
        |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';');
    let mut path = Vec::new();
    loop {
        match ahead.next() {
            Some(token) if ends(&token) => break,
            Some(token) => path.push(token),
            None => {
                let last = path.last().map_or_else(Span::call_site, TokenTree::span);
                return Err(Error::new(last, "a `;` ends the path: `crate = my::nebula; ..`"));
            }
        }
    }
    let path = Path::parse_mod_style.parse2(path.into_iter().collect())?;
    Ok((path.to_token_stream(), ahead.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(source: &str) -> Result<(String, String), String> {
        let split = split(source.parse().unwrap()).map_err(|error| error.to_string())?;
        Ok((split.0.to_string(), split.1.to_string()))
    }

    #[test]
    fn the_path_is_taken_off() {
        let is = |path: &str, rest: &str| Ok((path.to_owned(), rest.to_owned()));
        assert_eq!(parts("& db"), is(":: nebula", "& db"));
        assert_eq!(parts(""), is(":: nebula", ""));
        assert_eq!(parts("crate = my::nebula; & db"), is("my :: nebula", "& db"));
        assert_eq!(parts("crate = crate::n; pub mod a"), is("crate :: n", "pub mod a"));
        assert_eq!(parts("crate"), is(":: nebula", "crate"));
    }

    #[test]
    fn a_path_needs_its_end() {
        assert!(parts("crate = my::nebula & db").unwrap_err().contains("a `;` ends the path"));
        assert!(parts("crate = ; & db").is_err());
        assert!(parts("crate = \"my::nebula\"; & db").is_err());
    }
}
