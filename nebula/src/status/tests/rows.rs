//! Each status there is, and each that one may make.

use super::super::table::ROWS;
use super::*;

/// ST-1, ST-2: the rows of the specification.
#[test]
fn st_01_02_builtin_rows() {
    let rows: [(&str, u16, &str); 23] = [
        ("ok", 200, "Success"),
        ("created", 201, "Created"),
        ("deleted", 200, "Deleted"),
        ("bad_request", 400, "Bad request"),
        ("unauthorized", 401, "Unauthorized"),
        ("forbidden", 403, "Forbidden"),
        ("not_found", 404, "Not found"),
        ("timeout", 408, "Timeout"),
        ("conflict", 409, "Conflict"),
        ("too_large", 413, "Too large"),
        ("too_many_requests", 429, "Too many requests"),
        ("cancelled", 499, "Cancelled"),
        ("internal_error", 500, "Internal error"),
        ("not_implemented", 501, "Not implemented"),
        ("service_not_available", 503, "Service not available"),
        ("field_invalid", 400, "A field is invalid"),
        ("field_missing", 400, "A field is missing"),
        ("field_unknown", 400, "A field is unknown"),
        ("parameter_invalid", 400, "A parameter is invalid"),
        ("parameter_missing", 400, "A parameter is missing"),
        ("resource_invalid", 400, "The resource is invalid"),
        ("method_not_allowed", 405, "Method not allowed"),
        ("service_not_found", 409, "Service not found"),
    ];
    assert_eq!(ROWS, rows);
    for (code, http, text) in rows {
        let status = Status::builtin(code).unwrap();
        assert_eq!((status.code(), status.http(), status.message()), (code, http, text));
        assert_eq!(status.data().len(), 0);
        assert_eq!(status.is_public(), code != "internal_error", "{code}");
    }
    assert_eq!(Status::builtin("no_such_code"), None);
}

/// ST-1: every plain row is a function, whose empty message is the usual one.
#[test]
fn st_01_plain_constructors() {
    let made = [
        Status::ok(),
        Status::created(),
        Status::deleted(),
        Status::bad_request(""),
        Status::unauthorized(""),
        Status::forbidden(""),
        Status::not_found(""),
        Status::timeout(""),
        Status::conflict(""),
        Status::too_large(""),
        Status::too_many_requests(""),
        Status::cancelled(""),
        Status::internal_error(""),
        Status::not_implemented(""),
        Status::service_not_available(""),
    ];
    for (status, (code, ..)) in made.into_iter().zip(ROWS) {
        assert_eq!(Some(status), Status::builtin(code));
    }
    assert_eq!(Status::conflict("In use").message(), "In use");
}

/// ST-2: what is meant is in the message and in the data.
#[test]
fn st_02_named_constructors() {
    let name = "e-mail".to_owned();
    for (status, code, http, key, message) in [
        (Status::field_invalid(&name), "field_invalid", 400, "field", "Field `e-mail` is invalid"),
        (Status::field_missing(&name), "field_missing", 400, "field", "Field `e-mail` is missing"),
        (Status::field_unknown(&name), "field_unknown", 400, "field", "Field `e-mail` is unknown"),
        (
            Status::parameter_invalid(&name),
            "parameter_invalid",
            400,
            "parameter",
            "Parameter `e-mail` is invalid",
        ),
        (
            Status::parameter_missing(&name),
            "parameter_missing",
            400,
            "parameter",
            "Parameter `e-mail` is missing",
        ),
        (
            Status::resource_invalid(&name),
            "resource_invalid",
            400,
            "resource",
            "Resource `e-mail` is invalid",
        ),
        (
            Status::method_not_allowed(&name),
            "method_not_allowed",
            405,
            "method",
            "Method `e-mail` is not allowed",
        ),
        (
            Status::service_not_found(&name),
            "service_not_found",
            409,
            "service",
            "Service `e-mail` is not found",
        ),
    ] {
        assert_eq!((status.code(), status.http(), status.message()), (code, http, message));
        assert_eq!(status.data().collect::<Vec<_>>(), [(key, "e-mail")]);
    }
}

/// ST-3, ST-8: an unknown code says itself, and anything makes a code.
#[test]
fn st_03_08_codes_of_ones_own() {
    let long = "x".repeat(100);
    for (given, code) in [
        ("out_of_paper", "out_of_paper"),
        ("Out of paper", "out_of_paper"),
        ("v1.2-rc", "v1.2-rc"),
        ("Ünder\n\u{1b}", "_nder__"),
        ("", "unknown"),
        (&long, &long[..64]),
    ] {
        let status = Status::new(given.to_owned(), 500, "");
        assert_eq!((status.code(), status.message()), (code, code), "{given:?}");
    }
    for (given, http) in [(0, 500), (99, 500), (100, 100), (599, 599), (600, 500), (u16::MAX, 500)]
    {
        assert_eq!(Status::new("a", given, "").http(), http);
    }
}

/// ST-4: a text alone is an internal `error`.
#[test]
fn st_04_a_text_is_an_error() {
    let status = "the disk is full".status();
    assert_eq!(status.to_string(), "error (500): the disk is full");
    assert!(!status.is_public());
    assert_eq!("the disk is full".to_owned().status(), status);
    assert_eq!(
        status.public_as(Reference::from_bits(1)),
        Status::withheld(Reference::from_bits(1))
    );
}

/// ST-7: a status is its own status, and what is public passes as it is.
#[test]
fn st_07_a_status_stays_as_it_is() {
    let status = Status::not_found("no user").with("user", 7);
    assert_eq!(status.status(), status);
    assert_eq!(status.public(), status);
    let boxed: Box<dyn IntoStatus> = Box::new(status.clone());
    let borrowed = &boxed;
    assert_eq!((boxed.public(), borrowed.status()), (status.clone(), status));
}

/// ST-13: data are texts.
#[test]
fn st_13_data_are_texts() {
    let status = Status::ok().with("id", 7).with("on", true).with("id", "eight");
    assert_eq!(status.data().collect::<Vec<_>>(), [("id", "eight"), ("on", "true")]);
    assert_eq!((status.get("on"), status.get("off")), (Some("true"), None));
}

/// ST-1, ST-14: one form, in which nothing hides.
#[test]
fn st_14_display() {
    assert_eq!(Status::ok().to_string(), "ok (200): Success");
    let status = Status::new("odd", 400, "a\u{1b}[2J\nb").with("k\n", "v\u{202e}");
    assert_eq!(status.to_string(), "odd (400): a\\u{1b}[2J\\nb");
    assert_eq!(format!("{status:#}"), "odd (400): a\\u{1b}[2J\\nb\n  k\\n: v\\u{202e}");
    let withheld = Status::withheld(Reference::from_bits(0xC0FFEE));
    assert_eq!(
        withheld.to_string(),
        "internal_error (500): Internal error, reference 00000000000000000000000000c0ffee"
    );
}
