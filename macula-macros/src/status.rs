//! The derive `IntoStatus`: what `#[status(..)]` on a type, its variants and their fields says, and
//! the `impl`s that it becomes.

mod options;
#[cfg(test)]
mod tests;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Data, DeriveInput, Fields, LitStr, Member, Path, Type, WhereClause, WherePredicate};

use self::options::{OfCase, OfField, Options};
use crate::names;
use crate::recover::Errors;

/// `#[derive(IntoStatus)] item`.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let read = read(&input, &mut errors);
    let expanded = read.map(|(cases, krate)| expand(&input, &cases, krate.as_ref()));
    let errors = errors.into_tokens();
    quote!(#expanded #errors)
}

/// A variant, or the whole of a struct.
struct Case {
    /// `Self::NotFound`, `Self`.
    path: TokenStream,
    status: Told,
}

/// Where the status of a case comes from.
enum Told {
    /// From itself.
    Own { code: String, http: u16, public: bool, message: Option<LitStr>, data: Vec<Datum> },
    /// From its only field.
    Field(Member, Box<Type>),
}

/// A field that goes into the data.
struct Datum {
    key: String,
    member: Member,
    ty: Type,
}

/// What is derived, and where nebula is; `None` when nothing can be.
fn read(input: &DeriveInput, errors: &mut Errors) -> Option<(Vec<Case>, Option<Path>)> {
    let mut options = Options::of(&input.attrs, errors);
    let krate = options.krate(errors);
    let cases = match &input.data {
        Data::Enum(data) => {
            options.nothing_else(errors);
            let cases = data.variants.iter().map(|variant| {
                let name = &variant.ident;
                let options = Options::of(&variant.attrs, errors).of_case(errors);
                let status = told(name, options, &variant.fields, errors);
                Case { path: quote!(Self::#name), status }
            });
            cases.collect()
        }
        Data::Struct(data) => {
            let options = options.of_case(errors);
            let status = told(&input.ident, options, &data.fields, errors);
            vec![Case { path: quote!(Self), status }]
        }
        Data::Union(data) => {
            errors.at(data.union_token, "a union has no status: derive it for an enum or a struct");
            return None;
        }
    };
    Some((cases, krate))
}

fn told(name: &Ident, options: OfCase, fields: &Fields, errors: &mut Errors) -> Told {
    let data = data(fields, options.transparent.as_ref(), errors);
    if let Some(word) = &options.transparent {
        let mut all = fields.members().zip(fields);
        match (all.next(), all.next()) {
            (Some((member, field)), None) => {
                return Told::Field(member, Box::new(field.ty.clone()));
            }
            _ => errors.at(word, "`transparent` takes the status of the only field: have just one"),
        }
    }
    let code = match options.name {
        Some(code) => code.value(),
        None => {
            let code = names::snake(name);
            if let Some(fault) = options::fault_of_code(&code) {
                errors.at(name, format!("{fault}: write `#[status(name = \"..\")]`"));
            }
            code
        }
    };
    if let (Some(word), options::WITHHELD) = (&options.public, code.as_str()) {
        errors.at(
            word,
            "an `internal_error` is never public: it is what strangers get for all that is \
             withheld; give it another `name`",
        );
    }
    let (http, public) = (options.http.unwrap_or(500), options.public.is_some());
    Told::Own { code, http, public, message: options.message, data }
}

fn data(fields: &Fields, transparent: Option<&Ident>, errors: &mut Errors) -> Vec<Datum> {
    let mut data: Vec<Datum> = Vec::new();
    for (member, field) in fields.members().zip(fields) {
        let OfField { data: Some((word, key)) } =
            Options::of(&field.attrs, errors).of_field(errors)
        else {
            continue;
        };
        if transparent.is_some() {
            errors.at(word, "with `transparent`, all comes from the status of the field");
            continue;
        }
        let key = match (key, &field.ident) {
            (Some(key), _) => key.value(),
            (None, Some(name)) => name.unraw().to_string(),
            (None, None) => {
                errors.at(word, "this field has no name: write `data = \"id\"`");
                continue;
            }
        };
        if data.iter().any(|other| other.key == key) {
            errors.at(word, format!("another field is already called `{key}` in the data"));
            continue;
        }
        data.push(Datum { key, member, ty: field.ty.clone() });
    }
    data
}

fn expand(input: &DeriveInput, cases: &[Case], krate: Option<&Path>) -> TokenStream {
    let krate = krate.map_or_else(|| quote!(::nebula), |path| quote!(#path));
    let name = &input.ident;
    let (with_params, params, _) = input.generics.split_for_impl();
    let (for_status, for_from) = clauses(input, cases);
    let status = matched(cases, cases.iter().map(|case| status(name, case)));
    let shown = shown(cases);
    quote! {
        #[allow(clippy::all, clippy::nursery, clippy::pedantic, clippy::restriction)]
        #[allow(deprecated, unused_qualifications)]
        const _: () = {
            use #krate as __nebula;
            #[automatically_derived]
            impl #with_params __nebula::IntoStatus for #name #params #for_status {
                fn status(&self) -> __nebula::Status {
                    #status
                }
                #shown
            }
            #[automatically_derived]
            impl #with_params ::core::convert::From<#name #params> for __nebula::Status #for_from {
                fn from(error: #name #params) -> Self {
                    __nebula::IntoStatus::status(&error)
                }
            }
        };
    }
}

/// A `match` of these arms; of a type without values, none.
fn matched(cases: &[Case], arms: impl Iterator<Item = TokenStream>) -> TokenStream {
    match cases {
        [] => quote!(match *self {}),
        _ => quote!(match self { #(#arms)* }),
    }
}

fn status(name: &Ident, Case { path, status }: &Case) -> TokenStream {
    let (code, http, public, message, data) = match status {
        Told::Own { code, http, public, message, data } => (code, http, public, message, data),
        Told::Field(member, ty) => {
            let of_field = quote_spanned!(at(ty.span())=> __nebula::IntoStatus::status(__field));
            return quote!(#path { #member: __field } => #of_field,);
        }
    };
    // With the spans of the user's, what lacks its `Display` is shown there.
    let message = match message {
        Some(message) => quote!(#message),
        None => quote_spanned!(at(name.span())=> __nebula::__private::worded(self)),
    };
    let bound = (0..data.len()).map(|at| format_ident!("__data_{at}")).collect::<Vec<_>>();
    let members = data.iter().map(|datum| &datum.member);
    let with = data.iter().zip(&bound).map(|(Datum { key, ty, .. }, bound)| {
        let bound = Ident::new(&bound.to_string(), at(ty.span()));
        let value = quote_spanned!(at(ty.span())=> __nebula::__private::worded(#bound));
        quote!(.with(#key, #value))
    });
    let internal = (!public).then(|| quote!(.internal()));
    quote! {
        #path { #(#members: #bound,)* .. } =>
            __nebula::Status::new(#code, #http, #message) #(#with)* #internal,
    }
}

/// The place of the user's code, where errors are shown; names mean what they mean in the derive,
/// even if a macro put the two together.
fn at(place: Span) -> Span {
    Span::call_site().located_at(place)
}

/// Only what is transparent asks its field for it.
fn shown(cases: &[Case]) -> Option<TokenStream> {
    let arms = cases.iter().filter_map(|Case { path, status }| match status {
        Told::Own { .. } => None,
        Told::Field(member, ty) => {
            let shown = quote_spanned!(at(ty.span())=> __nebula::IntoStatus::shown(__field));
            Some(quote!(#path { #member: __field } => #shown,))
        }
    });
    let arms = arms.collect::<Vec<_>>();
    let others = (arms.len() < cases.len())
        .then(|| quote!(_ => __nebula::IntoStatus::shown(&__nebula::IntoStatus::status(self)),));
    (!arms.is_empty()).then(|| {
        quote! {
            fn shown(&self) -> ::core::option::Option<__nebula::Status> {
                match self { #(#arms)* #others }
            }
        }
    })
}

/// The bounds of the two `impl`s. Where there are type parameters, what is used of them is asked
/// for; elsewhere the type itself must do.
fn clauses(input: &DeriveInput, cases: &[Case]) -> (Option<WhereClause>, Option<WhereClause>) {
    let generics = &input.generics;
    let clause = || generics.where_clause.clone();
    if generics.type_params().next().is_none() {
        return (clause(), clause());
    }
    let worded = |case: &Case| matches!(&case.status, Told::Own { message: None, .. });
    let mut needs: Vec<WherePredicate> = Vec::new();
    if cases.iter().any(worded) {
        needs.push(syn::parse_quote!(Self: ::core::fmt::Display));
    }
    for case in cases {
        match &case.status {
            Told::Own { data, .. } => {
                let data = data.iter().map(|Datum { ty, .. }| ty);
                needs.extend(data.map(|ty| syn::parse_quote!(#ty: ::core::fmt::Display)));
            }
            Told::Field(_, ty) => needs.push(syn::parse_quote!(#ty: __nebula::IntoStatus)),
        }
    }
    let (name, (_, params, _)) = (&input.ident, generics.split_for_impl());
    let has_status = [syn::parse_quote!(#name #params: __nebula::IntoStatus)];
    let with = |more: &[WherePredicate]| {
        let mut generics = generics.clone();
        generics.make_where_clause().predicates.extend(more.iter().cloned());
        generics.where_clause
    };
    (with(&needs), with(&has_status))
}
