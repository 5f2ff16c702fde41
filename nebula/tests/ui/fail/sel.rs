use nebula::prelude::*;

fn main() {
    let _ = sel!(&db !backup);
    let _ = sel!(
        &db
        backup
    );
    let _ = sel!(& db);
    let _ = sel!(&db |);
    let _ = sel!(&db ());
    let _ = sel!(&db && &eu);
    let _ = sel!(@web@host);
    let _ = sel!("db");
    let _ = sel!([&db]);
    let _ = sel!();
    let _ = sel!(tag("db") & node("backup"));
}
