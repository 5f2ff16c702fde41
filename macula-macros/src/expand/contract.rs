//! The trait itself: the user's tokens, `async fn` written as what it means.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{AttrStyle, Attribute, FnArg, Pat, TraitItem, TraitItemFn, WherePredicate};

use crate::model::{self, Service};

pub(crate) fn expand(service: &Service) -> TokenStream {
    let item = &service.item;
    let (outer, inner) = split(&item.attrs);
    let (vis, unsafety, auto) = (&item.vis, item.unsafety, item.modifiers.auto_token);
    let (trait_token, ident) = (item.trait_token, &item.ident);
    // Refused, but kept: the errors of a trait that lost its parameters would tell nothing.
    let generics = &item.generics;
    let clause = &generics.where_clause;
    let bounds =
        quote_spanned!(ident.span()=> ::core::marker::Send + ::core::marker::Sync + 'static);
    let supertraits = item.supertraits.iter().map(|bound| quote!(#bound +));
    let members = item.items.iter().map(|member| written(member, &service.refused));
    let docs = service.usable.then(|| {
        let link =
            format!(" - [`{0}`]: calls this service, wherever it is provided.", service.client);
        quote!(#[doc = ""] #[doc = " # Generated items"] #[doc = ""] #[doc = #link])
    });
    let mut expanded = quote! {
        #(#outer)* #docs
        #vis #unsafety #auto #trait_token #ident #generics: #(#supertraits)* #bounds #clause
    };
    item.brace_token.surround(&mut expanded, |body| body.extend(quote!(#(#inner)* #(#members)*)));
    expanded
}

fn split(attrs: &[Attribute]) -> (Vec<&Attribute>, Vec<&Attribute>) {
    attrs.iter().partition(|attr| matches!(attr.style, AttrStyle::Outer))
}

fn written(member: &TraitItem, refused: &[Ident]) -> TokenStream {
    match member {
        TraitItem::Fn(function) if function.sig.asyncness.is_some() => {
            // So that a refused `-> Option<Self>` is not reported once more for its size.
            let refused = refused.contains(&function.sig.ident);
            desugared(function, refused.then(|| syn::parse_quote!(Self: ::core::marker::Sized)))
        }
        other => other.to_token_stream(),
    }
}

/// `async fn f(..) -> T` as `fn f(..) -> impl Future<Output = T> + Send`.
fn desugared(function: &TraitItemFn, bound: Option<WherePredicate>) -> TokenStream {
    let (outer, inner) = split(&function.attrs);
    let mut sig = function.sig.clone();
    // An error about the function points where `async` stood, not past it.
    if let Some(word) = sig.asyncness.take() {
        sig.fn_token.span = word.span;
    }
    let name = sig.ident.span();
    let reply = model::reply(&sig.output, name);
    // With the name's span, "required by this bound" is shown at the method.
    let output = quote_spanned! {name=>
        -> impl ::core::future::Future<Output = #reply> + ::core::marker::Send
    };
    sig.output = syn::ReturnType::Default;
    if let Some(bound) = bound {
        sig.generics.make_where_clause().predicates.push(bound);
    }
    let clause = sig.generics.where_clause.take();
    match &function.default {
        None => {
            let end = function.semi_token;
            quote!(#(#outer)* #sig #output #clause #end)
        }
        Some(block) => {
            // An `async fn` keeps its arguments to its end, used or not.
            let kept = sig.inputs.iter().filter_map(|input| match input {
                FnArg::Typed(typed) => match &*typed.pat {
                    Pat::Ident(pat) if pat.mutability.is_none() && pat.by_ref.is_none() => {
                        let ident = &pat.ident;
                        Some(quote!(let #ident = #ident;))
                    }
                    _ => None,
                },
                FnArg::Receiver(_) => None,
            });
            let statements = &block.stmts;
            quote! {
                #(#outer)*
                #[allow(clippy::manual_async_fn)]
                #sig #output #clause {
                    #(#inner)*
                    async move { #(#kept)* #(#statements)* }
                }
            }
        }
    }
}
