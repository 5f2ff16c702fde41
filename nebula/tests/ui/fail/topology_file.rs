nebula::topology!("no/such.toml");
nebula::topology!(mod absolute = "/etc/nebula.toml");
nebula::topology!(pub mod numbers = "numbers.toml");
nebula::topology!(mod clash = "clash.toml");

fn main() {
    let _ = numbers::topology();
    let _ = nebula::topology!("nebula.toml");
}
