nebula::topology!();
nebula::topology!(nebula.toml);
nebula::topology!(cluster = "nebula.toml");
nebula::topology!(pub mod cluster: "nebula.toml");
nebula::topology!(mod cluster = "nebula.toml", "other.toml");
nebula::topology!(crate = my::nebula; mod cluster = "nebula.toml");

fn main() {}
