//! How a call reaches the implementation, and the trait for the client of a transparent service.
//! Goes into a block where `__nebula` is nebula's private module.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use crate::model::{Method, Service};

pub(crate) fn expand(service: &Service, transparent: bool) -> TokenStream {
    let (krate, ident, client) = (&service.krate, &service.item.ident, &service.client);
    // Invisible to the names of the user's arguments, which may be `cx` too.
    let cx = Ident::new("cx", Span::mixed_site());
    let arms = service.methods.iter().map(|method| arm(service, method, &cx));
    let transparent = transparent.then(|| transparent_impl(service));
    let dispatch = quote! {
        fn dispatch(
            self: ::std::sync::Arc<Self>,
            method: u16,
            #cx: #krate::Context,
            input: __nebula::Input<'_>,
        ) -> __nebula::Started {
            match method {
                #(#arms)*
                _ => input.unknown(),
            }
        }
    };
    // Where rustc lists the services of a type, it shows the traits' names.
    let provides = quote_spanned! {ident.span()=>
        impl<T: #ident> __nebula::Provides<#client> for __nebula::Provider<T> { #dispatch }
    };
    quote! {
        #[automatically_derived]
        #provides
        #transparent
    }
}

fn arm(service: &Service, method: &Method, cx: &Ident) -> TokenStream {
    let (module, contract) = (&service.module, &service.item.ident);
    let Method { cfgs, index, ident, marker, .. } = method;
    let (index, args) = (Literal::u16_unsuffixed(*index), method.arg_names());
    // By path: in scope may be another trait's method of this name that takes `self` by value.
    let body = if method.takes_context {
        quote!(#contract::#ident(&self.0, &#cx, #args).await)
    } else {
        // The context lives as long as the body: its end is what cancels.
        quote!(let _ = &#cx; #contract::#ident(&self.0, #args).await)
    };
    quote! {
        #(#cfgs)*
        #index => input.run::<#module::#marker, _, _>(#cx, move |#cx, (#args)| async move { #body }),
    }
}

fn transparent_impl(service: &Service) -> TokenStream {
    let (ident, client) = (&service.item.ident, &service.client);
    let methods = service.methods.iter().map(|method| {
        let Method { cfgs, ident, reply, .. } = method;
        let params = method.args.iter().map(|(name, ty)| quote!(#name: #ty));
        let args = method.arg_names();
        // A missing `From<CallError>` is reported at the reply.
        let into_app = quote_spanned!(reply.span()=> |error| error.into_app());
        quote! {
            #(#cfgs)*
            async fn #ident(&self, #(#params),*) -> #reply {
                #client::#ident(self, #args).await.map_err(#into_app)
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl #ident for #client { #(#methods)* }
    }
}
