//! `topology!` knows the nodes of a file, and its constants and `sel!` are those of that file.

#![deny(warnings)]

use nebula::nodes::{NodeName, Tag, node, tag};
use nebula::{Node, Selector, Topology};

nebula::topology!("tests/pass/cluster.toml");

/// The same under another name, for others to use.
mod shop {
    nebula::topology! {
        /// The cluster of the shop.
        pub mod cluster = "tests/pass/cluster.toml";
    }
    /// Nebula by another path.
    pub(crate) mod my {
        pub(crate) use nebula as cloud;
    }
    nebula::topology!(crate = crate::topology_macro::shop::my::cloud;
        pub(crate) mod renamed = "tests/pass/cluster.toml");
}

use shop::cluster::{nodes, tags};

#[test]
fn constants_are_selectors() {
    for (made, text) in [
        (tags::DB & !nodes::DB_2, "&db !@db-2"),
        (tags::DB & tags::EU | nodes::WEB_H3, "&db &eu | @\"web@h3\""),
        (!tags::BACKUP & nodes::DB_1, "!&backup @db-1"),
        (tags::WEB | (tag("x") & tags::DB), "&web | &x &db"),
        (topology::nodes::_1ST_NODE.into(), "@1st.node"),
    ] {
        assert_eq!(Selector::to_string(&made), text);
    }
    assert_eq!(node(nodes::WEB), nodes::WEB.into());
    const CHOSEN: (Tag, NodeName) = (tags::DB, nodes::DB_1_H1);
    let _builder = Node::builder(CHOSEN.1).tag(CHOSEN.0).tags([tags::EU, tags::DB]);
}

#[test]
fn the_topology_is_that_of_the_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pass/cluster.toml");
    let read = Topology::from_file(path).unwrap();
    assert_eq!(topology::topology(), read);
    assert_eq!(shop::cluster::topology(), read);
    assert_eq!(shop::renamed::topology().hash(), read.hash());
}

#[test]
fn sel_is_checked_and_means_the_same() {
    for (made, text) in [
        (topology::sel!(&db !@db-2), "&db !@db-2"),
        (topology::sel!(@"web@h3" | &backup), "@\"web@h3\" | &backup"),
        (shop::cluster::sel!((&eu | &web) !(@1st.node)), "(&eu | &web) !(@1st.node)"),
        (shop::renamed::sel!(*), "*"),
        (nebula::sel!(crate = shop::my::cloud; &anything), "&anything"),
    ] {
        let read: Selector = text.parse().unwrap();
        assert_eq!(made.to_string(), read.to_string());
    }
}

macro_rules! on {
    ($name:ident $($rest:tt)*) => {
        shop::cluster::sel!(&$name $($rest)*)
    };
}

#[test]
fn tokens_may_come_from_a_macro() {
    use shop::cluster::sel;
    assert_eq!(on!(db !@db-1), sel!(&db !@db-1));
}

#[test]
fn it_may_stand_in_a_function() {
    nebula::topology!(mod cluster = "tests/pass/cluster.toml");
    assert_eq!(cluster::sel!(&web).to_string(), cluster::tags::WEB.to_string().replace("w", "&w"));
}
