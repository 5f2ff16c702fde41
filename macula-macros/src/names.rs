//! Names and texts made from what the user wrote.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::{ToTokens, format_ident};
use syn::Type;
use syn::ext::IdentExt as _;

/// `Users` → `UsersClient`.
pub(crate) fn client(service: &Ident) -> Ident {
    Ident::new(&format!("{}Client", service.unraw()), service.span())
}

/// `Users` → `__users`, the hidden module of the markers.
pub(crate) fn module(service: &Ident) -> Ident {
    Ident::new(&format!("__{}", snake(service)), service.span())
}

/// `NotFound` → `not_found`.
pub(crate) fn snake(name: &Ident) -> String {
    let letters = name.unraw().to_string().chars().collect::<Vec<_>>();
    let mut snake = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| letters.get(at));
        let after = letters.get(at + 1);
        let starts_word = before.is_some_and(|c| c.is_lowercase() || c.is_numeric())
            || before.is_some_and(|c| c.is_uppercase()) && after.is_some_and(|c| c.is_lowercase());
        if letter.is_uppercase() && starts_word {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// `put_all` → `PutAll`, the marker of a method. Names that would collide (`a_b` and `a__b`) get
/// a `_` behind them.
pub(crate) fn marker<'n>(method: &Ident, taken: impl Iterator<Item = &'n Ident> + Clone) -> Ident {
    let name = method.unraw().to_string();
    let core = name.trim_start_matches('_');
    let mut camel = "_".repeat(name.len() - core.len());
    let mut start = true;
    for letter in core.trim_end_matches('_').chars() {
        match letter {
            '_' => start = true,
            letter if std::mem::take(&mut start) => camel.extend(letter.to_uppercase()),
            letter => camel.push(letter),
        }
    }
    camel.push_str(&"_".repeat(core.len() - core.trim_end_matches('_').len()));
    if camel == "Self" || camel == "_" {
        camel.push('_');
    }
    let mut marker = Ident::new(&camel, method.span());
    while taken.clone().any(|other| *other == marker) {
        marker = format_ident!("{marker}_", span = method.span());
    }
    marker
}

/// The text of a type as people write it: `Result<(), PutError>`.
pub(crate) fn readable(ty: &Type) -> String {
    text(ty, " ")
}

/// The text of arguments and reply that the key of the shape is made from: no white space, so
/// that formatting changes nothing.
pub(crate) fn signature<'t>(args: impl Iterator<Item = &'t Type>, reply: &Type) -> String {
    let args = args.map(|ty| text(ty, "")).collect::<Vec<_>>();
    format!("({})->{}", args.join(","), text(reply, ""))
}

fn text(ty: &Type, gap: &str) -> String {
    let mut out = String::new();
    write(ty.to_token_stream(), gap, &mut out);
    out
}

fn write(tokens: TokenStream, gap: &str, out: &mut String) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                out.push_str(open);
                write(group.stream(), gap, out);
                out.push_str(close);
            }
            TokenTree::Punct(punct) => {
                let next = tokens.peek();
                let closes = matches!(next, Some(TokenTree::Punct(next)) if next.as_char() == '>');
                match punct.as_char() {
                    // `Vec<u8,>` is `Vec<u8>`.
                    ',' if closes => {}
                    c @ (',' | ';') => {
                        out.push(c);
                        out.push_str(if next.is_some() { gap } else { "" });
                    }
                    c => out.push(c),
                }
            }
            word => {
                let word = word.to_string();
                let is_word = |c: char| c.is_alphanumeric() || c == '_';
                if out.ends_with(is_word) && word.starts_with(is_word) {
                    out.push(' ');
                }
                out.push_str(&word);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ident(name: &str) -> Ident {
        syn::parse_str::<Ident>(name)
            .unwrap_or_else(|_| Ident::new_raw(name, proc_macro2::Span::call_site()))
    }

    #[test]
    fn modules_are_snake_case() {
        for (service, name) in [
            ("Users", "__users"),
            ("UserStore", "__user_store"),
            ("HTTPServer", "__http_server"),
            ("V2Users", "__v2_users"),
            ("users", "__users"),
            ("r#type", "__type"),
        ] {
            assert_eq!(module(&ident(service)), name, "{service}");
        }
        assert_eq!(client(&ident("r#type")), "typeClient");
    }

    #[test]
    fn markers_are_camel_case_and_never_collide() {
        let names = [
            "find", "put_all", "r#type", "_find", "self_", "v1_2", "__", "a_b", "a__b", "aB",
            "find_",
        ];
        let mut taken = Vec::new();
        for name in names {
            let marker = marker(&ident(name), taken.iter());
            taken.push(marker);
        }
        let texts = taken.iter().map(Ident::to_string).collect::<Vec<_>>();
        assert_eq!(
            texts,
            ["Find", "PutAll", "Type", "_Find", "Self_", "V12", "__", "AB", "AB_", "AB__", "Find_"]
        );
    }

    #[test]
    fn types_have_one_text() {
        let ty = |text: &str| syn::parse_str::<Type>(text).unwrap();
        let reply = ty("Result< Vec<u8 ,> , crate :: E>");
        let args = [ty("[u8 ;32]"), ty("(u8,)"), ty("<T as Tr>::X")];
        assert_eq!(readable(&reply), "Result<Vec<u8>, crate::E>");
        assert_eq!(
            signature(args.iter(), &reply),
            "([u8;32],(u8,),<T as Tr>::X)->Result<Vec<u8>,crate::E>"
        );
        assert_eq!(signature([].iter(), &ty("()")), "()->()");
    }
}
