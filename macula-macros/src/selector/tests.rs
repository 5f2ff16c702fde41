use super::*;

fn tokens(source: &str) -> Result<String, String> {
    let read = from_tokens(source.parse().unwrap());
    read.map(|selector| selector.text).map_err(|error| error.to_string())
}

#[test]
fn tokens_become_text() {
    for (source, text) in [
        ("&db", "&db"),
        ("&db !@backup", "&db !@backup"),
        ("&db|!(&x @y)", "&db | !(&x @y)"),
        ("@\"full@host\"", "@\"full@host\""),
        ("@\"plain\"", "@plain"),
        ("(&db | &x) !@db-1.eu", "(&db | &x) !@db-1.eu"),
        ("&type &1db &r#fn", "&type &1db &fn"),
        ("*", "*"),
        ("!*|&a/b:c", "!* | &a/b:c"),
        ("@\"with space\"", "@\"with space\""),
        ("@\"a\\\"b\\\\c\"", "@\"a\\\"b\\\\c\""),
    ] {
        assert_eq!(tokens(source).as_deref(), Ok(text), "{source}");
        assert_eq!(check_text(text), Ok(()), "{text}");
    }
}

#[test]
fn both_readers_find_the_same_fault() {
    for (source, says) in [
        ("", "a selector is empty"),
        ("&db !backup", "`backup`: write `&backup` for a tag or `@backup` for a node"),
        ("&db\nbackup", "`backup`: write `&backup` for a tag"),
        ("&db 1", "`1`: write `&1` for a tag"),
        ("&db |", CLAUSE),
        ("| &db", CLAUSE),
        ("()", CLAUSE),
        ("!!&db", CLAUSE),
        ("&", "a name is expected right after `&`"),
        ("&a && &b", "a name is expected right after `&`"),
        ("&a || &b", CLAUSE),
        ("@web@h1", "a full name needs quotes: write `@\"web@h1\"`"),
        ("\"db\"", "a quote is out of place"),
    ] {
        let fault = tokens(source).unwrap_err();
        assert!(fault.contains(says), "{source}: {fault}");
        let fault = check_text(source).unwrap_err();
        assert!(fault.contains(says), "{source}: {fault}");
    }
    assert!(tokens("[&db]").unwrap_err().contains("only `( )` group"));
}

#[test]
fn text_has_faults_of_its_own() {
    for (text, says) in
        [("(&db", "closing `)` is missing"), ("&db)", "closes nothing"), ("@\"db", "closing quote")]
    {
        assert!(check_text(text).unwrap_err().contains(says), "{text}");
    }
    assert_eq!(check_text("@2e @x^y &ärger"), Ok(()));
}

#[test]
fn size_and_depth_are_bounded() {
    let nested = |depth| format!("{}&a{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(check_text(&nested(32)), Ok(()));
    assert!(check_text(&nested(33)).unwrap_err().contains("at most 32"));
    assert!(check_text(&nested(50_000)).is_err());
    assert!(check_text(&"&a ".repeat(2000)).unwrap_err().contains("4096 bytes"));
    assert!(tokens(&"&a ".repeat(2000)).unwrap_err().contains("4096 bytes"));
}
