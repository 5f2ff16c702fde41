//! `#[plugin]`: the hooks that an `impl Plugin` has are those that it writes.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, format_ident, quote};
use syn::ext::IdentExt as _;
use syn::{Attribute, Error, ImplItem, Item, ItemImpl, parse_quote};

use crate::args;
use crate::recover::Errors;

/// The methods of `Plugin` that are hooks, and the constants of `Hooks` that name them.
const HOOKS: [(&str, &str); 9] = [
    ("before", "BEFORE"),
    ("around", "AROUND"),
    ("after", "AFTER"),
    ("start", "START"),
    ("stop", "STOP"),
    ("ready", "READY"),
    ("drained", "DRAINED"),
    ("status_changed", "STATUS"),
    ("updated", "UPDATED"),
];

/// `#[plugin(args)] item`.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let krate = krate(args, &mut errors);
    let item = match syn::parse2(item.clone()) {
        Ok(Item::Impl(mut item)) => {
            fill_in(&mut item, &krate, &mut errors);
            item.into_token_stream()
        }
        Ok(other) => {
            errors.push(Error::new(first(&other), NOT_AN_IMPL));
            other.into_token_stream()
        }
        Err(error) => {
            errors.push(error);
            item
        }
    };
    let errors = errors.into_tokens();
    quote!(#item #errors)
}

const NOT_AN_IMPL: &str = "`#[plugin]` goes on `impl Plugin for ..`";

/// Where nebula is.
fn krate(args: TokenStream, errors: &mut Errors) -> TokenStream {
    let mut krate = None;
    for option in args::options(args, errors) {
        match option.name.unraw().to_string().as_str() {
            "crate" => krate = option.path(errors),
            name => errors.at(
                &option.name,
                format!("`#[plugin]` has no option `{name}`: it knows `crate` alone"),
            ),
        }
    }
    krate.map_or_else(|| quote!(::nebula), |path| path.into_token_stream())
}

/// Adds the constant, unless it cannot be known.
fn fill_in(item: &mut ItemImpl, krate: &TokenStream, errors: &mut Errors) {
    let names_plugin = item.trait_.as_ref().is_some_and(|(path, _)| {
        path.segments.last().is_some_and(|segment| segment.ident == "Plugin")
    });
    if !names_plugin {
        return errors.at_span(item.impl_token.span, NOT_AN_IMPL);
    }
    let (mut steps, before) = (Vec::new(), errors.count());
    for member in &item.items {
        match member {
            ImplItem::Const(constant) if constant.ident == "HOOKS" => {
                errors.at(&constant.ident, "`#[plugin]` fills in `HOOKS`: leave one of the two out")
            }
            ImplItem::Macro(hidden) => errors.at(
                &hidden.mac.path,
                "`#[plugin]` does not see the hooks that a macro writes: write them out, or write \
                 `HOOKS` and leave `#[plugin]` out",
            ),
            ImplItem::Fn(method) => {
                if let Some(hook) = hook(&method.sig.ident) {
                    let conditions = conditions(&method.attrs);
                    steps.push(quote! {
                        #(#conditions)*
                        let hooks = hooks.and(#krate::plugin::Hooks::#hook);
                    });
                }
            }
            _ => {}
        }
    }
    if errors.count() == before {
        item.items.insert(
            0,
            parse_quote! {
                const HOOKS: #krate::plugin::Hooks = {
                    let hooks = #krate::plugin::Hooks::NONE;
                    #(#steps)*
                    hooks
                };
            },
        );
    }
}

fn hook(method: &Ident) -> Option<Ident> {
    let name = method.unraw().to_string();
    let (_, constant) = HOOKS.iter().find(|(known, _)| *known == name)?;
    Some(format_ident!("{constant}"))
}

/// What a hook depends on, its constant depends on.
fn conditions(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg"))
}

/// Where the item begins that is no `impl`, behind its attributes: all of it would be underlined.
fn first(item: &Item) -> Span {
    let of_attribute = |token: &TokenTree| match token {
        TokenTree::Punct(punct) => punct.as_char() == '#',
        TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Bracket,
        _ => false,
    };
    let token = item.to_token_stream().into_iter().find(|token| !of_attribute(token));
    token.map_or_else(Span::call_site, |token| token.span())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the macro makes of it, without white space.
    fn expanded(args: &str, item: &str) -> String {
        let text = expand(args.parse().unwrap(), item.parse().unwrap()).to_string();
        text.split_whitespace().collect()
    }

    #[test]
    fn the_hooks_that_are_written_are_the_ones_there_are() {
        let text = expanded(
            "",
            "impl nebula::plugin::Plugin for Watch {
                fn name(&self) -> Cow<'static, str> { \"watch\".into() }
                fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> { Ok(()) }
                #[cfg(feature = \"end\")] #[inline]
                fn after(&self, call: &mut Finished<'_>) {}
                async fn status_changed(&self, host: &Host, old: &S, new: &S) {}
            }",
        );
        let constant = "constHOOKS:::nebula::plugin::Hooks={\
                            lethooks=::nebula::plugin::Hooks::NONE;\
                            lethooks=hooks.and(::nebula::plugin::Hooks::BEFORE);\
                            #[cfg(feature=\"end\")]\
                            lethooks=hooks.and(::nebula::plugin::Hooks::AFTER);\
                            lethooks=hooks.and(::nebula::plugin::Hooks::STATUS);\
                            hooks};";
        let (head, rest) = text.split_once(constant).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(head, "implnebula::plugin::PluginforWatch{");
        assert!(rest.starts_with("fnname(") && !rest.contains("compile_error"), "{text}");
    }

    #[test]
    fn one_without_hooks_has_none() {
        let text = expanded("crate = \"my::neb\"", "impl<T> Plugin for Watch<T> {}");
        let constant = "constHOOKS:my::neb::plugin::Hooks={lethooks=my::neb::plugin::Hooks::NONE;\
                        hooks};";
        assert_eq!(text, format!("impl<T>PluginforWatch<T>{{{constant}}}"));
    }

    #[test]
    fn what_it_cannot_do_it_says_and_the_item_survives() {
        for (args, item, message) in [
            ("", "impl Plugin for W { const HOOKS: Hooks = Hooks::ALL; }", "leave one of the two"),
            ("", "impl Plugin for W { hooks!(); }", "a macro writes"),
            ("", "impl W { fn before() {} }", "goes on `impl Plugin"),
            ("", "impl Debug for W { }", "goes on `impl Plugin"),
            ("", "#[derive(Debug)] struct W;", "goes on `impl Plugin"),
            ("hooks = \"x\"", "impl Plugin for W {}", "no option `hooks`"),
        ] {
            let text = expand(args.parse().unwrap(), item.parse().unwrap()).to_string();
            assert!(text.contains(message), "{text}");
            let kept: String = item.split_whitespace().take(3).collect();
            let text: String = text.split_whitespace().collect();
            assert!(text.starts_with(&kept), "{text}");
        }
    }
}
