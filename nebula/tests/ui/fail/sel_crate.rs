fn main() {
    let _ = nebula::sel!(crate = nebula &db);
    let _ = nebula::sel!(crate = "nebula"; &db);
    let _ = nebula::sel!(crate = no::such; &db);
}
