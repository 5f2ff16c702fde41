//! The pieces that a service becomes. The user's trait comes first, in its own tokens; everything
//! beside it is small, since the work is done by generics in nebula.

mod client;
mod contract;
mod dispatch;
#[cfg(test)]
mod tests;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::Item;

use crate::recover::Errors;
use crate::selector::Selector;
use crate::{args, krate, model, recover, selector};

/// `#[service(args)] item`.
pub(crate) fn service(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = args::service(args, &mut errors);
    let item_trait = match syn::parse2(item.clone()) {
        Ok(Item::Trait(item_trait)) => item_trait,
        Ok(other) => return recover::not_a_trait(other, args.krate.as_ref(), errors),
        Err(error) => return recover::unread(item, error, errors),
    };
    let service = model::build(item_trait, args, &mut errors);
    let contract = contract::expand(&service);
    // A method left out for its faults must not look like one that the client forgot.
    let transparent = service.args.transparent && errors.count() == 0;
    let generated = service.usable.then(|| {
        let krate = &service.krate;
        // Generated code has the spans of the user's, so that errors about it are shown there;
        // lints must then be told apart by hand.
        let lints = quote! {
            #[allow(clippy::all, clippy::nursery, clippy::pedantic, clippy::restriction)]
            #[allow(dead_code, deprecated, nonstandard_style, unreachable_pub)]
        };
        let client = client::expand(&service, &lints);
        let methods = client::methods(&service);
        let descriptions = client::descriptions(&service);
        let dispatch = dispatch::expand(&service, transparent);
        quote! {
            #client
            #lints
            #[allow(missing_copy_implementations, missing_debug_implementations)]
            const _: () = {
                use #krate::__private as __nebula;
                #methods
                #descriptions
                #dispatch
            };
        }
    });
    let errors = errors.into_tokens();
    // Its import would count as unused otherwise: the compiler never sees the one on a method.
    let seen = Ident::new(recover::SEEN, Span::call_site());
    let api = service.api_paths.iter().map(|path| quote!(#[#path(#seen)] const _: () = ();));
    quote!(#contract #generated #(#api)* #errors)
}

/// `sel!(tokens)`.
pub(crate) fn sel(tokens: TokenStream) -> TokenStream {
    let (krate, tokens) = match krate::split(tokens) {
        Ok(parts) => parts,
        Err(error) => return selector(&TokenStream::new(), Err(error)),
    };
    selector(&krate, selector::from_tokens(tokens))
}

/// A selector that was read, as an expression.
pub(crate) fn selector(krate: &TokenStream, read: syn::Result<Selector>) -> TokenStream {
    match read {
        Ok(Selector { text, .. }) => quote! {{
            static SELECTOR: ::std::sync::LazyLock<#krate::Selector> =
                ::std::sync::LazyLock::new(|| #krate::__private::parse_selector(#text));
            ::core::clone::Clone::clone(&*SELECTOR)
        }},
        Err(error) => {
            let error = error.to_compile_error();
            quote!({ #error })
        }
    }
}
