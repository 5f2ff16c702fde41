//! `topology!`: a module of constants and of a `sel!` that know the nodes of a file.
//!
//! The file is read while the macro expands, and named by `include_bytes!` in the expansion, so
//! that an edit compiles the crate anew. What the expansion carries is not the file but its
//! nodes, as a line of text each ([`Known::compact`]): `topology()` cannot fail, and cannot differ
//! from what was checked.

mod constants;
pub(crate) mod hidden;
mod known;
mod read;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, LitStr, Token, Visibility};

use self::constants::{constants, ident};
use self::known::Known;
use crate::clause::short_name;
use crate::recover::Errors;
use crate::{expand, krate, selector};

pub(crate) use self::known::hint;

/// How many names the doc of a constant lists.
const LISTED: usize = 20;

/// `topology!(tokens)`.
pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    let (krate, rest) = match krate::split(tokens) {
        Ok(parts) => parts,
        Err(error) => return error.to_compile_error(),
    };
    let declared = match absolute(&krate).and_then(|()| syn::parse2::<Declared>(rest)) {
        Ok(declared) => declared,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let path = declared.path.value();
    let (known, readable) = match nodes(&path) {
        Ok(known) => (known, true),
        Err(fault) => {
            errors.at(&declared.path, fault);
            (Known::default(), false)
        }
    };
    let module = module(&krate, &declared, &known, readable, &mut errors);
    let errors = errors.into_tokens();
    quote!(#module #errors)
}

/// `[path of nebula] "known nodes" tokens`: what the generated `sel!` becomes.
pub(crate) fn sel(tokens: TokenStream) -> TokenStream {
    let mut tokens = tokens.into_iter();
    let (Some(TokenTree::Group(krate)), Some(known)) = (tokens.next(), tokens.next()) else {
        return TokenStream::new();
    };
    let known = Known::from_compact(&selector::string(&known).unwrap_or_default());
    expand::selector(&krate.stream(), known.select(tokens.collect()))
}

/// `attributes visibility mod name = "path"`, or the path alone.
struct Declared {
    attrs: Vec<Attribute>,
    vis: Visibility,
    name: Ident,
    path: LitStr,
}

impl Parse for Declared {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        const FORM: &str = "write `topology!(mod cluster = \"nebula.toml\")`, or the path alone";
        let attrs = input.call(Attribute::parse_outer)?;
        let vis: Visibility = input.parse()?;
        let name = match input.peek(Token![mod]) {
            true => {
                input.parse::<Token![mod]>()?;
                let name = input.parse()?;
                input.parse::<Token![=]>().map_err(|error| Error::new(error.span(), FORM))?;
                name
            }
            false => format_ident!("topology"),
        };
        let path = input.parse().map_err(|error: Error| Error::new(error.span(), FORM))?;
        // The `;` of an item, which the outer one needs besides.
        input.parse::<Option<Token![;]>>()?;
        match input.is_empty() {
            true => Ok(Self { attrs, vis, name, path }),
            false => Err(input.error(FORM)),
        }
    }
}

/// The path is used one module further in.
fn absolute(krate: &TokenStream) -> syn::Result<()> {
    match krate.clone().into_iter().next() {
        Some(TokenTree::Ident(first)) if first != "crate" => Err(Error::new(
            first.span(),
            "a path from the root is needed here: begin it with `crate::` or `::`",
        )),
        _ => Ok(()),
    }
}

fn nodes(path: &str) -> Result<Known, String> {
    if path.starts_with(['/', '\\']) || Path::new(path).is_absolute() {
        return Err(format!(
            "`{path}` begins at the root of one machine: write the path from the folder of the \
             `Cargo.toml`"
        ));
    }
    let Some(base) = std::env::var_os("CARGO_MANIFEST_DIR") else {
        return Err("only Cargo says from where paths count: build with it".to_owned());
    };
    let read = || -> io::Result<String> {
        let mut text = String::new();
        // One byte more than is allowed shows that there is more.
        let file = File::open(Path::new(&base).join(path))?;
        file.take(read::MAX_FILE + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error| {
        let what = match error.kind() {
            io::ErrorKind::NotFound => format!("there is no file `{path}`"),
            _ => format!("`{path}` cannot be read: {error}"),
        };
        let package = std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "this crate".into());
        format!("{what}; the path counts from the folder of the `Cargo.toml` of `{package}`")
    })?;
    read::read(&text).map_err(|fault| format!("`{path}`, {fault}"))
}

fn module(
    krate: &TokenStream,
    declared: &Declared,
    known: &Known,
    readable: bool,
    errors: &mut Errors,
) -> TokenStream {
    let Declared { attrs, vis, name, path } = declared;
    let text = path.value();
    let below = format!("/{text}");
    let included = quote!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), #below));
    // An edit of the file must be noticed; one that is missing has been reported.
    let tracked = readable.then(|| {
        quote!(
            const _: &[u8] = ::core::include_bytes!(#included);
        )
    });
    let about = format!(" The nodes of `{text}`, known when this is compiled.");
    let compact = known.compact();

    let (tags, clashes) = constants(known.tags().into_iter());
    clashes.iter().for_each(|clash| errors.at(path, format!("`{text}`: the tags {clash}")));
    let tags = tags.into_iter().map(|(constant, tag)| {
        let carriers = known.nodes.iter().filter(|(_, tags)| tags.contains(tag));
        let doc = format!(" The tag `{tag}`, of {}.", list(carriers.map(|(node, _)| node)));
        let constant = ident(&constant);
        quote! {
            #[doc = #doc]
            pub const #constant: #krate::nodes::Tag = #krate::nodes::Tag::new(#tag);
        }
    });

    let names = known.nodes.keys().flat_map(|name| [name.as_str(), short_name(name)]);
    let (nodes, clashes) = constants(names);
    clashes.iter().for_each(|clash| errors.at(path, format!("`{text}`: the nodes {clash}")));
    let nodes = nodes.into_iter().map(|(constant, name)| {
        let doc = about_node(known, name);
        let constant = ident(&constant);
        quote! {
            #[doc = #doc]
            pub const #constant: #krate::nodes::NodeName = #krate::nodes::NodeName::new(#name);
        }
    });

    quote! {
        #(#attrs)*
        #[doc = #about]
        #[allow(clippy::all, clippy::nursery, clippy::pedantic, clippy::restriction)]
        #[allow(dead_code, nonstandard_style, unreachable_pub, unused_imports, unused_macros)]
        #vis mod #name {
            #[doc = " The tags, as constants for selectors."]
            pub mod tags { #(#tags)* }
            #[doc = " The nodes by full name and by short name, as constants for selectors."]
            pub mod nodes { #(#nodes)* }
            #[doc = " The nodes with their tags."]
            pub fn topology() -> #krate::Topology {
                #krate::__private::topology(#compact)
            }
            #[doc = " A selector whose tags and nodes must be among these."]
            macro_rules! sel {
                ($($tokens:tt)*) => {
                    #krate::__private::sel_of! { [#krate] #compact $($tokens)* }
                };
            }
            pub(crate) use sel;
            #tracked
        }
    }
}

fn about_node(known: &Known, name: &str) -> String {
    let meant = known.nodes.iter().filter(|(node, _)| *node == name || short_name(node) == name);
    let meant: Vec<_> = meant.collect();
    match meant.as_slice() {
        [(node, tags)] => match tags.len() {
            0 => format!(" The node `{node}`, which has no tags."),
            1 => format!(" The node `{node}`, with the tag {}.", list(tags.iter())),
            _ => format!(" The node `{node}`, with the tags {}.", list(tags.iter())),
        },
        several => format!(" The nodes {}.", list(several.iter().map(|(node, _)| *node))),
    }
}

fn list<'a>(words: impl Iterator<Item = &'a String>) -> String {
    let words: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    match words.get(LISTED..) {
        Some(more @ [_, ..]) => format!("{} and {} more", words[..LISTED].join(", "), more.len()),
        _ => words.join(", "),
    }
}

#[cfg(test)]
mod tests;
