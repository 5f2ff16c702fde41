use super::*;
use crate::zones::LoadError;
use crate::zones::load::MAX_BYTES;

const REAL: &str = include_str!("../../../data/zone1970.tab");

fn real() -> Table {
    Table::parse(REAL).unwrap()
}

/// The error for a table whose third line is `row`.
fn refused(row: &str) -> ParseError {
    let error = Table::parse(&format!("# a comment\nAD\t+4230+00131\tEurope/Andorra\n{row}\n"))
        .expect_err("this row must be refused");
    assert_eq!(error.line, 3, "{error}");
    error
}

#[track_caller]
fn assert_refused(row: &str, column: usize, expected: &str, found: &str) {
    let error = refused(row);
    assert_eq!((error.column, error.found.as_str()), (column, found), "{error}");
    assert!(error.expected.contains(expected), "{error}");
}

#[test]
fn the_real_table_is_read_whole() {
    let rows = REAL.lines().filter(|line| !line.starts_with('#')).count();
    assert!(rows > 300, "the bundled table is cut short: {rows} rows");
    assert_eq!(real().len(), rows);
}

#[test]
fn a_row_becomes_a_zone() {
    let zurich = real().zone("Europe/Zurich").unwrap();
    assert_eq!(zurich.countries, ["CH", "DE", "LI"]);
    assert_eq!(zurich.comment.as_deref(), Some("Büsingen"));
    assert!((zurich.lat - (47.0 + 23.0 / 60.0)).abs() < 1e-9);
    assert!((zurich.lon - (8.0 + 32.0 / 60.0)).abs() < 1e-9);
    for country in ["CH", "li", "De"] {
        assert!(real().zones_of(country).contains(&zurich), "{country}");
    }
    assert_eq!(real().zone("Europe/Andorra").unwrap().comment, None);
}

#[test]
fn seconds_and_signs_count() {
    let text = "XX\t-012345-1234506\tNowhere/Deep\nYY\t+9000+18000\tNowhere/Edge";
    let table = Table::parse(text).unwrap();
    let deep = table.zone("Nowhere/Deep").unwrap();
    assert!((deep.lat + (1.0 + 23.0 / 60.0 + 45.0 / 3600.0)).abs() < 1e-9);
    assert!((deep.lon + (123.0 + 45.0 / 60.0 + 6.0 / 3600.0)).abs() < 1e-9);
    let edge = table.zone("Nowhere/Edge").unwrap();
    assert_eq!((edge.lat, edge.lon), (90.0, 180.0));
}

#[test]
fn the_nearest_zone_is_by_great_circle() {
    let table = real();
    let name = |lat, lon| table.nearest(lat, lon).map(|zone| zone.name);
    assert_eq!(name(52.5, 13.4).as_deref(), Some("Europe/Berlin"));
    assert_eq!(name(47.4, 8.5).as_deref(), Some("Europe/Zurich"));
    assert_eq!(name(-33.9, 151.2).as_deref(), Some("Australia/Sydney"));
    // Beyond the date line: Fiji lies at 178° east, three degrees from here, not 357.
    assert_eq!(name(-18.0, -179.0).as_deref(), Some("Pacific/Fiji"));
    for (lat, lon) in [(90.1, 0.0), (0.0, -180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
        assert_eq!(name(lat, lon), None, "{lat} {lon}");
    }
}

#[test]
fn every_place_is_nearest_to_itself() {
    let table = real();
    for zone in &table.zones {
        let nearest = table.nearest(zone.lat, zone.lon).unwrap();
        assert_eq!((nearest.lat, nearest.lon), (zone.lat, zone.lon), "{}", zone.name);
    }
}

#[test]
fn an_unknown_country_has_no_zones() {
    for country in ["", "ZZ", "DEU", "D", "🦀"] {
        assert!(real().zones_of(country).is_empty(), "{country}");
    }
}

#[test]
fn a_correction_is_made_once() {
    let mut table = real();
    assert_eq!(table.correct("Europe/Berlin", "all of Germany but Büsingen"), Ok(true));
    assert_eq!(table.correct("Europe/Berlin", "all of Germany but Büsingen"), Ok(false));
    let berlin = table.zone("Europe/Berlin").unwrap();
    assert_eq!(berlin.comment.as_deref(), Some("all of Germany but Büsingen"));
}

#[test]
fn a_bad_correction_changes_nothing() {
    let mut table = real();
    let unknown = CorrectionError::UnknownZone("Europe/Atlantis".to_owned());
    assert_eq!(table.correct("Europe/Atlantis", "sunk"), Err(unknown));
    let bad = CorrectionError::BadComment { limit: MAX_COMMENT };
    for comment in ["", "two\tcolumns", "two\nlines", &"x".repeat(MAX_COMMENT + 1)] {
        assert_eq!(table.correct("Europe/Berlin", comment), Err(bad.clone()), "{comment:?}");
    }
    assert_eq!(table, real());
    assert_eq!(table.correct("Europe/Berlin", &"ü".repeat(MAX_COMMENT)), Ok(true));
}

#[test]
fn countries_are_two_capitals_each_once() {
    for countries in ["de", "D", "DEU", "DE,", ",DE", "D1", "DE, FR", "", "ÄÖ"] {
        let row = format!("{countries}\t+5230+01322\tEurope/Berlin");
        assert_refused(&row, 1, "two capital letters", &excerpt(countries));
    }
    assert_refused("DE,FR,DE\t+5230+01322\tEurope/Berlin", 1, "once", "`DE,FR,DE`");
}

#[test]
fn coordinates_have_one_of_two_forms() {
    for text in [
        "",
        "5230+01322",
        "+5230",
        "+5230 01322",
        "+52.5+13.36",
        "+5230+0132",
        "+523000+01322",
        "+5230+013220",
        "+52a0+01322",
        "+5230+01322+99",
        "+523000+01322xx",
        "é5230+0132",
        "++230+01322",
    ] {
        let row = format!("DE\t{text}\tEurope/Berlin");
        assert_refused(&row, 2, "±DDMM±DDDMM", &excerpt(text));
    }
}

#[test]
fn coordinates_lie_on_earth() {
    for text in ["+9001+01322", "-9100+01322", "+5260+01322", "+900001+0132200", "+523060+0132200"]
    {
        assert_refused(&format!("DE\t{text}\tA/B"), 2, "latitude", &excerpt(text));
    }
    for text in ["+5230+18001", "+5230-18100", "+5230+01360", "+523000+1800001", "+523000+0132299"]
    {
        assert_refused(&format!("DE\t{text}\tA/B"), 2, "longitude", &excerpt(text));
    }
}

#[test]
fn rows_have_three_or_four_columns() {
    assert_refused("", 1, "country codes", "nothing");
    assert_refused("DE", 2, "coordinates", "the end of the line");
    assert_refused("DE +5230+01322 Europe/Berlin", 1, "country", "`DE +5230+01322 Europe/Berlin`");
    assert_refused("DE\t+5230+01322", 3, "name", "the end of the line");
    assert_refused("DE\t+5230+01322\tEurope/Berlin\t", 4, "comment", "nothing");
    assert_refused("DE\t+5230+01322\tEurope/Berlin\tx\ty", 5, "four columns", "`y`");
}

#[test]
fn names_have_the_form_of_names() {
    for name in ["", "/Berlin", "Europe/", "Europe//Berlin", "Europe/New Berlin", "Európa/Berlin"]
    {
        assert_refused(&format!("DE\t+5230+01322\t{name}"), 3, "time zone name", &excerpt(name));
    }
}

#[test]
fn a_name_stands_once() {
    let error = refused("FR\t+4852+00220\tEurope/Andorra");
    assert_eq!(
        error.to_string(),
        "table line 3: expected a name that no other line has in column 3, \
         found `Europe/Andorra`, which line 2 has too"
    );
}

#[test]
fn a_table_has_a_row() {
    for (text, line) in [("", 1), ("# only\n# comments\n", 3)] {
        let error = Table::parse(text).unwrap_err();
        assert_eq!((error.line, error.expected), (line, "at least one row"));
    }
}

#[test]
fn what_a_message_quotes_is_short_and_harmless() {
    let error = refused(&format!("\u{1b}[2J{}\t+5230+01322\tA/B", "x".repeat(10_000)));
    assert!(error.to_string().len() < 250, "{error}");
    assert!(error.to_string().chars().all(|c| !c.is_control()), "{error:?}");
}

#[test]
fn a_file_is_named_in_its_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.tab");
    std::fs::write(&path, "# one\nDE\t+5230+01322\tEurope/Berlin\nFR\tnowhere\tEurope/Paris\n")
        .unwrap();
    let message = Table::load(&path).unwrap_err().to_string();
    let start = format!("{} line 3: expected coordinates", path.display());
    assert!(message.starts_with(&start), "{message}");
}

#[test]
fn a_file_that_is_not_text_is_refused_at_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.tab");
    std::fs::write(&path, b"# one\nDE\t+5230+01322\tEurope/\xffBerlin\n").unwrap();
    let Err(LoadError::Parse(error)) = Table::load(&path) else { panic!("must be refused") };
    assert_eq!((error.line, error.column, error.expected), (2, 3, "UTF-8 text"));
}

#[test]
fn files_that_are_absent_or_too_long_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.tab");
    assert!(matches!(Table::load(&path), Err(LoadError::Read { .. })));
    std::fs::File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
    assert!(matches!(Table::load(&path), Err(LoadError::TooLong { limit: MAX_BYTES, .. })));
}
