//! What crosses the mesh is owned, and named the same on both sides.

use syn::{GenericArgument, PathArguments, Type, TypePath, TypeReference};

use crate::model::bare;
use crate::names;
use crate::recover::Errors;

/// A type holds nothing borrowed and nothing unnamed, down to its arguments; and where it is not
/// behind a pointer such as `Box<str>`, nothing unsized.
pub(super) fn owned(ty: &Type, what: &str, sized: bool, errors: &mut Errors) {
    match bare(ty) {
        Type::Reference(reference) => {
            let instead = owned_form(reference);
            errors.at(ty, format!("{what} crosses the mesh, so it is owned: write `{instead}`"));
        }
        Type::ImplTrait(ty) => errors
            .at(ty, format!("{what} has a type both sides know: `impl Trait` is not one, name it")),
        Type::TraitObject(ty) => errors.at(
            ty,
            format!("{what} has a type both sides know: `dyn Trait` is not one, write an enum"),
        ),
        Type::Infer(ty) => errors.at(ty, format!("{what} has a type both sides know: name it")),
        Type::FnPtr(ty) => errors.at(ty, format!("{what} is data: a function cannot be sent")),
        Type::Ptr(ty) => errors.at(ty, format!("{what} is data: a pointer cannot be sent")),
        Type::Never(ty) => errors.at(ty, format!("{what} has values, `!` has none")),
        Type::Slice(slice) if !sized => owned(&slice.elem, what, true, errors),
        Type::Slice(slice) => {
            let item = names::readable(&slice.elem);
            errors.at(slice, format!("{what} has a known size: write `Vec<{item}>`"));
        }
        Type::Array(array) => owned(&array.elem, what, true, errors),
        Type::Tuple(tuple) => tuple.elems.iter().for_each(|ty| owned(ty, what, true, errors)),
        Type::Path(path) => owned_path(path, what, sized, errors),
        _ => {}
    }
}

fn owned_path(path: &TypePath, what: &str, sized: bool, errors: &mut Errors) {
    if sized && path.path.is_ident("str") {
        errors.at(path, format!("{what} has a known size: write `String`"));
    }
    if path.path.segments.first().is_some_and(|first| first.ident == "Self") {
        errors.at(
            path,
            format!("{what} has a type both sides know: `Self` differs from node to node"),
        );
    }
    for segment in &path.path.segments {
        let PathArguments::AngleBracketed(arguments) = &segment.arguments else { continue };
        let sized = ["Option", "Result", "Vec"].iter().any(|name| segment.ident == name);
        for argument in &arguments.args {
            match argument {
                GenericArgument::Type(ty) => owned(ty, what, sized, errors),
                GenericArgument::Lifetime(lifetime) if lifetime.ident != "static" => {
                    errors.at(lifetime, format!("{what} crosses the mesh, so it borrows nothing"))
                }
                _ => {}
            }
        }
    }
}

/// `&str` → `String`, `&[T]` → `Vec<T>`, `&T` → `T`.
fn owned_form(reference: &TypeReference) -> String {
    match bare(&reference.elem) {
        Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
        Type::Slice(slice) => format!("Vec<{}>", names::readable(&slice.elem)),
        Type::Reference(inner) => owned_form(inner),
        other => names::readable(other),
    }
}
