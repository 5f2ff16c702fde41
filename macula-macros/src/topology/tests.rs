use super::*;

const TWO: &str = "db-1@h1 db eu\nweb@h2 web\n";

fn module_of(compact: &str) -> (String, String) {
    let declared = syn::parse_str("pub(super) mod cluster = \"n.toml\"").unwrap();
    let mut errors = Errors::default();
    let known = Known::from_compact(compact);
    let module = module(&quote!(::nebula), &declared, &known, true, &mut errors);
    let file = syn::parse2(module.clone()).unwrap_or_else(|error| panic!("{error}: {module}"));
    (prettyplease::unparse(&file), errors.into_tokens().to_string())
}

#[test]
fn the_module_has_the_names_of_the_file() {
    let (text, errors) = module_of(TWO);
    assert_eq!(errors, "");
    for line in [
        "/// The nodes of `n.toml`, known when this is compiled.",
        "pub(super) mod cluster {",
        "/// The tag `db`, of `db-1@h1`.",
        "pub const DB: ::nebula::nodes::Tag = ::nebula::nodes::Tag::new(\"db\");",
        "/// The node `db-1@h1`, with the tags `db`, `eu`.",
        "pub const DB_1: ::nebula::nodes::NodeName = ::nebula::nodes::NodeName::new(",
        "\"db-1\",",
        "pub const WEB_H2: ::nebula::nodes::NodeName = ::nebula::nodes::NodeName::new(",
        "/// The node `web@h2`, with the tag `web`.",
        "pub(crate) use sel;",
    ] {
        assert!(text.lines().any(|written| written.trim() == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("::core::concat!(::core::env!(\"CARGO_MANIFEST_DIR\"), \"/n.toml\")"));
}

#[test]
fn names_that_share_a_constant_are_refused() {
    let (_, errors) = module_of("a-1@h x.y\na.1 x-y\n");
    assert!(errors.contains("`n.toml`: the tags `x-y` and `x.y` would both be the constant `X_Y`"));
    assert!(
        errors.contains("`n.toml`: the nodes `a-1` and `a.1` would both be the constant `A_1`")
    );
}

#[test]
fn a_name_of_several_nodes_lists_them() {
    let (text, errors) = module_of("db@h1 a\ndb@h2\n");
    assert_eq!(errors, "");
    assert!(text.contains("/// The nodes `db@h1`, `db@h2`."), "{text}");
    assert!(text.contains("/// The node `db@h2`, which has no tags."), "{text}");
    let many: String = (0..25).map(|number| format!("db@h{number} a\n")).collect();
    let (text, _) = module_of(&many);
    assert!(text.contains("`db@h4` and 5 more."), "{text}");
}

fn declared(source: &str) -> Result<(String, String), String> {
    let read = syn::parse_str::<Declared>(source).map_err(|error| error.to_string())?;
    Ok((read.name.to_string(), read.path.value()))
}

#[test]
fn the_forms_are_read() {
    let is = |name: &str, path: &str| Ok((name.to_owned(), path.to_owned()));
    assert_eq!(declared("\"n.toml\""), is("topology", "n.toml"));
    assert_eq!(declared("mod c = \"n.toml\""), is("c", "n.toml"));
    assert_eq!(declared("/** Doc. */ #[cfg(test)] pub mod c = \"n.toml\";"), is("c", "n.toml"));
    for bad in ["", "mod c", "mod = \"x\"", "c = \"x\"", "mod c = x", "\"a\" \"b\""] {
        assert!(declared(bad).is_err(), "{bad}");
    }
    assert!(declared("mod c: \"x\"").unwrap_err().contains("write `topology!(mod cluster = "));
}

#[test]
fn a_file_that_cannot_be_read_leaves_an_empty_module() {
    let text = expand(quote!(pub mod cluster = "no/such.toml")).to_string();
    assert!(text.contains("there is no file `no/such.toml`; the path counts from"), "{text}");
    assert!(text.contains("pub mod cluster") && !text.contains("include_bytes"), "{text}");
    // A folder is there, but no text.
    let text = expand(quote!("src")).to_string();
    assert!(text.contains("`src` cannot be read: "), "{text}");
    let text = expand(quote!("Cargo.toml")).to_string();
    assert!(text.contains("`Cargo.toml`, line 13: the key `dependencies` is not"), "{text}");
    for path in ["/etc/nodes.toml", "\\nodes.toml"] {
        let text = expand(quote!(#path)).to_string();
        assert!(text.contains("begins at the root of one machine"), "{text}");
    }
    let text = expand(quote!(crate = my::nebula; "src")).to_string();
    assert!(text.contains("a path from the root is needed here"), "{text}");
}

#[test]
fn the_generated_sel_knows_the_nodes() {
    let of = |source: &str| {
        let tokens: TokenStream = source.parse().unwrap();
        sel(quote!([::nebula] #TWO #tokens)).to_string()
    };
    assert_eq!(of("&db !@web"), expand::sel("&db !@web".parse().unwrap()).to_string());
    assert!(of("&webb").contains("did you mean `web`?"));
    assert!(of("&db &web").contains("no configured node matches `&db &web`"));
}
