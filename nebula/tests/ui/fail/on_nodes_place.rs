nebula::on_nodes!(if * { struct Store; });

fn main() {
    let _ = nebula::on_nodes!(* { fn store() {} });
}
