//! Faults are gathered, and the user's item survives them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Attribute, Error, ImplItem, Item, Path};

/// Every fault found so far, reported together at the end.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    all: Option<Error>,
    count: usize,
}

impl Errors {
    /// Adds a fault under `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    /// Adds a fault under one span.
    pub(crate) fn at_span(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(Error::new(span, message));
    }

    /// Adds a fault that another parser found.
    pub(crate) fn push(&mut self, error: Error) {
        self.count += 1;
        match &mut self.all {
            Some(all) => all.combine(error),
            None => self.all = Some(error),
        }
    }

    /// How many faults were added: to see whether a check added one.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The faults as tokens of an item.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.all.map(|error| error.to_compile_error()).unwrap_or_default()
    }
}

/// Whether an attribute is `#[api]`, `#[api(..)]` or either behind a path to this project, which
/// `crate = ".."` may have told.
pub(crate) fn is_api(attr: &Attribute, krate: Option<&Path>) -> bool {
    let path = attr.path();
    let names = |path: &Path| -> Vec<Ident> {
        path.segments.iter().map(|segment| segment.ident.clone()).collect()
    };
    match names(path).split_last() {
        Some((last, from)) if last == "api" => {
            from.last().is_none_or(|from| from == "nebula" || from == "prelude")
                || krate.is_some_and(|krate| names(krate) == from)
        }
        _ => false,
    }
}

/// `#[service]` on something that is no trait: the item as it was, and why not.
pub(crate) fn not_a_trait(mut item: Item, krate: Option<&Path>, mut errors: Errors) -> TokenStream {
    match &mut item {
        Item::Impl(item) => {
            // Left in place, each would report that it stands outside a service.
            for member in &mut item.items {
                if let ImplItem::Fn(method) = member {
                    method.attrs.retain(|attr| !is_api(attr, krate));
                }
            }
            errors.at_span(
                item.impl_token.span,
                "`#[service]` goes on the trait; its implementation is plain Rust, without \
                 `#[service]` and `#[api]`",
            );
        }
        other => {
            // The whole item would be underlined: its first token says enough.
            let first = other.to_token_stream().into_iter().find(|token| !is_attribute(token));
            let span = first.map_or_else(Span::call_site, |token| token.span());
            errors.at_span(span, "`#[service]` goes on a trait: `pub trait Users { .. }`");
        }
    }
    let errors = errors.into_tokens();
    quote!(#item #errors)
}

fn is_attribute(token: &proc_macro2::TokenTree) -> bool {
    use proc_macro2::{Delimiter, TokenTree};
    match token {
        TokenTree::Punct(punct) => punct.as_char() == '#',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Bracket,
        _ => false,
    }
}

/// An item that cannot be read: untouched, with the reason.
pub(crate) fn unread(item: TokenStream, error: Error, mut errors: Errors) -> TokenStream {
    errors.push(error);
    let errors = errors.into_tokens();
    quote!(#item #errors)
}

/// The argument of the one `#[api]` that `#[service]` leaves behind.
pub(crate) const SEEN: &str = "__seen_by_service";

/// `#[api]` where no `#[service]` took it away. The one that `#[service]` left behind vanishes
/// with its item.
pub(crate) fn api_alone(args: TokenStream, item: TokenStream) -> TokenStream {
    if args.to_string() == SEEN {
        return TokenStream::new();
    }
    let error = Error::new(
        Span::call_site(),
        "`#[api]` marks a method of a `#[service]` trait: write `#[service]` above the trait, \
         and nothing in its `impl`",
    )
    .to_compile_error();
    // Inside a trait or an impl, the error takes the place of an associated item.
    quote!(#item #error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_item_survives_next_to_the_error() {
        let item = syn::parse_quote!(
            impl Users for Store {
                #[api]
                async fn find(&self) {}
            }
        );
        let text = not_a_trait(item, None, Errors::default()).to_string();
        assert!(text.contains("async fn find") && text.contains("goes on the trait"), "{text}");
        assert!(!text.contains("# [api]"), "{text}");

        let item = syn::parse_quote!(
            /// Doc.
            #[repr(C)]
            struct S;
        );
        let text = not_a_trait(item, None, Errors::default()).to_string();
        assert!(text.contains("struct S") && text.contains("goes on a trait"), "{text}");

        let text = api_alone(TokenStream::new(), "async fn f() {}".parse().unwrap()).to_string();
        assert!(text.starts_with("async fn f") && text.contains("compile_error"), "{text}");
        let left_behind = "const _: () = ();".parse().unwrap();
        assert!(api_alone(SEEN.parse().unwrap(), left_behind).is_empty());
    }

    #[test]
    fn api_is_known_behind_its_path_only() {
        let is = |attr: Attribute| is_api(&attr, None);
        assert!(is(syn::parse_quote!(#[api])));
        assert!(is(syn::parse_quote!(#[nebula::api(idempotent)])));
        assert!(is(syn::parse_quote!(#[nebula::prelude::api])));
        assert!(!is(syn::parse_quote!(#[rocket::api])));
        assert!(!is(syn::parse_quote!(#[cfg(api)])));
        let is = |attr: Attribute| is_api(&attr, Some(&syn::parse_quote!(::my::neb)));
        assert!(is(syn::parse_quote!(#[my::neb::api])));
        assert!(is(syn::parse_quote!(#[::my::neb::api(idempotent)])));
        assert!(is(syn::parse_quote!(#[my::neb::prelude::api])));
        assert!(is(syn::parse_quote!(#[api])));
        assert!(!is(syn::parse_quote!(#[neb::api])));
        assert!(!is(syn::parse_quote!(#[my::neb::api::other])));
    }
}
