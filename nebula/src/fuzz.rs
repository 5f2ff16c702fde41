//! The readers of this crate behind one form, for the fuzzer and for the tests that replay its
//! corpus. Nothing here is for programs, or stable.

use std::collections::BTreeMap;

pub use macula::__fuzz::Target;

use crate::nodes::runtime::Runtime;
use crate::nodes::{Selector, Topology};
use crate::service::shape::{Shape, ShapeOf};
use crate::service::wire::Args;

/// The arguments of a method that takes one of each.
type Arguments = (u64, String, Vec<Option<Vec<String>>>, BTreeMap<String, u32>, Selector);
type Reply = Result<Vec<(i32, String)>, String>;

/// All targets of this crate.
///
/// What arguments and replies take is decided by their types: `[0; n]` may mean `n` values of any
/// size. A list that lies about its length is cut off after 1 MiB. Selectors and topologies are
/// limited in their length.
pub const TARGETS: &[Target] = &[
    Target { name: "runtime", run: runtime, samples: runtimes, memory: (4, 64 << 10) },
    Target { name: "arguments", run: arguments, samples: argument_lists, memory: (64, 4 << 20) },
    Target { name: "reply", run: reply, samples: replies, memory: (64, 4 << 20) },
    Target { name: "selector", run: selector, samples: selectors, memory: (200, 64 << 10) },
    Target { name: "topology", run: topology, samples: topologies, memory: (400, 64 << 10) },
];

fn runtime(bytes: &[u8]) {
    if let Some(runtime) = Runtime::decode(bytes) {
        assert!(runtime.cpu_permille <= 1000 && runtime.busy_permille <= 1000);
        assert_eq!(Runtime::decode(&runtime.encode()), Some(runtime), "it reads back");
    }
}

fn runtimes() -> Vec<Vec<u8>> {
    let runtime = Runtime {
        cpu_permille: 250,
        memory_used: 1 << 33,
        memory_total: 1 << 34,
        tasks: 40,
        version: "0.1.0".into(),
        ..Runtime::default()
    };
    vec![runtime.encode(), Runtime::default().encode()]
}

fn arguments(bytes: &[u8]) {
    if let Ok(args) = Arguments::decode(bytes) {
        let mut again = Vec::new();
        if args.encode(&mut again).is_ok() {
            assert!(Arguments::decode(&again).is_ok(), "it reads back");
        }
    }
}

fn argument_lists() -> Vec<Vec<u8>> {
    let map = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), u32::MAX)]);
    let list = vec![None, Some(vec!["x".to_owned(), String::new()]), Some(Vec::new())];
    let on: Selector = crate::nodes::tag("db") & !crate::nodes::node("db-2");
    let args: Arguments = (u64::MAX, "name".into(), list, map, on);
    let mut out = Vec::new();
    // It is encodable.
    let _ = args.encode(&mut out);
    vec![out]
}

fn reply(bytes: &[u8]) {
    let decoded: Result<Reply, _> = <Shape<true> as ShapeOf<Reply>>::decode(bytes);
    if let Ok(reply) = decoded {
        let mut again = Vec::new();
        let written = <Shape<true> as ShapeOf<Reply>>::encode(&reply, &mut again);
        assert!(written.is_ok());
        let read: Result<Reply, _> = <Shape<true> as ShapeOf<Reply>>::decode(&again);
        assert_eq!(read, Ok(reply), "it reads back");
    }
}

fn replies() -> Vec<Vec<u8>> {
    let all: [Reply; 2] = [Ok(vec![(-5, "five".into()), (0, String::new())]), Err("no".into())];
    let encode = |reply: &Reply| {
        let mut out = Vec::new();
        // It is encodable.
        let _ = <Shape<true> as ShapeOf<Reply>>::encode(reply, &mut out);
        out
    };
    all.iter().map(encode).collect()
}

fn selector(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<Selector>() {
        Ok(selector) => {
            let written = selector.to_string();
            if let Ok(again) = written.parse::<Selector>() {
                assert_eq!(again.to_string(), written, "it reads back");
            }
        }
        Err(error) => {
            assert!(error.offset() <= text.len());
            assert!(!format!("{error:#}").is_empty());
        }
    }
}

fn selectors() -> Vec<Vec<u8>> {
    let texts = [
        "&db !@backup",
        "(&eu | &us) !@\"db-1@host\"",
        "*",
        "&\"a \\\" b\" | !( @x &y )",
        "((((&a))))",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

fn topology(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Topology::from_toml(text) {
        Ok(topology) => assert!(topology.names().all(|name| topology.contains(name))),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn topologies() -> Vec<Vec<u8>> {
    let texts = [
        "[nodes]\n\"db-1@h1\" = [\"db\", \"eu\"]\nweb = []\n",
        "[nodes]\ndb-1 = ['db']\n# a comment\n",
        "nodes = { a = [\"x\"] }\n",
        "[nodes]\na = 3\n",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}
