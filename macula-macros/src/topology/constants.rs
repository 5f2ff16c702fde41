//! Names of tags and nodes as names of constants: `db-1` → `DB_1`.

use std::collections::BTreeMap;

use proc_macro2::{Ident, Span};

/// A constant for each name, sorted by constant.
///
/// # Errors
///
/// Each pair of names that would share a constant.
pub(crate) fn constants<'a>(
    names: impl Iterator<Item = &'a str>,
) -> (BTreeMap<String, &'a str>, Vec<String>) {
    let mut constants = BTreeMap::new();
    let mut clashes = Vec::new();
    for name in names {
        let constant = constant(name);
        match constants.get(&constant) {
            Some(first) if *first != name => {
                clashes.push(format!(
                    "`{first}` and `{name}` would both be the constant `{constant}`: rename one"
                ));
            }
            _ => drop(constants.insert(constant, name)),
        }
    }
    (constants, clashes)
}

/// The constant of a name: in upper case, `_` for what no identifier holds.
fn constant(name: &str) -> String {
    let fits = |c: char| match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || c == '_',
        false => is_ident(&format!("a{c}")),
    };
    let upper = name.to_uppercase();
    let mut constant: String = upper.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if !is_ident(&constant) {
        constant.insert(0, '_');
    }
    constant
}

fn is_ident(text: &str) -> bool {
    syn::parse_str::<Ident>(text).is_ok()
}

/// The constant as a token.
pub(crate) fn ident(constant: &str) -> Ident {
    Ident::new(constant, Span::call_site())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_becomes_an_identifier() {
        for (name, expected) in [
            ("db", "DB"),
            ("db-1", "DB_1"),
            ("db-1@h1.example", "DB_1_H1_EXAMPLE"),
            ("1db", "_1DB"),
            ("2", "_2"),
            ("*", "__"),
            ("-", "__"),
            ("ärger", "ÄRGER"),
            ("groß", "GROSS"),
            ("x²", "X_"),
            ("self", "SELF"),
            ("東京", "東京"),
        ] {
            assert_eq!(constant(name), expected, "{name}");
            assert_eq!(ident(&constant(name)), expected);
        }
    }

    #[test]
    fn names_that_collide_are_both_told() {
        let (constants, clashes) = constants(["web", "a-b", "a.b", "a-b"].into_iter());
        assert_eq!(constants.into_values().collect::<Vec<_>>(), ["a-b", "web"]);
        assert_eq!(clashes, ["`a-b` and `a.b` would both be the constant `A_B`: rename one"]);
    }
}
