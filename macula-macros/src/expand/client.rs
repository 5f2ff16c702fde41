//! The client, and what nebula knows of each method: a marker type and its description.

use proc_macro2::{Group, Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Type, Visibility};

use crate::args::Stragglers;
use crate::model::{Method, Service, bare, last_segment};
use crate::names;

pub(crate) fn expand(service: &Service, lints: &TokenStream) -> TokenStream {
    let (krate, ident, client) = (&service.krate, &service.item.ident, &service.client);
    let vis = &service.item.vis;
    let hidden = service.item.attrs.iter().filter(|attr| {
        let list = attr.meta.require_list();
        attr.path().is_ident("doc") && list.is_ok_and(|list| list.tokens.to_string() == "hidden")
    });
    let about = [
        format!(" Calls [`{ident}`], wherever it is provided: one method for each of its"),
        " `#[api]` methods, whose calls are set up before they are awaited. Cheap to clone.".into(),
    ];
    // An error about the client shows the name of the trait, one about a method its name.
    let definition = {
        let vis = spanned(vis.to_token_stream(), client.span());
        quote_spanned!(client.span()=> #vis struct #client(#krate::__private::Handle<#client>);)
    };
    quote! {
        #(#hidden)*
        #(#[doc = #about])*
        #lints
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #definition
    }
}

/// The methods of the client and their markers; goes into the same block as [`descriptions`].
pub(crate) fn methods(service: &Service) -> TokenStream {
    let (krate, ident, client) = (&service.krate, &service.item.ident, &service.client);
    let vis = &service.item.vis;
    let (module, inner_vis) = (&service.module, one_deeper(vis));
    let markers = service.methods.iter().map(|method| {
        let (cfgs, marker) = (&method.cfgs, &method.marker);
        let vis = spanned(inner_vis.clone(), marker.span());
        let marker = quote_spanned!(marker.span()=> #vis struct #marker;);
        quote!(#(#cfgs)* #marker)
    });
    let methods = service.methods.iter().map(|method| client_method(service, method));
    let (named, version) = narrowed(service);
    quote! {
        #vis mod #module { #(#markers)* }

        impl #client {
            /// A client whose calls go through `node`: to any node that provides the service.
            #vis fn new(node: &#krate::Node) -> Self {
                Self(__nebula::Handle::new(node))
            }

            #named

            /// A client that calls `service` itself, without node and network: the mock of a test.
            #vis fn local(service: impl #ident) -> Self {
                Self(__nebula::Handle::local(service))
            }

            /// The same client with other defaults for its calls.
            #vis fn with(
                &self,
                set: impl ::core::ops::FnOnce(#krate::Options) -> #krate::Options,
            ) -> Self {
                Self(__nebula::Handle::with(&self.0, set))
            }

            #version

            /// The same client for a task that a handler spawns: its calls inherit the deadline
            /// and the cancellation of `cx`.
            #vis fn within(&self, cx: &#krate::Context) -> Self {
                Self(__nebula::Handle::within(&self.0, cx))
            }

            #(#methods)*
        }
    }
}

/// What makes a client for a service of another name, and for some versions, unless the service has
/// a method of that name itself.
fn narrowed(service: &Service) -> (Option<TokenStream>, Option<TokenStream>) {
    let (krate, vis) = (&service.krate, &service.item.vis);
    let free = |name: &str| service.methods.iter().all(|method| method.ident != name);
    let version = free("version").then(|| {
        quote! {
            /// The same client for services of such a version: `>=1.2`, `^1.4`, `>=1.2, <2`.
            ///
            /// # Errors
            ///
            /// The text is no requirement.
            #vis fn version(
                &self,
                requirement: &::core::primitive::str,
            ) -> ::core::result::Result<Self, #krate::BadVersion> {
                __nebula::Handle::version(&self.0, requirement).map(Self)
            }
        }
    });
    let named = free("named").then(|| {
        quote! {
            /// The same for the service that was started under this name.
            ///
            /// # Errors
            ///
            /// No service can be called so.
            #vis fn named(
                node: &#krate::Node,
                name: &::core::primitive::str,
            ) -> ::core::result::Result<Self, #krate::BadServiceName> {
                __nebula::Handle::named(node, name).map(Self)
            }
        }
    });
    (named, version)
}

/// What nebula knows of the service and of each method; goes into a block where `__nebula` is
/// nebula's private module.
pub(crate) fn descriptions(service: &Service) -> TokenStream {
    let client = &service.client;
    let impls = service.methods.iter().map(|method| method_impl(service, method));
    let info = service_info(service);
    let service = quote_spanned! {client.span()=>
        impl __nebula::Service for #client {
            const INFO: &'static __nebula::ServiceInfo = &#info;
        }
    };
    quote! {
        #(#impls)*
        #service
    }
}

/// The markers live one module deeper, and must be seen exactly as far as the trait: further, and
/// a private argument type would leak; less, and the client could not name them.
fn one_deeper(vis: &Visibility) -> TokenStream {
    let Visibility::Restricted(restricted) = vis else {
        return match vis {
            Visibility::Inherited => quote!(pub(super)),
            vis => vis.to_token_stream(),
        };
    };
    let path = &restricted.path;
    let first = path.segments.first().map(|first| first.ident.to_string());
    let rest = path.segments.iter().skip(1);
    match first.as_deref() {
        Some("self") => quote!(pub(in super #(::#rest)*)),
        Some("super") => quote!(pub(in super::#path)),
        _ => vis.to_token_stream(),
    }
}

/// The same tokens, as if they stood at `span`.
fn spanned(tokens: TokenStream, span: Span) -> TokenStream {
    let moved = tokens.into_iter().map(|token| match token {
        TokenTree::Group(group) => {
            let mut moved = Group::new(group.delimiter(), spanned(group.stream(), span));
            moved.set_span(span);
            TokenTree::Group(moved)
        }
        mut token => {
            token.set_span(span);
            token
        }
    });
    moved.collect()
}

fn client_method(service: &Service, method: &Method) -> TokenStream {
    let (krate, module, vis) = (&service.krate, &service.module, &service.item.vis);
    let Method { ident, marker, client_attrs, .. } = method;
    let params = method.args.iter().map(|(name, ty)| quote!(#name: #ty));
    let args = method.arg_names();
    let gap = method.documented.then(|| quote!(#[doc = ""]));
    let returns = format!(" Returns `{}`.", names::readable(&method.reply));
    quote! {
        #(#client_attrs)* #gap #[doc = #returns]
        #vis fn #ident(&self, #(#params),*) -> #krate::Call<'_, #module::#marker> {
            __nebula::Handle::call(&self.0, (#args))
        }
    }
}

fn method_impl(service: &Service, method: &Method) -> TokenStream {
    let (krate, client, module) = (&service.krate, &service.client, &service.module);
    let Method { marker, cfgs, reply, .. } = method;
    let (args, assertions) = arguments(method);
    let (shape, info) = (shape(reply), method_info(service, method));
    let name = marker.span();
    let idempotent = method.options.idempotent.then(|| {
        let idempotent = quote_spanned!(name=> impl #krate::Idempotent for #module::#marker {});
        quote!(#(#cfgs)* #idempotent)
    });
    let reply = quote_spanned!(reply.span()=> type Reply = #reply;);
    let described = quote_spanned! {name=>
        impl __nebula::Method for #module::#marker {
            type Api = #client;
            #args
            #reply
            type Shape = #shape;
            const INFO: &'static __nebula::MethodInfo = &#info;
        }
    };
    quote! {
        #(#cfgs)*
        #described
        #idempotent
        #assertions
    }
}

/// Whether the reply is a `Result`: written down where its name tells, so that an editor needs to
/// evaluate nothing, and asked of the type where it does not.
fn shape(reply: &Type) -> TokenStream {
    let told = match (bare(reply), last_segment(reply)) {
        (Type::Tuple(_), _) => Some(false),
        (_, Some(last)) if last.ident == "Result" => Some(true),
        (_, Some(last)) if ["Option", "Vec"].iter().any(|name| last.ident == name) => Some(false),
        _ if is_primitive(reply) => Some(false),
        _ => None,
    };
    let result = match told {
        Some(result) => quote!(#result),
        None => quote! {{
            #[allow(unused_imports)]
            use __nebula::ProbeFallback as _;
            __nebula::Probe::<#reply>::RESULT
        }},
    };
    // From the first token to the last it spans the reply: a reply that cannot cross the mesh is
    // reported where it is written.
    let (first, last) = ends(reply);
    let nebula = Ident::new("__nebula", first);
    let close = quote_spanned!(last=> >);
    quote!(#nebula::Shape<#result #close)
}

/// The spans of the first and the last token.
fn ends(ty: &Type) -> (Span, Span) {
    let mut tokens = ty.to_token_stream().into_iter().map(|token| token.span());
    let first = tokens.next().unwrap_or_else(Span::call_site);
    (first, tokens.last().unwrap_or(first))
}

/// Types that cross the mesh whatever a user defines; `()` is one of them.
fn is_primitive(ty: &Type) -> bool {
    const NAMES: [&str; 17] = [
        "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64",
        "i128", "isize", "f32", "f64", "String",
    ];
    match bare(ty) {
        Type::Tuple(tuple) => tuple.elems.is_empty(),
        Type::Path(path) => NAMES.iter().any(|name| path.path.is_ident(name)),
        _ => false,
    }
}

fn method_info(service: &Service, method: &Method) -> TokenStream {
    let (service_name, name, index) = (&service.wire_name, &method.wire_name, method.index);
    let index = Literal::u16_unsuffixed(index);
    let signature = names::signature(method.args.iter().map(|(_, ty)| ty), &method.reply);
    let options = &method.options;
    let mut chain = quote! {
        __nebula::MethodInfo::new(#service_name, #name, #signature).index(#index)
    };
    chain.extend(options.idempotent.then(|| quote!(.idempotent())));
    chain.extend(
        options.timeout_ms.map(Literal::u64_unsuffixed).map(|time| quote!(.timeout_ms(#time))),
    );
    chain.extend(
        options
            .max_concurrent
            .map(Literal::u32_unsuffixed)
            .map(|bodies| quote!(.max_concurrent(#bodies))),
    );
    chain.extend(options.queue.map(Literal::u32_unsuffixed).map(|calls| quote!(.queue(#calls))));
    chain.extend(options.on.as_ref().map(|selector| quote!(.on(#selector))));
    chain.extend(policy(options.policy.as_ref()));
    chain.extend(options.stragglers.map(stragglers));
    chain.extend(options.max_extensions.map(extensions));
    chain.extend(options.spawn.then(|| quote!(.spawn())));
    chain.extend(
        options.version.map(Literal::u32_unsuffixed).map(|version| quote!(.version(#version))),
    );
    chain
}

fn policy(variant: Option<&Ident>) -> Option<TokenStream> {
    variant.map(|variant| quote!(.policy(__nebula::Policy::#variant)))
}

fn service_info(service: &Service) -> TokenStream {
    let (module, name) = (&service.module, &service.wire_name);
    let methods = service.methods.iter().map(|Method { cfgs, marker, .. }| {
        quote!(#(#cfgs)* <#module::#marker as __nebula::Method>::INFO)
    });
    let args = &service.args;
    let mut chain = quote!(__nebula::ServiceInfo::new(#name, &[#(#methods),*]));
    chain.extend(args.global.then(|| quote!(.global())));
    chain.extend(args.version.as_ref().map(|version| quote!(.version(#version))));
    chain.extend(args.on.as_ref().map(|selector| quote!(.on(#selector))));
    chain.extend(policy(args.policy.as_ref()));
    chain.extend(args.timeout_ms.map(Literal::u64_unsuffixed).map(|ms| quote!(.timeout_ms(#ms))));
    chain.extend(
        args.max_concurrent
            .map(Literal::u32_unsuffixed)
            .map(|bodies| quote!(.max_concurrent(#bodies))),
    );
    chain.extend(args.queue.map(Literal::u32_unsuffixed).map(|calls| quote!(.queue(#calls))));
    chain.extend(args.stragglers.map(stragglers));
    chain.extend(args.max_extensions.map(extensions));
    chain.extend(args.transparent.then(|| quote!(.transparent())));
    chain
}

fn stragglers(stragglers: Stragglers) -> TokenStream {
    match stragglers {
        Stragglers::Cancel => quote!(.stragglers_cancel()),
        Stragglers::Finish => quote!(.stragglers_finish()),
    }
}

fn extensions(extensions: u32) -> TokenStream {
    let extensions = Literal::u32_unsuffixed(extensions);
    quote!(.max_extensions(#extensions))
}

/// The type of the arguments, a tuple, and what reports an argument that cannot cross the mesh where it
/// is written: the tuple itself if it is the only one, and an assertion for each of several.
/// Primitive types need none.
fn arguments(method: &Method) -> (TokenStream, TokenStream) {
    let types = method.args.iter().map(|(_, ty)| ty).collect::<Vec<_>>();
    let at = match types[..] {
        [only] => only.span(),
        _ => method.ident.span(),
    };
    let tuple = quote_spanned!(at=> type Args = (#(#types,)*););
    let mut seen = Vec::new();
    let mut assertions = TokenStream::new();
    for ty in types.iter().filter(|ty| types.len() > 1 && !is_primitive(ty)) {
        let text = names::readable(ty);
        if !seen.contains(&text) {
            let cfgs = &method.cfgs;
            let assertion = quote_spanned!(ty.span()=> assert_wire::<#ty>());
            assertions.extend(quote!(#(#cfgs)* __nebula::#assertion;));
            seen.push(text);
        }
    }
    (tuple, assertions)
}
