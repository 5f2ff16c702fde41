//! What is said of values that do not fit their type, and which ones do.

use super::*;
use crate::service::config::section::Merge;

/// The value of `C` in a text over no defaults, or what is said of it.
fn read<C: DeserializeOwned>(text: &str) -> Result<C, String> {
    let node = text::parse(text, &|line| Origin::in_file(&Path::new("u.toml").into(), line))
        .map_err(|error| error.to_string())?;
    let read = reader::read(&node, &key::Key::Top).map_err(|error| error.to_string())?;
    Ok(read.0)
}

/// The same for variables under the prefix `U`.
fn read_variables<C: DeserializeOwned>(variables: &[(&str, &str)]) -> Result<C, String> {
    let node = environment::parse("U", owned(variables)).map_err(|error| error.to_string())?;
    let read = reader::read(&node, &key::Key::Top).map_err(|error| error.to_string())?;
    Ok(read.0)
}

/// A bad value is named with its key, its layer, itself and what was expected.
#[test]
fn a_bad_value_is_told_in_one_sentence() {
    for (layer, expected) in [
        (
            environment(&[("USERS__PLUGINS__LIMIT__PER_SECOND", "many")]),
            "`plugins.limit.per_second` is \"many\" in the environment \
             (USERS__PLUGINS__LIMIT__PER_SECOND): expected an unsigned integer",
        ),
        (
            file("label = 'x'\ndecimals = 300"),
            "`decimals` is 300 in the file `users.toml`, line 2: expected an integer from 0 to 255",
        ),
        (
            file("decimals = 13"),
            "`decimals` is 13 in the file `users.toml`, line 1: there are at most 12",
        ),
        (
            start("[pool]\nmax = -1"),
            "`pool.max` is -1 in what was given at the start, line 2: expected an integer from 0 \
             to 4294967295",
        ),
        (
            runtime("ports = [80, 'http']"),
            "`ports[1]` is \"http\" in an update at run time, line 1: expected an integer from 0 \
             to 65535",
        ),
        (runtime("pool = 5"), "`pool` is 5 in an update at run time, line 1: expected a table"),
        (
            runtime("pool = [1, 'x']"),
            "`pool` is an array of length 2 in an update at run time, line 1: expected a table",
        ),
        (
            start("label.x = 1"),
            "`label` is a table in what was given at the start, line 1: expected a string",
        ),
        (
            start("label = 5"),
            "`label` is 5 in what was given at the start, line 1: expected a string",
        ),
        (
            file("[plugins.limit]\nper_secnd = 5"),
            "`plugins.limit.per_secnd` in the file `users.toml`, line 2 is not known, did you mean \
             `per_second`? (keys: `per_second`)",
        ),
        (
            start("pool.password = 1234"),
            "`pool.password` is a hidden integer in what was given at the start, line 1: expected \
             a string",
        ),
    ] {
        assert_eq!(told(vec![layer]), expected);
    }
}

#[test]
fn the_layer_to_blame_is_the_one_that_won() {
    let layers = || {
        vec![
            file("decimals = 300"),
            environment(&[("USERS__DECIMALS", "-1")]),
            start("decimals = 'two'"),
        ]
    };
    assert!(told(layers()).contains("is \"two\" in what was given at the start"));
    let mut two = layers();
    two.truncate(2);
    assert!(told(two).contains("is -1 in the environment (USERS__DECIMALS)"));
    // A bad value that is overruled does no harm.
    let mut all = layers();
    all.push(runtime("decimals = 2"));
    assert_eq!(store(&cell(all)).decimals, 2);
}

#[test]
fn nothing_of_a_secret_is_said() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Secrets {
        token: std::net::IpAddr,
        url: u8,
    }
    let told = read::<Secrets>("token = 'hunter2'\nurl = 1").unwrap_err();
    assert_eq!(
        told,
        "`token` is a hidden string in the file `u.toml`, line 1: expected another value"
    );
    let told = read::<Secrets>("token = '::1'\nurl = 'amqp://ada:hunter2@mq'").unwrap_err();
    assert!(told.starts_with("`url` is a hidden string in"), "{told}");
    let validate = |_: &Store| Err(Invalid::new("pool.password", "that is too short"));
    let section =
        Section::new(&Part::Service, &Store::default(), Some(Box::new(validate))).unwrap();
    let told = ConfigCell::new(vec![Change::Sections([(Part::Service, section)].into())]);
    assert_eq!(
        told.unwrap_err().to_string(),
        "`pool.password` is a hidden string in the code: that is too short"
    );
    // What is shown by `{:?}`.
    assert!(!format!("{:?}", Patch::from("token = 'hunter2'")).contains("hunter2"));
}

#[test]
fn validate_may_blame_anything() {
    let told = |invalid: Invalid| {
        let validate = move |_: &Limit| Err(invalid.clone());
        let part = plugin("limit");
        let section = Section::new(&part, &Limit { per_second: 1 }, Some(Box::new(validate)));
        let sections = BTreeMap::from([(part, section.unwrap())]);
        ConfigCell::new(vec![Change::Sections(sections)]).unwrap_err()
    };
    let one = told(Invalid::new("per_second", "is too little"));
    assert_eq!(one.key(), Some("plugins.limit.per_second"));
    assert_eq!(one.layer(), Some(Layer::Code));
    assert_eq!(
        told(Invalid::whole("it makes no sense")).to_string(),
        "`plugins.limit` is a table in the code: it makes no sense"
    );
    assert_eq!(
        told(Invalid::new("burst[3].x", "must be set")).to_string(),
        "`plugins.limit.burst[3].x` is in no layer: must be set"
    );
}

#[test]
fn a_panic_is_an_error() {
    let validate = |_: &Limit| -> Result<(), Invalid> { panic!("no limit") };
    let part = plugin("limit");
    let section = Section::new(&part, &Limit { per_second: 1 }, Some(Box::new(validate))).unwrap();
    let told = ConfigCell::new(vec![Change::Sections([(part.clone(), section)].into())]);
    assert_eq!(
        told.unwrap_err().to_string(),
        "the code that validates the configuration of the plugin `limit` panicked: no limit"
    );
    let merge: Merge = Arc::new(|_, _| panic!("no merge"));
    let section = super::section(&part, &Limit { per_second: 1 }).merging(merge);
    let layers = vec![Change::Sections([(part, section)].into()), start("plugins.limit = {}")];
    let told = ConfigCell::new(layers).unwrap_err().to_string();
    assert!(told.starts_with("the code that merges") && told.ends_with("no merge"), "{told}");
}

#[test]
fn what_toml_cannot_hold_is_refused_in_the_code() {
    let refused = Section::new(&plugin("limit"), &Limit { per_second: u64::MAX }, None).err();
    let told = refused.unwrap().to_string();
    assert!(
        told.starts_with("the configuration of the plugin `limit` in the code cannot be written"),
        "{told}"
    );
    assert!(Section::new(&Part::Service, &5_u8, None).is_err());
    assert!(Patch::of(&"text").is_err());
    let patch = Patch::of(&BTreeMap::from([("decimals", Some(4)), ("pool", None)])).unwrap();
    let cell = cell(vec![Change::Layer(Given::start(patch).unwrap())]);
    assert_eq!(*store(&cell), Store { decimals: 4, ..Store::default() });
}

#[derive(Debug, Deserialize, PartialEq)]
enum Mode {
    Off,
    Fixed(u8),
    Range { from: u8, to: u8 },
    Pair(u8, u8),
}

#[derive(Debug, Deserialize, PartialEq)]
struct Millis(u64);

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Many {
    mode: Option<Mode>,
    wait: Option<Millis>,
    ratio: Option<f64>,
    letter: Option<char>,
    on: Option<bool>,
    address: Option<std::net::SocketAddr>,
    pair: Option<(u8, u8)>,
    day: Option<toml::value::Date>,
    any: Option<toml::Value>,
    names: BTreeMap<String, i64>,
    large: Option<std::num::NonZeroU64>,
}

#[test]
fn all_kinds_of_types_are_read() {
    let text = "
        mode = 'Off'
        wait = 250
        ratio = 1
        letter = 'é'
        on = true
        address = '[::1]:80'
        pair = [1, 2]
        day = 2026-11-21
        any = { a = [1, 2.5, 'x'] }
        names = { a = 1, b = -2 }
        large = 9
    ";
    let expected: Many = toml::from_str(text).unwrap();
    assert_eq!(read(text), Ok(expected));
    let mode = |text: &str| read::<Many>(&format!("mode = {text}")).map(|many| many.mode.unwrap());
    assert_eq!(mode("{ Fixed = 5 }"), Ok(Mode::Fixed(5)));
    assert_eq!(mode("{ Range = { from = 1, to = 2 } }"), Ok(Mode::Range { from: 1, to: 2 }));
    assert_eq!(mode("{ Pair = [1, 2] }"), Ok(Mode::Pair(1, 2)));
    for (bad, expected) in [
        (
            "mode = 'On'",
            "`mode` is \"On\" in the file `u.toml`, line 1: expected one of `Off`, `Fixed`, `Range`, `Pair`",
        ),
        (
            "mode = { Fixed = 'x' }",
            "`mode.Fixed` is \"x\" in the file `u.toml`, line 1: expected an integer from 0 to 255",
        ),
        ("mode = { Range = { from = 1 } }", "`mode.Range.to` is in no layer, and has no default"),
        (
            "mode = { Off = 1 }",
            "`mode.Off` is 1 in the file `u.toml`, line 1: expected the name alone, without a value",
        ),
        (
            "mode = {}",
            "`mode` is a table in the file `u.toml`, line 1: expected a name, or a table with one",
        ),
        (
            "mode = 5",
            "`mode` is 5 in the file `u.toml`, line 1: expected a name, or a table with one",
        ),
        (
            "pair = [1, 2, 3]",
            "`pair` is an array of length 3 in the file `u.toml`, line 1: expected an array of length 2",
        ),
        (
            "pair = [1]",
            "`pair` is an array of length 1 in the file `u.toml`, line 1: expected an array of length 2",
        ),
        (
            "address = 'here'",
            "`address` is \"here\" in the file `u.toml`, line 1: invalid socket address syntax",
        ),
        ("on = 'yes'", "`on` is \"yes\" in the file `u.toml`, line 1: expected a boolean"),
        ("ratio = 'half'", "`ratio` is \"half\" in the file `u.toml`, line 1: expected a number"),
        (
            "names = { a = 'b' }",
            "`names.a` is \"b\" in the file `u.toml`, line 1: expected an integer",
        ),
        ("day = 5", "`day` is 5 in the file `u.toml`, line 1: expected a TOML datetime"),
    ] {
        assert_eq!(read::<Many>(bad).unwrap_err(), expected);
    }
    assert!(read::<Many>("large = 0").unwrap_err().contains("`large` is 0"));
}

#[test]
fn flattened_types_are_read_and_blamed_as_a_whole() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Outer {
        a: u8,
        #[serde(flatten)]
        inner: Inner,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        b: u8,
    }
    assert_eq!(read("a = 1\nb = 2"), Ok(Outer { a: 1, inner: Inner { b: 2 } }));
    assert_eq!(
        read::<Outer>("a = 1\nb = 'x'").unwrap_err(),
        "the configuration is a table in the file `u.toml`, line 1: there is a string in it where \
         an integer from 0 to 255 is expected"
    );
}

/// The environment has texts alone; the type says what they are.
#[test]
fn a_variable_is_what_its_type_asks_for() {
    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Texts {
        text: Option<String>,
        number: Option<u16>,
        list: Vec<u8>,
        mode: Option<Mode>,
        any: Option<toml::Value>,
    }
    let text = |raw| read_variables::<Texts>(&[("U__TEXT", raw)]).unwrap().text.unwrap();
    for raw in ["007", "true", "2026-11-21", "[1]", "{ a = 1 }", "", " x ", "a\nb = 1", "1e400"] {
        assert_eq!(text(raw), raw);
    }
    assert_eq!(text("\"007\""), "007");
    let all = [
        ("U__NUMBER", "500"),
        ("U__LIST", "[1, 2]"),
        ("U__MODE", "{ Fixed = 5 }"),
        ("U__ANY__X__Y", "1"),
        ("UX__NUMBER", "1"),
        ("U_NUMBER", "x"),
        ("PATH", "/bin"),
    ];
    let read = read_variables::<Texts>(&all).unwrap();
    assert_eq!((read.number, read.list), (Some(500), vec![1, 2]));
    assert_eq!(read.mode, Some(Mode::Fixed(5)));
    assert_eq!(read.any, Some("x.y = 1".parse::<toml::Table>().unwrap().into()));
    let mode = read_variables::<Texts>(&[("U__MODE", "Off")]).unwrap().mode;
    assert_eq!(mode, Some(Mode::Off));
    for bad in ["many", "99999999999999999999", "-1", "", "5 ", "[5]"] {
        let told = read_variables::<Texts>(&[("U__NUMBER", bad)]).unwrap_err();
        assert!(told.ends_with("(U__NUMBER): expected an integer from 0 to 65535"), "{told}");
    }
}

#[test]
fn variables_that_make_no_sense_are_named() {
    let told = |variables: &[(&str, &str)]| read_variables::<toml::Table>(variables).unwrap_err();
    for (variables, expected) in [
        (vec![("U__A", "1"), ("U__A__B", "2")], "`a` is given by two variables, U__A and U__A__B"),
        (vec![("U__A", "1"), ("U__a", "2")], "`a` is given by two variables, U__A and U__a"),
        (
            vec![("U__A", "{ b = 1 }"), ("U__A__B", "2")],
            "`a.b` is given by two variables, U__A and U__A__B",
        ),
        (
            vec![("U__A____B", "1")],
            "the variable `U__A____B` cannot be read: a key between two `__`, or after the last, is \
             empty",
        ),
    ] {
        assert_eq!(told(&variables), expected);
    }
    // Not at odds with each other.
    let both = read_variables::<toml::Table>(&[("U__A", "{ b = 1 }"), ("U__A__C", "2")]);
    assert_eq!(both.unwrap(), "a = { b = 1, c = 2 }".parse().unwrap());

    let long = "x".repeat((1 << 20) + 1);
    assert!(told(&[("U__A", &long)]).contains("the variable `U__A` is too long: 1 MiB"));
    let deep = format!("U__{}", ["A"; 33].join("__"));
    assert!(told(&[(&deep, "1")]).contains("nested too deep"));
    let deep = format!("U__{}", ["A"; 31].join("__"));
    assert!(told(&[(&deep, "[[1]]")]).contains("nested too deep"));
    assert!(read_variables::<toml::Table>(&[(&deep, "[1]")]).is_ok());
    let full = format!("[{}]", "1,".repeat(5_000));
    assert!(
        told(&[("U__A", &full), ("U__B", &full)]).contains("too many values in the environment")
    );

    for prefix in ["", "_", "U_", "_U", "A__B", "A-B", "É", "A B"] {
        let told = Given::environment(prefix, []).err().unwrap().to_string();
        assert!(told.starts_with(&format!("`{prefix}` is no prefix")), "{told}");
    }
    assert!(Given::environment("MY_USERS_2", []).is_ok());
}

#[cfg(unix)]
#[test]
fn variables_that_are_not_unicode_are_named() {
    use std::os::unix::ffi::OsStringExt;

    let os = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let told = |name: &[u8], value: &[u8]| {
        let parsed = Given::environment("U", [(os(name), os(value))]);
        parsed.map(|given| given.parts.len()).map_err(|error| error.to_string())
    };
    assert_eq!(
        told(b"U__A", b"\xff"),
        Err("the variable `U__A` cannot be read: its value is not Unicode".to_owned())
    );
    assert_eq!(
        told(b"U__A\xff", b"1"),
        Err("the variable `U__A\u{fffd}` cannot be read: its name is not Unicode".to_owned())
    );
    // Those of others are none of this service's business.
    assert_eq!(told(b"V__A\xff", b"\xff"), Ok(0));
}

#[test]
fn updates_at_run_time_are_bounded_together() {
    let part = plugin("list");
    let section = super::section(&part, &toml::Table::new());
    let cell = ConfigCell::new(vec![Change::Sections([(part, section)].into())]).unwrap();
    let update = |key| runtime(&format!("plugins.list.{key} = [{}]", "1,".repeat(3_000)));
    for key in ["a", "b", "c", "a"] {
        change(&cell, vec![update(key)]).unwrap();
    }
    let refused = change(&cell, vec![update("d")]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there are too many values in an update at run time: it may have 10000"
    );
    change(&cell, vec![Change::Reset, update("d")]).unwrap();
}
