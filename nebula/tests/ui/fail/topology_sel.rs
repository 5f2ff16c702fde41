use nebula::prelude::*;

nebula::topology!(mod cluster = "nebula.toml");

fn main() {
    let _ = cluster::sel!(&db !@backup);
    let _ = cluster::sel!(&dbb | (@db-3 !@"db-1@h2"));
    let _ = cluster::sel!(&db &web);
    let _ = cluster::sel!(&db !backup);
    let _ = cluster::sel!();
    let _: Selector = cluster::tags::CACHE.into();
}
