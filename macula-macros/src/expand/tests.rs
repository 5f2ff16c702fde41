mod faults;

use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

use self::faults::faults;
use super::*;

/// What a trait becomes, formatted.
fn expanded(args: TokenStream, item: TokenStream) -> String {
    let tokens = service(args, item);
    match syn::parse2(tokens.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(error) => panic!("{error} in {tokens}"),
    }
}

/// Compares with the file, or writes it when `UPDATE_SNAPSHOTS` is set.
fn snapshot(name: &str, text: &str) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}.expanded.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        known == text,
        "the expansion is not the one in {}; run with UPDATE_SNAPSHOTS=1 and read the diff:\n{text}",
        file.display()
    );
}

fn users() -> (TokenStream, TokenStream) {
    let item = quote! {
        /// Finds and keeps users.
        pub trait Users {
            /// Finds one.
            #[api(idempotent)]
            async fn find(&self, id: u64) -> Option<User>;
            #[api(
                timeout = "2s", max_concurrent = 64, queue = 256, on = "&db", stragglers = "finish",
                version = 2, name = "store"
            )]
            async fn put(&self, user: User) -> Result<(), PutError>;
            #[api]
            async fn reload(&self, cx: &Context) -> u64;
            fn helper(&self) -> u32 { 7 }
            async fn private(&self, text: &str) -> u32;
        }
    };
    (quote!(global), item)
}

fn books() -> (TokenStream, TokenStream) {
    let item = quote! {
        pub(crate) trait Books {
            #[api(idempotent, spawn)]
            #[cfg(feature = "titles")]
            #[deprecated]
            async fn title(&self, id: u64) -> Result<String, BookError>;
            #[api(stragglers = "cancel", max_extensions = 3)]
            async fn r#type(&self) -> Result<Kind, BookError>;
        }
    };
    let args = quote!(
        transparent,
        name = "library",
        version = "1.2.0",
        on = "&db !@backup",
        crate = "my::nebula"
    );
    (args, item)
}

fn clock() -> (TokenStream, TokenStream) {
    let item = quote! {
        trait Clock: Send {
            #[api]
            async fn tick(&self);
            #[api]
            async fn add(&self, cx: &nebula::Context, a: Alias, b: [u8; 32]) -> Alias {
                let sum = self.sum(a, b).await;
                sum
            }
        }
    };
    (quote!(), item)
}

#[test]
fn expansions_are_as_reviewed() {
    for (name, (args, item)) in [("users", users()), ("books", books()), ("clock", clock())] {
        snapshot(name, &expanded(args, item));
    }
}

/// Lines of the formatted expansion, without the user's own trait, docs and blank lines.
fn generated_lines(args: TokenStream, item: TokenStream) -> usize {
    let mut file: syn::File = syn::parse2(service(args, item)).unwrap();
    file.items.retain(|item| !matches!(item, Item::Trait(_)));
    let text = prettyplease::unparse(&file);
    let counts = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    text.lines().filter(counts).count()
}

/// Tokens of the expansion, groups included, without the user's own trait.
fn generated_tokens(args: TokenStream, item: TokenStream) -> usize {
    fn count(tokens: TokenStream) -> usize {
        let each = tokens.into_iter().map(|token| match token {
            TokenTree::Group(group) => 1 + count(group.stream()),
            _ => 1,
        });
        each.sum()
    }
    let mut file: syn::File = syn::parse2(service(args, item)).unwrap();
    file.items.retain(|item| !matches!(item, Item::Trait(_)));
    count(quote!(#file))
}

fn of_methods(methods: usize) -> (TokenStream, TokenStream) {
    let methods = (0..methods).map(|n| {
        let name = quote::format_ident!("method_{n}");
        quote!(#[api(idempotent)] async fn #name(&self, id: u64) -> Option<User>;)
    });
    (quote!(global), quote!(pub trait Users { #(#methods)* }))
}

#[test]
fn generated_code_stays_small() {
    let (lines, tokens) = {
        let count = |n| (of_methods(n), of_methods(n));
        let (one, two) = (count(1), count(2));
        let lines = |of: (TokenStream, TokenStream)| generated_lines(of.0, of.1);
        let tokens = |of: (TokenStream, TokenStream)| generated_tokens(of.0, of.1);
        ((lines(one.0), lines(two.0)), (tokens(one.1), tokens(two.1)))
    };
    let per_method = (lines.1 - lines.0, tokens.1 - tokens.0);
    let fixed = (lines.0 - per_method.0, tokens.0 - per_method.1);
    println!("lines, tokens: {fixed:?} a trait, {per_method:?} a method");
    assert!(fixed.0 <= 60 && fixed.1 <= 640, "a trait costs {fixed:?} lines and tokens");
    assert!(per_method.0 <= 36 && per_method.1 <= 220, "a method costs {per_method:?}");
}

#[test]
fn the_same_input_gives_the_same_output() {
    let (args, item) = users();
    assert_eq!(service(args.clone(), item.clone()).to_string(), service(args, item).to_string());
}

#[test]
fn the_trait_has_rules_too() {
    let ok = quote!({
        #[api]
        async fn f(&self);
    });
    for (item, says) in [
        (quote!(trait T<A> #ok), "no type parameters"),
        (quote!(trait T<'a> #ok), "no lifetime parameters"),
        (quote!(trait T where Self: Sized #ok), "no `where` clause"),
        (quote!(unsafe trait T #ok), "not `unsafe`"),
        (quote!(auto trait T #ok), "not an `auto`"),
        (quote!(trait T: Clone #ok), "no supertraits"),
        (
            quote!(
                trait T {
                    type A;
                    #[api]
                    async fn f(&self);
                }
            ),
            "no associated types",
        ),
        (
            quote!(
                trait T {
                    const A: u8;
                    #[api]
                    async fn f(&self);
                }
            ),
            "no associated constants",
        ),
        (
            quote!(
                trait T {
                    async fn f(&self);
                }
            ),
            "no `#[api]` method",
        ),
        (
            quote!(
                struct T;
            ),
            "goes on a trait",
        ),
        (quote!(impl T for S { #[api] async fn f(&self) {} }), "goes on the trait"),
    ] {
        let text = item.to_string();
        let found = faults(quote!(), item);
        assert!(found.len() == 1 && found[0].contains(says), "{text}: {says:?} in {found:?}");
    }
}

#[test]
fn a_transparent_client_must_be_able_to() {
    let found = faults(
        quote!(transparent),
        quote! {
            trait T {
                #[api] async fn plain(&self) -> u8;
                #[api] async fn context(&self, cx: &Context) -> Result<u8, E>;
                #[api] async fn fine(&self) -> nebula::Result<u8>;
                fn required(&self);
                fn given(&self) {}
            }
        },
    );
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("write `Result<u8, E>`"));
    assert!(found[1].contains("remove it from `context`"));
    assert!(found[2].contains("cannot run `required`"));
}

#[test]
fn all_faults_come_at_once_and_the_rest_is_expanded() {
    let item = quote! {
        pub trait Users: Clone {
            #[api(timeout = "0s")]
            async fn find(&self, id: u64) -> u64;
            #[api]
            fn bad(&mut self, name: &str);
            const N: u8;
        }
    };
    let found = faults(quote!(bogus, global), item.clone());
    assert_eq!(found.len(), 7, "{found:?}");
    let text = expanded(quote!(bogus, global), item);
    for kept in
        ["pub struct UsersClient", "pub fn find", ".global()", "fn bad(&mut self", "const N"]
    {
        assert!(text.contains(kept), "{kept} is not in {text}");
    }
    assert!(
        !text.contains("pub fn bad") && !text.contains("#[api]\n") && !text.contains("#[api(t"),
        "{text}"
    );
}

#[test]
fn cfg_may_choose_between_two_methods_of_one_name() {
    let item = quote! {
        trait T {
            #[cfg(unix)] #[api] async fn f(&self) -> u8;
            #[cfg(not(unix))] #[api] async fn f(&self) -> u16;
        }
    };
    assert_eq!(faults(quote!(), item), Vec::<String>::new());
}

#[test]
fn no_input_panics() {
    for source in [
        "",
        "trait",
        "trait T",
        "trait T {",
        "enum E {}",
        "mod m;",
        "fn f() {}",
        "use a::b;",
        "trait T = Send;",
        "pub trait T { #[api(} ",
        "trait T { #[api()] async fn f(&self); }",
        "trait T { m!(); #[api] async fn f(&self) -> m!(); }",
        "pub(in self) trait T { }",
        "#![x] trait T { #![y] #[api] async fn f(&self) { #![z] } }",
    ] {
        if let Ok(tokens) = source.parse::<TokenStream>() {
            for args in ["", ",", "=", "global global", "name", "crate = \"\"", "on = ,", "(", "#"]
            {
                if let Ok(args) = args.parse() {
                    service(args, tokens.clone());
                }
            }
            sel(tokens.clone());
            recover::api_alone(quote!(), tokens);
        }
    }
}

#[test]
fn a_selector_is_made_once() {
    let text = sel(quote!(&db | !@"a@h")).to_string();
    assert!(text.contains("parse_selector (\"&db | !@\\\"a@h\\\"\")"), "{text}");
    assert!(sel(quote!(db)).to_string().contains("compile_error"));
}

#[test]
fn a_service_may_have_methods_called_as_those_of_clients() {
    let of = |name: &str| {
        let name = quote::format_ident!("{name}");
        expanded(quote!(), quote!(trait Clock { #[api] async fn #name(&self) -> u32; }))
    };
    assert!(of("tick").contains("-> ::core::result::Result<Self, ::nebula::BadVersion>"));
    assert!(of("version").contains("-> ::core::result::Result<Self, ::nebula::BadServiceName>"));
    assert!(!of("version").contains("BadVersion"), "its own takes the place of the client's");
    assert!(!of("named").contains("BadServiceName"), "its own takes the place of the client's");
}
