mod drawn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use macula::directory::{MethodRecord, NodeRecord, NodeStatus, ServiceRecord};
use macula::identity::NodeId;

use super::build::{self, Known, Live, Member};
use super::*;
use crate::nodes::{node, tag};
use crate::service::info::method_id;

fn id(byte: u8) -> NodeId {
    NodeId::from_bytes([byte; 32])
}

fn topology() -> Topology {
    let topology = Topology::new().node("a@h1", ["db"]).unwrap();
    topology.node("b@h2", ["db", "eu"]).unwrap().node("c@h3", ["web"]).unwrap()
}

fn known(name: &str, selector: Option<Selector>) -> Known {
    let (service, method) = name.split_once('.').unwrap();
    Known { service: service.into(), method: method.into(), key: [1; 8], selector }
}

fn wire_id(name: &str) -> u64 {
    let (service, method) = name.split_once('.').unwrap();
    method_id(service, method)
}

/// A living node that serves these methods.
fn member(number: u8, name: &str, tags: &[&str], methods: &[&str]) -> Member {
    let service = |name: &&str| {
        let (service, method) = name.split_once('.').unwrap();
        let method = MethodRecord { name: method.into(), id: wire_id(name), key: [1; 8] };
        let (name, methods) = (service.into(), vec![method]);
        ServiceRecord { name, methods, ..ServiceRecord::default() }
    };
    let record = NodeRecord {
        node: id(number),
        incarnation: 1,
        version: 1,
        name: name.into(),
        tags: tags.iter().map(|tag| tag.to_string()).collect(),
        addrs: Vec::new(),
        status: NodeStatus::Serving,
        services: methods.iter().map(service).collect(),
        topology: None,
    };
    Member { id: id(number), record: Some(record.into()), silent: false }
}

fn change(member: &mut Member, with: impl FnOnce(&mut NodeRecord)) {
    with(Arc::make_mut(member.record.as_mut().unwrap()));
}

/// The node `a@h1`, alone, that knows nothing.
fn alone(topology: Option<&Topology>) -> Live<'_> {
    Live {
        node: "a@h1",
        itself: id(1),
        joined: true,
        topology,
        methods: Vec::new(),
        here: BTreeSet::new(),
        nodes: vec![member(1, "a@h1", &["db"], &[])],
        seen: BTreeMap::new(),
    }
}

fn rows(map: &Routes) -> Vec<String> {
    map.methods().iter().map(|row| format!("{}.{}", row.service, row.method)).collect()
}

/// Three methods on three nodes, one of which is down, and one has not started what it should.
fn cluster(topology: &Topology) -> Live<'_> {
    Live {
        methods: vec![
            known("Users.put", Some(tag("db"))),
            known("Pages.show", Some(tag("web"))),
            known("Users.find", None),
        ],
        here: [wire_id("Users.find"), wire_id("Users.put")].into(),
        nodes: vec![
            member(1, "a@h1", &["db"], &["Users.find", "Users.put"]),
            member(3, "c@h3", &["web"], &["Users.find", "Jobs.run"]),
        ],
        ..alone(Some(topology))
    }
}

#[test]
fn rows_are_sorted_and_cells_say_how_each_node_stands() {
    // MAP-01
    let topology = topology();
    let map = build::live(&cluster(&topology));
    assert_eq!(rows(&map), ["Jobs.run", "Pages.show", "Users.find", "Users.put"]);
    let names: Vec<_> = map.nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["a@h1", "b@h2", "c@h3"]);
    use RouteCell::*;
    let cells: Vec<_> = map.methods().iter().map(|row| row.cells.as_slice()).collect();
    assert_eq!(
        cells,
        [
            [NotServed, NotServed, Available],
            [NotServed, NotServed, WorkerDown],
            [Local, NotServed, Available],
            [Local, Down, NotServed],
        ]
    );
    assert_eq!(map.cell("Users", "put", "b@h2"), Some(Down));
    assert_eq!((map.cell("Users", "put", "b"), map.cell("Users", "pat", "b@h2")), (None, None));
    let states: Vec<_> = map.nodes().iter().map(|node| node.state).collect();
    assert_eq!(states, [NodeState::Itself, NodeState::Down, NodeState::Up]);
    assert_eq!(map.methods()[3].selector.as_deref(), Some("&db"));

    let methods = [
        RouteMethod::new("Users", "put").on(tag("db")),
        RouteMethod::new("Users", "find"),
        RouteMethod::new("Pages", "show").on(!tag("db")),
    ];
    let map = Routes::configured(&topology, methods);
    assert_eq!(rows(&map), ["Pages.show", "Users.find", "Users.put"]);
    let cells: Vec<_> = map.methods().iter().map(|row| row.cells.as_slice()).collect();
    assert_eq!(
        cells,
        [
            [NotServed, NotServed, Expected],
            [Expected, Expected, Expected],
            [Expected, Expected, NotServed],
        ]
    );
}

#[test]
fn nothing_is_an_empty_map() {
    // MAP-02
    let map = build::live(&alone(None));
    assert!(map.methods().is_empty());
    assert_eq!(
        map.to_string(),
        "Routes, live\n0 methods on 1 node, as a@h1 knows them\n\n\
         no methods found: nobody serves one, and there is no client of any\n"
    );
    let nothing = Routes::configured(&Topology::new(), []);
    assert!(nothing.to_string().contains("\n0 methods on 0 nodes\n\nno methods found"));
}

#[test]
fn a_node_off_the_topology_is_told_first() {
    // MAP-04
    let topology = topology();
    let map = build::live(&Live { node: "x@h9", itself: id(9), ..cluster(&topology) });
    assert!(map.is_off_topology());
    let text = map.to_string();
    let (before, graph) = text.split_once('┌').unwrap();
    assert!(before.contains("\nthis node is not in the topology"), "{text}");
    assert!(graph.contains("x  (this node, not in the topology)"), "{text}");
    let map = build::configured(Some("x@h9"), &topology, vec![RouteMethod::new("S", "m")]);
    let (before, _) =
        map.to_string().split_once('┌').map(|(b, g)| (b.to_owned(), g.len())).unwrap();
    assert!(before.contains("\nthis node is not in the topology"), "{before}");
    // Without a topology nobody is off it.
    let map = build::live(&Live { topology: None, ..cluster(&topology) });
    assert!(!map.is_off_topology() && map.nodes().iter().all(|node| node.declared.is_none()));
}

#[test]
fn rows_come_in_three_orders() {
    // MAP-05
    let topology = topology();
    let methods = || {
        [
            RouteMethod::new("Users", "one").on(node("a")),
            RouteMethod::new("Pages", "two").on(tag("db")),
            RouteMethod::new("Tasks", "all"),
            RouteMethod::new("Jobs", "two").on(tag("db")),
        ]
    };
    let map = Routes::configured(&topology, methods());
    assert_eq!(rows(&map), ["Jobs.two", "Pages.two", "Tasks.all", "Users.one"]);
    let map = map.sorted(Sort::Name);
    assert_eq!(rows(&map), ["Tasks.all", "Users.one", "Jobs.two", "Pages.two"]);
    let map = map.sorted(Sort::Locality);
    assert_eq!(rows(&map), ["Tasks.all", "Jobs.two", "Pages.two", "Users.one"]);
    assert_eq!(map.sorted(Sort::Service), Routes::configured(&topology, methods()));
}

#[test]
fn before_the_join_others_are_unknown() {
    // MAP-07. What this node serves itself it knows all the same.
    let topology = topology();
    let map = build::live(&Live {
        joined: false,
        nodes: vec![member(1, "a@h1", &["db"], &["Users.find", "Users.put"])],
        ..cluster(&topology)
    });
    assert_eq!(
        map.to_string(),
        "\
Routes, live
3 methods on 3 nodes, as a@h1 knows them
this node has not joined its cluster: of the others nothing is known

┌ a  &db  (this node)
│ ┌ b  &db &eu
│ │ ┌ c  &web
│ │ │
│ │ │  Pages.show  &web
◉ │ │  Users.find
◉ │ │  Users.put   &db

◉ served here  │ not served  │ unknown: this node has not joined
"
    );
    assert_eq!(map.cell("Users", "put", "b@h2"), Some(RouteCell::Unknown));
    assert_eq!(map.nodes()[1].state, NodeState::Unknown);
    // A node that is there and whose record is on its way is as unknown.
    let map = build::live(&Live {
        nodes: vec![Member { id: id(7), record: None, silent: false }],
        ..cluster(&topology)
    });
    let text = map.to_string();
    assert_eq!(map.cell("Users", "put", "0707070707"), Some(RouteCell::Unknown));
    assert!(text.contains("(has not said yet what it serves, not in the topology)"), "{text}");
}

#[test]
fn nodes_are_told_apart_and_idle_ones_said_to_be() {
    let topology = topology();
    let mut leaving = member(4, "b@h2", &["db"], &["Users.put"]);
    change(&mut leaving, |record| record.status = NodeStatus::Draining);
    let mut input = Live {
        nodes: vec![
            member(1, "a@h1", &["db"], &["Users.put"]),
            leaving,
            Member { silent: true, ..member(5, "c@h3", &[], &["Users.put"]) },
            member(6, "c@h4", &[], &[]),
            member(7, "c@h4", &[], &[]),
        ],
        ..cluster(&topology)
    };
    input.methods.truncate(1);
    let text = build::live(&input).to_string();
    assert!(text.contains("│ ┌ b  &db  (shutting down)\n"), "{text}");
    assert!(text.contains("│ │ ┌ c@h3  (does not answer)\n"), "{text}");
    assert!(
        text.contains("┌ c@h4  (2 nodes of this name, not in the topology, serves nothing)\n"),
        "{text}"
    );
    // Who leaves is missing; who is silent can be asked.
    assert!(text.contains("\n◉ ○ ● │  Users.put  &db\n"), "{text}");
    let coloured = build::live(&input).coloured().to_string();
    assert!(coloured.contains("\u{1b}[32m◉\u{1b}[0m \u{1b}[33m○\u{1b}[0m"), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[2mc@h4\u{1b}[0m"), "an idle node is grey: {coloured:?}");
    let mut plain = coloured;
    for code in ["0", "1", "2", "31", "32", "33", "36"] {
        plain = plain.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(plain, text);
}

#[test]
fn what_was_served_before_a_crash_is_missed() {
    let topology = topology();
    let seen = [("b@h2".to_owned(), [wire_id("Jobs.run")].into())].into();
    let map = build::live(&Live { seen, ..cluster(&topology) });
    assert_eq!(map.cell("Jobs", "run", "b@h2"), Some(RouteCell::Down));
    assert_eq!(map.cell("Users", "find", "b@h2"), Some(RouteCell::NotServed));
}

#[test]
fn names_that_do_not_belong_to_their_id_are_no_rows() {
    let mut liar = member(2, "liar", &[], &["Users.find"]);
    change(&mut liar, |record| record.services[0].methods[0].id ^= 1);
    let map = build::live(&Live {
        methods: vec![known("Users.put", None)],
        nodes: vec![liar],
        ..alone(None)
    });
    assert_eq!(rows(&map), ["Users.put"]);
}

#[test]
fn a_map_has_its_limits() {
    let names: Vec<String> = (0..5000).map(|i| format!("S.m{i:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let many = (0..1100u16).map(|i| {
        let mut member = member(0, &format!("n{i:04}"), &[], &[]);
        member.id = NodeId::from_bytes([i.to_be_bytes(); 16].concat().try_into().unwrap());
        member
    });
    let nodes = many.chain([member(250, "z", &[], &names)]).collect();
    let input = Live { nodes, methods: vec![known("Users.put", None)], ..alone(None) };
    let map = build::live(&input);
    assert_eq!((map.nodes().len(), map.methods().len()), (1024, 4096));
    // This node and the methods it knows are always there.
    assert_eq!(map.cell("Users", "put", "a@h1"), Some(RouteCell::NotServed));
    assert_eq!(map.left_out(), (1102 - 1024, 5001 - 4096));
    let text = map.to_string();
    assert!(text.contains("\n5001 methods on 1102 nodes"));
    assert!(text.contains("\nand 78 more nodes, for which there is no room\nand 905 more methods"));
}
