//! The rules of a service, one function each. A rule that is broken adds a fault under the tokens
//! to change, and says what to write instead.

mod owned;

use proc_macro2::Ident;
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::{
    FnArg, GenericParam, ItemTrait, Pat, Path, ReceiverKind, ReturnType, Safety, Signature,
    TraitItem, TraitItemFn, Type, TypeParamBound,
};

use self::owned::owned;
use crate::model::{Method, bare, is_context, last_segment};
use crate::names;
use crate::recover::{Errors, is_api};

const MAX_ARGS: usize = 8;
const RESERVED: [&str; 5] = ["new", "local", "with", "within", "clone"];

/// The rules of the trait itself. False when no client can be made of it.
pub(crate) fn the_trait(item: &ItemTrait, krate: Option<&Path>, errors: &mut Errors) -> bool {
    let before = errors.count();
    no_generics(item, errors);
    neither_unsafe_nor_auto(item, errors);
    let usable = errors.count() == before;
    only_auto_supertraits(item, errors);
    only_methods(item, krate, errors);
    usable
}

/// The rules of one `#[api]` method.
pub(crate) fn the_method(function: &TraitItemFn, errors: &mut Errors) {
    let sig = &function.sig;
    name_is_free(sig, errors);
    is_async(sig, errors);
    no_qualifiers(sig, errors);
    no_method_generics(sig, errors);
    takes_shared_self(sig, errors);
    plain_parameters(sig, errors);
    context_comes_first(sig, errors);
    owned_arguments(sig, errors);
    few_arguments(sig, errors);
    owned_reply(sig, errors);
}

fn no_generics(item: &ItemTrait, errors: &mut Errors) {
    let generics = &item.generics;
    if let Some(first) = generics.params.first() {
        let what = kind_of(first);
        errors.at(
            &generics.params,
            format!("a service has no {what} parameters: write one trait for each concrete type"),
        );
    }
    if let Some(clause) = &generics.where_clause {
        errors.at(clause, "a service has no `where` clause");
    }
}

fn kind_of(param: &GenericParam) -> &'static str {
    match param {
        GenericParam::Lifetime(_) => "lifetime",
        GenericParam::Type(_) => "type",
        GenericParam::Const(_) => "const",
    }
}

fn neither_unsafe_nor_auto(item: &ItemTrait, errors: &mut Errors) {
    if let Some(word) = item.unsafety {
        errors.at(word, "a service is not `unsafe`: any node may call it");
    }
    if let Some(word) = item.modifiers.auto_token {
        errors.at(word, "a service is not an `auto` trait: it has methods");
    }
}

fn only_auto_supertraits(item: &ItemTrait, errors: &mut Errors) {
    for bound in &item.supertraits {
        let allowed = match bound {
            TypeParamBound::Trait(bound) => {
                let last = bound.path.segments.last();
                last.is_some_and(|last| last.ident == "Send" || last.ident == "Sync")
            }
            TypeParamBound::Lifetime(lifetime) => lifetime.ident == "static",
            _ => false,
        };
        if !allowed {
            errors.at(
                bound,
                "a service has no supertraits but `Send`, `Sync` and `'static` (which it gets \
                 anyway): a client could not implement them",
            );
        }
    }
}

fn only_methods(item: &ItemTrait, krate: Option<&Path>, errors: &mut Errors) {
    for member in &item.items {
        match member {
            TraitItem::Type(member) => errors.at(
                &member.ident,
                "a service has no associated types: name the concrete type in the methods",
            ),
            TraitItem::Const(member) => errors.at(
                &member.ident,
                "a service has no associated constants: write a method without `#[api]`",
            ),
            TraitItem::Macro(member) if member.attrs.iter().any(|attr| is_api(attr, krate)) => {
                errors.at(
                    &member.mac.path,
                    "`#[api]` goes on a method; a macro here is expanded too late to be read",
                )
            }
            _ => {}
        }
    }
}

/// At least one method is marked, and not more than an index can tell apart.
pub(crate) fn has_api_methods(item: &ItemTrait, marked: usize, errors: &mut Errors) {
    if marked == 0 {
        errors.at(
            &item.ident,
            format!("`{}` has no `#[api]` method, so nothing could be called", item.ident),
        );
    }
    if marked > usize::from(u16::MAX) {
        errors.at(&item.ident, format!("a service has at most {} `#[api]` methods", u16::MAX));
    }
}

fn name_is_free(sig: &Signature, errors: &mut Errors) {
    let name = sig.ident.unraw().to_string();
    if RESERVED.contains(&name.as_str()) {
        errors.at(
            &sig.ident,
            format!(
                "`{name}` is a method of every client: choose another name, and keep this one on \
                 the wire with `#[api(name = \"{name}\")]` if you need to"
            ),
        );
    }
}

/// No two methods share a wire name, unless `#[cfg]` may choose between them.
pub(crate) fn distinct_wire_name(method: &Method, others: &[Method], errors: &mut Errors) -> bool {
    let twin = others.iter().find(|other| other.wire_name == method.wire_name);
    let taken = twin.is_some_and(|twin| twin.cfgs.is_empty() || method.cfgs.is_empty());
    if taken {
        errors.at(
            &method.named_by,
            format!(
                "another method is already called `{0}` on the wire: give one of them a name of \
                 its own, like `#[api(name = \"{0}_2\")]`",
                method.wire_name
            ),
        );
    }
    !taken
}

fn is_async(sig: &Signature, errors: &mut Errors) {
    if sig.asyncness.is_none() {
        let name = &sig.ident;
        errors.at(sig.fn_token, format!("a call may cross the network: write `async fn {name}`"));
    }
}

fn no_qualifiers(sig: &Signature, errors: &mut Errors) {
    if let Some(word) = sig.constness {
        errors.at(word, "an `#[api]` method is not `const`");
    }
    if let Safety::Unsafe(word) = sig.safety {
        errors.at(word, "an `#[api]` method is not `unsafe`: any node may call it");
    }
    if let Some(abi) = &sig.abi {
        errors.at(abi, "an `#[api]` method is not `extern`");
    }
    if let Some(variadic) = &sig.variadic {
        errors.at(variadic, "an `#[api]` method has a fixed number of arguments");
    }
}

fn no_method_generics(sig: &Signature, errors: &mut Errors) {
    if let Some(first) = sig.generics.params.first() {
        let what = kind_of(first);
        errors.at(
            &sig.generics.params,
            format!(
                "an `#[api]` method has no {what} parameters: what crosses the mesh has one \
                 concrete, owned type"
            ),
        );
    }
    if let Some(clause) = &sig.generics.where_clause {
        errors.at(clause, "an `#[api]` method has no `where` clause");
    }
}

fn takes_shared_self(sig: &Signature, errors: &mut Errors) {
    const WHY: &str = "many calls run at once, so an `#[api]` method takes `&self`";
    match sig.inputs.first() {
        Some(FnArg::Receiver(receiver)) => match &receiver.kind {
            ReceiverKind::Reference(_, None, None) => {}
            ReceiverKind::Reference(_, Some(lifetime), None) => {
                errors.at(lifetime, "an `#[api]` method has no lifetimes: write `&self`");
            }
            ReceiverKind::Reference(_, _, Some(_)) => {
                errors.at(receiver, format!("{WHY}: keep what changes behind a `Mutex`"));
            }
            _ => errors.at(receiver, WHY),
        },
        _ => errors.at(&sig.ident, format!("{WHY} first: write `{}(&self, ..)`", sig.ident)),
    }
}

fn plain_parameters(sig: &Signature, errors: &mut Errors) {
    for input in &sig.inputs {
        let (attrs, pat) = match input {
            FnArg::Receiver(receiver) => (&receiver.attrs, None),
            FnArg::Typed(typed) => (&typed.attrs, Some(&*typed.pat)),
        };
        for attr in attrs {
            errors.at(attr, "an `#[api]` method has no attributes on its parameters");
        }
        match pat {
            None => {}
            Some(Pat::Ident(pat)) => {
                if let Some(word) = pat.mutability {
                    errors.at(
                        word,
                        format!("`mut` belongs in the implementation: write `{}` here", pat.ident),
                    );
                }
                if let Some(word) = pat.by_ref {
                    errors.at(word, format!("arguments are owned: write `{}` here", pat.ident));
                }
                if let Some((at, sub)) = &pat.subpat {
                    let both = [at.to_token_stream(), sub.to_token_stream()];
                    errors.at(Tokens(&both), "an argument is a plain name, without a pattern");
                }
            }
            Some(Pat::Wild(pat)) => {
                errors.at(pat, "an argument needs a name: the client's method takes it too");
            }
            Some(pat) => errors
                .at(pat, "an argument is a plain name: take the value apart in the implementation"),
        }
    }
}

/// Several pieces under one error.
struct Tokens<'t>(&'t [proc_macro2::TokenStream]);

impl ToTokens for Tokens<'_> {
    fn to_tokens(&self, tokens: &mut proc_macro2::TokenStream) {
        tokens.extend(self.0.iter().cloned());
    }
}

/// The types of the parameters after `self`, with their place.
fn parameter_types(sig: &Signature) -> impl Iterator<Item = (usize, &Type)> {
    let typed = sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(&*typed.ty),
        FnArg::Receiver(_) => None,
    });
    typed.enumerate()
}

fn context_comes_first(sig: &Signature, errors: &mut Errors) {
    for (place, ty) in parameter_types(sig) {
        let Type::Reference(reference) = bare(ty) else { continue };
        if !is_context(ty) {
            continue;
        }
        if place > 0 {
            errors.at(ty, "`&Context` comes first, right after `&self`");
        } else if let Some(word) = reference.mutability {
            errors.at(word, "the context is shared: write `&Context`");
        } else if let Some(lifetime) = &reference.lifetime {
            errors.at(lifetime, "an `#[api]` method has no lifetimes: write `&Context`");
        }
    }
}

fn owned_arguments(sig: &Signature, errors: &mut Errors) {
    for (_, ty) in parameter_types(sig).filter(|(_, ty)| !is_context(ty)) {
        owned(ty, "an argument", true, errors);
    }
}

fn owned_reply(sig: &Signature, errors: &mut Errors) {
    if let ReturnType::Type(_, ty) = &sig.output {
        owned(ty, "a reply", true, errors);
    }
}

fn few_arguments(sig: &Signature, errors: &mut Errors) {
    let args = parameter_types(sig).filter(|(_, ty)| !is_context(ty)).count();
    if args > MAX_ARGS {
        errors.at(
            &sig.ident,
            format!("`{}` takes {args} arguments, at most {MAX_ARGS} are possible: put them in a struct", sig.ident),
        );
    }
}

/// A transparent service can be implemented by its client.
pub(crate) fn transparent(
    item: &ItemTrait,
    methods: &[Method],
    marked: &[Ident],
    errors: &mut Errors,
) {
    for method in methods {
        transparent_result(method, errors);
        transparent_context(method, errors);
    }
    for member in &item.items {
        if let TraitItem::Fn(function) = member {
            transparent_complete(function, marked, errors);
        }
    }
}

fn transparent_result(method: &Method, errors: &mut Errors) {
    if last_segment(&method.reply).is_none_or(|last| last.ident != "Result") {
        let reply = names::readable(&method.reply);
        errors.at(
            &method.reply,
            format!(
                "a `transparent` service may fail in transport too: write `Result<{reply}, E>` \
                 with `E: From<CallError>`"
            ),
        );
    }
}

fn transparent_context(method: &Method, errors: &mut Errors) {
    if method.takes_context {
        errors.at(
            &method.ident,
            format!(
                "a client has no `&Context` to give: remove it from `{}`, or leave out `transparent`",
                method.ident
            ),
        );
    }
}

fn transparent_complete(function: &TraitItemFn, marked: &[Ident], errors: &mut Errors) {
    let name = &function.sig.ident;
    if function.default.is_none() && !marked.contains(name) {
        errors.at(
            name,
            format!(
                "a client cannot run `{name}`: give it a default body, mark it `#[api]`, or leave \
                 out `transparent`"
            ),
        );
    }
}
