nebula::on_nodes!();
nebula::on_nodes!(&db);
nebula::on_nodes!({ struct Store; });
nebula::on_nodes!(db { struct Store; });
nebula::on_nodes!(* { struct Store; } struct Other;);
nebula::on_nodes!(* { struct Here; } else struct Other;);
nebula::on_nodes!(* { open(); let x = 3; });
nebula::on_nodes!(@"db-1@h1" { struct Pinned; });

fn main() {
    let _ = nebula::on_nodes!(if * { 1 } else 2);
    let _ = nebula::on_nodes!(if { 1 } else { 2 });
    let _: u8 = nebula::on_nodes!(if * { 1 });
    nebula::on_nodes!(* { println!("a statement without `if`") });
}
