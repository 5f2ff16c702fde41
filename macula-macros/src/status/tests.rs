use quote::quote;

use super::*;

fn derived(item: TokenStream) -> String {
    let tokens = derive(item);
    match syn::parse2(tokens.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(error) => panic!("{error} in {tokens}"),
    }
}

/// What is said about `item`, which still gets its `impl`.
fn faults(item: TokenStream) -> Vec<String> {
    let text = derived(item);
    assert!(text.contains("IntoStatus for"), "{text}");
    let parts = text.split("compile_error! {").skip(1);
    parts.map(|part| part.split('}').next().unwrap_or_default().trim().to_owned()).collect()
}

#[test]
fn the_expansion_is_as_reviewed() {
    let expanded = derived(quote! {
        enum OrderError {
            #[status(code = 404, name = "not_found", public)]
            NoOrder { #[status(data)] id: u64, #[status(data = "place")] r#type: u8, other: u8 },
            #[status(code = 409, message = "Sold out", public)]
            SoldOut,
            DiskFull(u8, #[status(data = "disk")] u8),
            #[status(transparent)]
            Stock(CallError<StockError>),
        }
    });
    let expected = r#"#[allow(clippy::all, clippy::nursery, clippy::pedantic, clippy::restriction)]
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::nebula as __nebula;
    #[automatically_derived]
    impl __nebula::IntoStatus for OrderError {
        fn status(&self) -> __nebula::Status {
            match self {
                Self::NoOrder { id: __data_0, r#type: __data_1, .. } => {
                    __nebula::Status::new(
                            "not_found",
                            404u16,
                            __nebula::__private::worded(self),
                        )
                        .with("id", __nebula::__private::worded(__data_0))
                        .with("place", __nebula::__private::worded(__data_1))
                }
                Self::SoldOut { .. } => {
                    __nebula::Status::new("sold_out", 409u16, "Sold out")
                }
                Self::DiskFull { 1: __data_0, .. } => {
                    __nebula::Status::new(
                            "disk_full",
                            500u16,
                            __nebula::__private::worded(self),
                        )
                        .with("disk", __nebula::__private::worded(__data_0))
                        .internal()
                }
                Self::Stock { 0: __field } => __nebula::IntoStatus::status(__field),
            }
        }
        fn shown(&self) -> ::core::option::Option<__nebula::Status> {
            match self {
                Self::Stock { 0: __field } => __nebula::IntoStatus::shown(__field),
                _ => __nebula::IntoStatus::shown(&__nebula::IntoStatus::status(self)),
            }
        }
    }
    #[automatically_derived]
    impl ::core::convert::From<OrderError> for __nebula::Status {
        fn from(error: OrderError) -> Self {
            __nebula::IntoStatus::status(&error)
        }
    }
};
"#;
    assert_eq!(expanded, expected);
}

#[test]
fn a_struct_is_one_variant() {
    let text = derived(quote! {
        #[status(code = 404, public, crate = "my::nebula")]
        struct NoUser { #[status(data)] id: u64 }
    });
    for part in
        ["use my::nebula as __nebula;", "Self { id: __data_0, .. } =>", "\"no_user\"", "404u16"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains(".internal()") && !text.contains("fn shown"), "{text}");
    let text = derived(quote!(
        #[status(transparent)]
        struct Wrapped(Inner);
    ));
    assert!(
        text.contains("Self { 0: __field } => __nebula::IntoStatus::status(__field)"),
        "{text}"
    );
    assert!(!text.contains("_ =>"), "{text}");
    assert!(
        derived(quote!(
            enum Never {}
        ))
        .contains("match *self {}")
    );
}

#[test]
fn type_parameters_are_asked_for_what_is_used() {
    let text = derived(quote! {
        enum Failed<'a, T, E, const N: usize> where T: Clone {
            A(#[status(data = "a")] &'a T),
            #[status(transparent)] B(E),
            C([u8; N]),
        }
    });
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "impl<'a, T, E, const N: usize> __nebula::IntoStatus for Failed<'a, T, E, N> where T: Clone, \
         Self: ::core::fmt::Display, &'a T: ::core::fmt::Display, E: __nebula::IntoStatus, {",
        "From<Failed<'a, T, E, N>> for __nebula::Status where T: Clone, \
         Failed<'a, T, E, N>: __nebula::IntoStatus, {",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let text = derived(quote!(
        struct Read<'a>(&'a str);
    ));
    assert!(!text.contains("where"), "{text}");
}

#[test]
fn faults_say_what_to_write() {
    for (item, says) in [
        (
            quote!(
                #[status(public)]
                A
            ),
            "write `code = 404, public`",
        ),
        (
            quote!(
                #[status(code = 200)]
                A
            ),
            "from 300 to 599",
        ),
        (
            quote!(
                #[status(code = 70000, public)]
                A
            ),
            "from 300 to 599",
        ),
        (
            quote!(
                #[status(code = "not_found", public)]
                A
            ),
            "is `name = \\\"..\\\"`",
        ),
        (
            quote!(
                #[status(code)]
                A
            ),
            "write `code = 404`",
        ),
        (
            quote!(
                #[status(code = 404, public = true)]
                A
            ),
            "takes no value",
        ),
        (
            quote!(
                #[status(name = "Not found")]
                A
            ),
            "and \\\"Not found\\\" is none",
        ),
        (
            quote!(
                #[status(name = "")]
                A
            ),
            "1 to 64 letters",
        ),
        (
            quote!(
                #[status(name = not_found)]
                A
            ),
            "write `name = \\\"not_found\\\"`",
        ),
        (quote!(É), "write `#[status(name = \\\"..\\\")]`"),
        (
            quote!(
                #[status(code = 500, public)]
                InternalError
            ),
            "is never public",
        ),
        (
            quote!(
                #[status(message = "no user {id}")]
                A { id: u8 }
            ),
            "put into braces",
        ),
        (
            quote!(
                #[status(message = " ")]
                A
            ),
            "may not be empty",
        ),
        (
            quote!(
                #[status(transparent)]
                A
            ),
            "have just one",
        ),
        (
            quote!(
                #[status(transparent)]
                A(B, C)
            ),
            "have just one",
        ),
        (
            quote!(
                #[status(transparent, code = 404)]
                A(B)
            ),
            "stands alone",
        ),
        (
            quote!(
                #[status(transparent)]
                A(
                    #[status(data = "b")]
                    B
                )
            ),
            "all comes from the status",
        ),
        (
            quote!(A(
                #[status(data)]
                u8
            )),
            "write `data = \\\"id\\\"`",
        ),
        (
            quote!(A(
                #[status(data = "")]
                u8
            )),
            "1 to 64 bytes",
        ),
        (
            quote!(A(
                #[status(data = 3)]
                u8
            )),
            "write `data = \\\"id\\\"`",
        ),
        (
            quote!(A {
                #[status(data = "b")]
                a: u8,
                #[status(data)]
                b: u8
            }),
            "already called `b`",
        ),
        (
            quote!(A {
                #[status(code = 404)]
                a: u8
            }),
            "(`code` belongs on a variant)",
        ),
        (
            quote!(
                #[status(data)]
                A(u8)
            ),
            "(`data` belongs on a field)",
        ),
        (
            quote!(
                #[status(crate = "n")]
                A
            ),
            "(`crate` belongs on the type)",
        ),
        (
            quote!(
                #[status(status = 404)]
                A
            ),
            "unknown option `status` of `#[status]` on a variant",
        ),
        (
            quote!(
                #[status]
                A
            ),
            "options go in parentheses",
        ),
        (
            quote!(
                #[status(code = 404)]
                #[status(name = "a")]
                A
            ),
            "is written twice",
        ),
        (
            quote!(
                #[status(code = 404, code = 405)]
                A
            ),
            "`code` is written twice",
        ),
    ] {
        let faults = faults(quote!(enum E { #item, Other }));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains(says), "{says:?} is not in {faults:?}");
    }
    let on_enum = faults(quote!(
        #[status(code = 404)]
        enum E {
            A,
        }
    ));
    assert!(on_enum[0].contains("on an enum; supported are: crate (`code` belongs on a variant)"));
}

#[test]
fn one_fault_does_not_take_the_others_with_it() {
    let item = quote! {
        #[status(name = "a")]
        enum E {
            #[status(public)] A,
            #[status(code = 1, bogus)] B(#[status(data)] u8),
        }
    };
    assert_eq!(faults(item).len(), 5);
    let text = derived(quote!(union U { a: u8 }));
    assert!(text.contains("a union has no status") && !text.contains("impl"), "{text}");
    assert!(
        derive(quote!(
            fn f() {}
        ))
        .to_string()
        .contains("compile_error")
    );
}
