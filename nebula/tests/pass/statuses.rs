//! What `IntoStatus` makes of errors.

use std::fmt;

use nebula::prelude::*;
use nebula::status::Reference;
use proptest::prelude::*;

const REFERENCE: Reference = Reference::from_bits(0xC0FFEE);

#[derive(Debug, IntoStatus, thiserror::Error)]
enum OrderError {
    #[error("there is no order {id} of {}", .owner.0)]
    #[status(code = 404, name = "not_found", public)]
    NoOrder {
        #[status(data)]
        id: u64,
        owner: Owner,
        #[status(data = "place")]
        r#in: &'static str,
    },
    #[error("secret")]
    #[status(code = 409, message = "That is sold out", public)]
    SoldOut,
    #[error("disk {0} of {1} is full")]
    DiskFull(u8, #[status(data = "host")] &'static str),
    #[error("the printer burns")]
    #[status(code = 503, name = "printer.on-fire")]
    PrinterOnFire,
    #[error(transparent)]
    #[status(transparent)]
    Call(#[from] CallError<StockError>),
}

/// Neither `Display` nor a status.
#[derive(Debug)]
struct Owner(&'static str);

#[derive(Debug, IntoStatus, serde::Deserialize, serde::Serialize, thiserror::Error)]
#[error("only {left} left")]
#[status(code = 409, public)]
struct StockError {
    #[status(data)]
    left: u32,
}

fn no_order() -> OrderError {
    OrderError::NoOrder { id: 7, owner: Owner("ada"), r#in: "eu" }
}

/// ST-6, ST-11: patterns of one's own, with number, code and data.
#[test]
fn st_06_11_variants_say_their_status() {
    let status = no_order().status();
    assert_eq!(status.to_string(), "not_found (404): there is no order 7 of ada");
    assert_eq!(status.data().collect::<Vec<_>>(), [("id", "7"), ("place", "eu")]);
    assert_eq!(no_order().public(), status);
    let status = OrderError::SoldOut.public();
    assert_eq!(status.to_string(), "sold_out (409): That is sold out");
}

/// ST-5, ST-10: what is nested speaks for itself, in and out of a call.
#[test]
fn st_05_10_transparent_is_what_is_inside() {
    let own = OrderError::from(CallError::App(StockError { left: 3 }));
    assert_eq!(own.status().to_string(), "stock_error (409): only 3 left");
    assert_eq!(own.public(), own.status());
    assert_eq!(own.public().get("left"), Some("3"));
    // What strangers see of a failed call is not its sentence.
    let call = OrderError::from(CallError::Deadline(Default::default()));
    assert_eq!(call.status().message(), call.to_string());
    assert_eq!(call.public().to_string(), "timeout (408): Timeout");
}

#[test]
fn unmarked_is_internal() {
    for (error, status) in [
        (OrderError::DiskFull(3, "h1"), "disk_full (500): disk 3 of h1 is full"),
        (OrderError::PrinterOnFire, "printer.on-fire (503): the printer burns"),
    ] {
        assert_eq!(error.status().to_string(), status);
        assert!(!error.status().is_public() && error.shown().is_none());
        assert_eq!(error.public_as(REFERENCE), Status::withheld(REFERENCE));
    }
    assert_eq!(OrderError::DiskFull(3, "h1").status().get("host"), Some("h1"));
}

#[test]
fn the_question_mark_converts() {
    fn fails() -> Result<(), Status> {
        Err(OrderError::DiskFull(3, "h1"))?
    }
    let status = fails().unwrap_err();
    assert_eq!((status.code(), status.is_public()), ("disk_full", false));
}

#[derive(IntoStatus)]
enum Generic<'a, T, E, const N: usize>
where
    T: Clone,
{
    #[status(code = 400, public)]
    Named(#[status(data = "name")] &'a T),
    #[status(transparent)]
    Inner(E),
    #[status(message = "too many")]
    Many([u8; N]),
}

impl<T: Clone, E, const N: usize> fmt::Display for Generic<'_, T, E, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("generic")
    }
}

#[test]
fn generics_lifetimes_and_structs() {
    let named = Generic::<_, Status, 2>::Named(&5);
    assert_eq!((named.status().code(), named.status().get("name")), ("named", Some("5")));
    let inner = Generic::<u8, _, 2>::Inner(StockError { left: 0 });
    assert_eq!(Status::from(inner).code(), "stock_error");
    assert_eq!(Generic::<u8, Status, 2>::Many([1, 2]).status().message(), "too many");

    #[derive(IntoStatus)]
    #[status(transparent)]
    struct Wrapped<E> {
        inner: E,
    }
    assert_eq!(Wrapped { inner: StockError { left: 0 } }.public().http(), 409);

    #[derive(IntoStatus)]
    enum Never {}
    let none: Option<Never> = None;
    assert!(none.map(Status::from).is_none());
}

/// A type that a macro makes, and nebula under another name.
#[test]
fn made_by_macro_rules() {
    mod my {
        pub(crate) use ::nebula as renamed;
    }
    macro_rules! error {
        ($name:ident, $http:literal, $code:expr) => {
            #[derive(IntoStatus)]
            #[status(crate = "my::renamed", code = $http, name = $code, message = "m", public)]
            struct $name;
        };
    }
    macro_rules! nested {
        ($name:ident, $variant:ident, $inner:ty, $field:ident, $of_field:ty) => {
            #[derive(IntoStatus, thiserror::Error, Debug)]
            enum $name {
                #[error("{0}")]
                #[status(transparent)]
                $variant($inner),
                #[error("own")]
                Own {
                    #[status(data)]
                    $field: $of_field,
                },
            }
        };
    }
    nested!(Nested, Inner, StockError, years, u8);
    assert_eq!(Nested::Inner(StockError { left: 1 }).public().get("left"), Some("1"));
    let own = Nested::Own { years: 3 }.status();
    assert_eq!((own.message(), own.get("years")), ("own", Some("3")));
    error!(Odd, 418, "tea.pot");
    assert_eq!(Odd.public().to_string(), "tea.pot (418): m");
}

#[service]
trait Orders {
    #[api]
    async fn cancel(&self, id: u64) -> Result<(), Status>;
    #[api]
    async fn reserve(&self, left: u32) -> Result<(), StockError>;
}

struct Desk;

impl Orders for Desk {
    async fn cancel(&self, id: u64) -> Result<(), Status> {
        match id {
            7 => Err(no_order())?,
            _ => Err(OrderError::PrinterOnFire)?,
        }
    }

    async fn reserve(&self, left: u32) -> Result<(), StockError> {
        Err(StockError { left })
    }
}

/// Errors of services convert, whether they are a `Status` or have one.
#[tokio::test]
async fn errors_of_services_convert() {
    let orders = OrdersClient::local(Desk);
    let error = orders.cancel(7).await.unwrap_err();
    assert_eq!(error.public().to_string(), "not_found (404): there is no order 7 of ada");
    let error = orders.cancel(8).await.unwrap_err();
    assert_eq!(error.status().code(), "printer.on-fire");
    assert_eq!(error.public_as(REFERENCE), Status::withheld(REFERENCE));
    let error = orders.reserve(2).await.unwrap_err();
    assert_eq!(error.public().get("left"), Some("2"));
    let failed = async || -> Result<(), Status> { Ok(orders.reserve(2).await?) };
    assert_eq!(failed().await.unwrap_err().code(), "stock_error");
}

#[test]
fn json_leaves_out_what_says_nothing() {
    for (status, json) in [
        (Status::ok(), r#"{"code":"ok","http":200,"message":"Success"}"#),
        (
            Status::field_missing("a").internal(),
            r#"{"code":"field_missing","http":400,"message":"Field `a` is missing","data":{"field":"a"},"internal":true}"#,
        ),
        (
            Status::withheld(Reference::from_bits(10)),
            r#"{"code":"internal_error","http":500,"message":"Internal error","reference":"0000000000000000000000000000000a"}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&status).unwrap(), json);
        assert_eq!(serde_json::from_str::<Status>(json).unwrap(), status);
    }
    for bad in [
        r#"{"code":"Not found","http":404}"#,
        r#"{"code":"","http":404}"#,
        r#"{"code":"a","http":99}"#,
        r#"{"code":"a","http":70000}"#,
        r#"{"http":404}"#,
        r#"{"code":"a","http":404,"reference":"12"}"#,
        r#"{"code":"a","http":404,"reference":"+000000000000000000000000000000a"}"#,
    ] {
        assert!(serde_json::from_str::<Status>(bad).is_err(), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// What JSON says is what was meant, and what is withheld is not in it.
    #[test]
    fn json_reads_back_and_leaks_nothing(
        (code, http, message) in ("\\PC{0,70}", any::<u16>(), ".{0,200}"),
        data in proptest::collection::vec((".{0,10}", ".{0,100}"), 0..5),
        secret in "[0-9]{40}",
    ) {
        let status = Status::new(code, http, message);
        let status = data.into_iter().fold(status, |status, (key, value)| status.with(key, value));
        let json = serde_json::to_string(&status).unwrap();
        prop_assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status.clone());
        let internal = status.with(secret.clone(), &secret).internal();
        let json = serde_json::to_string(&internal).unwrap();
        prop_assert!(json.contains(&secret));
        prop_assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), internal.clone());
        let json = serde_json::to_string(&internal.public_as(REFERENCE)).unwrap();
        prop_assert!(!json.contains(&secret));
    }
}
