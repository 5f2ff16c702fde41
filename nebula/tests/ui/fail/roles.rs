// This crate has no features at all.
const ROLES: nebula::Roles = nebula::roles![db, web];

nebula::on_nodes!(&db !@web-1 { struct Store; });

fn main() {
    let _ = ROLES;
    let _ = nebula::roles![];
    let _ = nebula::roles![db web];
    let _ = nebula::roles![&db];
    let _ = nebula::roles![default];
    nebula::on_nodes!(if &default { 1 } else { 2 });
    nebula::on_nodes!(if &"two words" { 1 } else { 2 });
}
