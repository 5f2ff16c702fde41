//! A service as plain data: what the user wrote, sorted by what it is for.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::{
    Attribute, FnArg, ItemTrait, Meta, Pat, PatIdent, Path, ReturnType, TraitItem, TraitItemFn,
    Type,
};

use crate::args::{self, ApiArgs, ServiceArgs};
use crate::recover::{Errors, is_api};
use crate::{check, names};

/// One annotated trait.
pub(crate) struct Service {
    /// The trait without `#[api]`, its members in the order written.
    pub(crate) item: ItemTrait,
    /// Its `#[api]` methods that keep every rule.
    pub(crate) methods: Vec<Method>,
    /// Its `#[api]` methods that break a rule.
    pub(crate) refused: Vec<Ident>,
    pub(crate) args: ServiceArgs,
    pub(crate) wire_name: String,
    pub(crate) client: Ident,
    pub(crate) module: Ident,
    /// `::nebula`, or where the user says it is.
    pub(crate) krate: Path,
    /// How the user wrote `api` in `#[api]`, each way once.
    pub(crate) api_paths: Vec<Path>,
    /// Whether client and dispatch can be made at all.
    pub(crate) usable: bool,
}

/// One `#[api]` method.
pub(crate) struct Method {
    pub(crate) ident: Ident,
    pub(crate) marker: Ident,
    pub(crate) wire_name: String,
    /// What the wire name is written with, for errors about it.
    pub(crate) named_by: TokenStream,
    /// Its place among the `#[api]` methods as written, whatever `#[cfg]` leaves of them.
    pub(crate) index: u16,
    /// `#[cfg(..)]`: on every piece that is made of the method.
    pub(crate) cfgs: Vec<Attribute>,
    /// `#[doc]`, `#[cfg]` and `#[deprecated]`: on the client's method too.
    pub(crate) client_attrs: Vec<Attribute>,
    pub(crate) documented: bool,
    pub(crate) takes_context: bool,
    pub(crate) args: Vec<(Ident, Type)>,
    pub(crate) reply: Type,
    pub(crate) options: ApiArgs,
}

/// Sorts the trait and checks every rule.
pub(crate) fn build(mut item: ItemTrait, args: ServiceArgs, errors: &mut Errors) -> Service {
    let krate = args.krate.as_ref();
    let usable = check::the_trait(&item, krate, errors);
    let mut methods: Vec<Method> = Vec::new();
    let mut marked: Vec<Ident> = Vec::new();
    let mut refused = Vec::new();
    let mut api_paths = Vec::new();
    for member in &mut item.items {
        let api = take_api(member, krate, &mut api_paths, errors);
        if let (TraitItem::Fn(function), Some(options)) = (member, api) {
            let index = u16::try_from(marked.len()).unwrap_or(u16::MAX);
            marked.push(function.sig.ident.clone());
            let before = errors.count();
            check::the_method(function, errors);
            if errors.count() == before {
                let taken = methods.iter().map(|method| &method.marker);
                let marker = names::marker(&function.sig.ident, taken);
                let method = method(function, options, index, marker);
                if check::distinct_wire_name(&method, &methods, errors) {
                    methods.push(method);
                }
            } else {
                refused.push(function.sig.ident.clone());
            }
        }
    }
    check::has_api_methods(&item, marked.len(), errors);
    if args.transparent {
        check::transparent(&item, &methods, &marked, errors);
    }
    Service {
        wire_name: match &args.name {
            Some(name) => name.value(),
            None => item.ident.unraw().to_string(),
        },
        client: names::client(&item.ident),
        module: names::module(&item.ident),
        krate: args.krate.clone().unwrap_or_else(|| syn::parse_quote!(::nebula)),
        item,
        methods,
        refused,
        args,
        api_paths,
        usable,
    }
}

/// Removes `#[api]` from a member and reads its options.
fn take_api(
    member: &mut TraitItem,
    krate: Option<&Path>,
    paths: &mut Vec<Path>,
    errors: &mut Errors,
) -> Option<ApiArgs> {
    let attrs = match member {
        TraitItem::Fn(member) => &mut member.attrs,
        TraitItem::Const(member) => &mut member.attrs,
        TraitItem::Type(member) => &mut member.attrs,
        TraitItem::Macro(member) => &mut member.attrs,
        _ => return None,
    };
    let mut options = None;
    for attr in attrs.extract_if(.., |attr| is_api(attr, krate)) {
        let text = |path: &Path| path.to_token_stream().to_string();
        if paths.iter().all(|path| text(path) != text(attr.path())) {
            paths.push(attr.path().clone());
        }
        if options.is_some() {
            errors.at(attr, "`#[api]` is written twice: put all options into one");
            continue;
        }
        let tokens = match attr.meta {
            Meta::List(list) => list.tokens,
            Meta::Path(_) => TokenStream::new(),
            Meta::NameValue(pair) => {
                errors.at(pair, "options go in parentheses: `#[api(idempotent)]`");
                TokenStream::new()
            }
        };
        options = Some(args::api(tokens, errors));
    }
    options
}

fn method(function: &TraitItemFn, options: ApiArgs, index: u16, marker: Ident) -> Method {
    let sig = &function.sig;
    let mut typed = sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    let takes_context = typed.clone().next().is_some_and(|first| is_context(&first.ty));
    if takes_context {
        typed.next();
    }
    let args = typed.filter_map(|typed| match &*typed.pat {
        Pat::Ident(PatIdent { ident, .. }) => Some((ident.clone(), (*typed.ty).clone())),
        _ => None,
    });
    let only = |name: &str| {
        let named = function.attrs.iter().filter(|attr| attr.path().is_ident(name));
        named.cloned().collect::<Vec<_>>()
    };
    let (cfgs, docs) = (only("cfg"), only("doc"));
    let client_attrs = [&docs[..], &cfgs, &only("deprecated")].concat();
    Method {
        ident: sig.ident.clone(),
        marker,
        wire_name: match &options.name {
            Some(name) => name.value(),
            None => sig.ident.unraw().to_string(),
        },
        named_by: match &options.name {
            Some(name) => name.to_token_stream(),
            None => sig.ident.to_token_stream(),
        },
        index,
        cfgs,
        client_attrs,
        documented: !docs.is_empty(),
        takes_context,
        args: args.collect(),
        reply: reply(&sig.output, sig.ident.span()),
        options,
    }
}

/// The declared reply, `()` when none is written.
pub(crate) fn reply(output: &ReturnType, span: Span) -> Type {
    match output {
        ReturnType::Type(_, ty) => (**ty).clone(),
        ReturnType::Default => {
            let mut unit: syn::TypeTuple = syn::parse_quote!(());
            unit.paren_token = syn::token::Paren(span);
            Type::Tuple(unit)
        }
    }
}

/// A type without the invisible groups of `macro_rules` and without parentheses.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        ty => ty,
    }
}

/// The last segment of a path type, such as `Result` of `std::result::Result<T, E>`.
pub(crate) fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match bare(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// Whether a type is `&Context`.
pub(crate) fn is_context(ty: &Type) -> bool {
    match bare(ty) {
        Type::Reference(reference) => {
            last_segment(&reference.elem).is_some_and(|last| last.ident == "Context")
        }
        _ => false,
    }
}

impl Method {
    /// The names of its arguments with a comma behind each: a tuple, pattern or list.
    pub(crate) fn arg_names(&self) -> TokenStream {
        let names = self.args.iter().map(|(name, _)| name);
        quote!(#(#names,)*)
    }
}
