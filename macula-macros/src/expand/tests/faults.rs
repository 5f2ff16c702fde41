//! What is refused of a method, and in which words.

use super::*;

/// The messages of a refused trait.
pub(super) fn faults(args: TokenStream, item: TokenStream) -> Vec<String> {
    let file: syn::File = syn::parse2(service(args, item)).expect("what is left still parses");
    let macros = file.items.iter().filter_map(|item| match item {
        Item::Macro(item) => syn::parse2::<syn::LitStr>(item.mac.tokens.clone()).ok(),
        _ => None,
    });
    macros.map(|message| message.value()).collect()
}

fn method_faults(method: TokenStream) -> Vec<String> {
    faults(quote!(), quote!(trait T { #[api] async fn ok(&self); #[api] #method }))
}

#[test]
fn every_rule_has_its_message() {
    for (method, says) in [
        (
            quote!(
                fn f(&self);
            ),
            "write `async fn f`",
        ),
        (
            quote!(
                async fn f(&mut self);
            ),
            "takes `&self`",
        ),
        (
            quote!(
                async fn f(self);
            ),
            "takes `&self`",
        ),
        (
            quote!(
                async fn f(self: Arc<Self>);
            ),
            "takes `&self`",
        ),
        (
            quote!(
                async fn f(&'a self);
            ),
            "no lifetimes",
        ),
        (
            quote!(
                async fn f();
            ),
            "write `f(&self, ..)`",
        ),
        (
            quote!(
                async fn f(&self, a: &str);
            ),
            "write `String`",
        ),
        (
            quote!(
                async fn f(&self, a: Option<&'static str>);
            ),
            "write `String`",
        ),
        (
            quote!(
                async fn f(&self, a: &[User]);
            ),
            "write `Vec<User>`",
        ),
        (
            quote!(
                async fn f(&self, a: Vec<&mut User>);
            ),
            "write `User`",
        ),
        (
            quote!(
                async fn f(&self, a: &&str);
            ),
            "write `String`",
        ),
        (
            quote!(
                async fn f(&self, a: (u8, [&u16; 2]));
            ),
            "write `u16`",
        ),
        (
            quote!(
                async fn f(&self, a: str);
            ),
            "write `String`",
        ),
        (
            quote!(
                async fn f(&self, a: Box<[u8]>, b: [u8]);
            ),
            "write `Vec<u8>`",
        ),
        (
            quote!(
                async fn f(&self, a: impl Into<u8>);
            ),
            "`impl Trait`",
        ),
        (
            quote!(
                async fn f(&self, a: Box<dyn Any>);
            ),
            "`dyn Trait`",
        ),
        (
            quote!(
                async fn f(&self, a: fn());
            ),
            "a function cannot be sent",
        ),
        (
            quote!(
                async fn f(&self, a: *const u8);
            ),
            "a pointer cannot be sent",
        ),
        (
            quote!(
                async fn f(&self, a: Vec<_>);
            ),
            "name it",
        ),
        (
            quote!(
                async fn f(&self, a: Cow<'a, str>);
            ),
            "borrows nothing",
        ),
        (
            quote!(
                async fn f(&self) -> Self;
            ),
            "`Self` differs",
        ),
        (
            quote!(
                async fn f(&self) -> &str;
            ),
            "a reply crosses the mesh",
        ),
        (
            quote!(
                async fn f(&self) -> !;
            ),
            "`!` has none",
        ),
        (
            quote!(
                async fn f(&self, mut a: u8);
            ),
            "write `a` here",
        ),
        (
            quote!(
                async fn f(&self, ref a: u8);
            ),
            "arguments are owned",
        ),
        (
            quote!(
                async fn f(&self, (a, b): (u8, u8));
            ),
            "in the implementation",
        ),
        (
            quote!(
                async fn f(&self, _: u8);
            ),
            "needs a name",
        ),
        (
            quote!(
                async fn f(&self, a @ _: u8);
            ),
            "without a pattern",
        ),
        (
            quote!(
                async fn f(&self, #[cfg(x)] a: u8);
            ),
            "no attributes",
        ),
        (
            quote!(
                async fn f<T>(&self, a: T);
            ),
            "no type parameters",
        ),
        (
            quote!(
                async fn f<'a>(&self, a: u8);
            ),
            "no lifetime parameters",
        ),
        (
            quote!(
                async fn f<const N: usize>(&self);
            ),
            "no const parameters",
        ),
        (
            quote!(
                async fn f(&self)
                where
                    u8: Copy;
            ),
            "no `where`",
        ),
        (
            quote!(
                async unsafe fn f(&self);
            ),
            "not `unsafe`",
        ),
        (
            quote!(
                async extern "C" fn f(&self);
            ),
            "not `extern`",
        ),
        (
            quote!(
                async fn f(&self, a: u8, cx: &Context);
            ),
            "right after `&self`",
        ),
        (
            quote!(
                async fn f(&self, cx: &mut Context);
            ),
            "write `&Context`",
        ),
        (
            quote!(
                async fn f(&self, cx: &'static Context);
            ),
            "write `&Context`",
        ),
        (
            quote!(
                async fn new(&self);
            ),
            "`new` is a method of every client",
        ),
        (
            quote!(
                async fn r#clone(&self);
            ),
            "`clone` is a method of every client",
        ),
        (
            quote!(
                async fn ok(&self);
            ),
            "another method is already called `ok`",
        ),
        (
            quote!(
                #[api]
                async fn f(&self);
            ),
            "written twice",
        ),
        (
            quote!(
                #[api = 1]
                async fn f(&self);
            ),
            "written twice",
        ),
        (
            quote!(
                async fn f(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8);
            ),
            "takes 9 arguments",
        ),
    ] {
        let text = method.to_string();
        let found = method_faults(method);
        assert!(found.iter().any(|fault| fault.contains(says)), "{text}: {says:?} in {found:?}");
    }
}
