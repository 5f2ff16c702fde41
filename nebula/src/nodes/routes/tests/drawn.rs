//! A map as people and programs read it.

use proptest::prelude::*;

use super::*;

#[test]
fn the_map_is_drawn() {
    // MAP-03, MAP-08 (as a row of its own below)
    let topology = topology();
    assert_eq!(
        build::live(&cluster(&topology)).to_string(),
        "\
Routes, live
4 methods on 3 nodes, as a@h1 knows them

┌ a  &db  (this node)
│ ┌ b  &db &eu  (down)
│ │ ┌ c  &web
│ │ │
│ │ ●  Jobs.run
│ │ ○  Pages.show  &web
◉ │ ●  Users.find
◉ ✗ │  Users.put   &db

◉ served here  ● served and live  ✗ its node is down  ○ its node is up without it  │ not served
"
    );
}

#[test]
fn all_signs_in_a_row() {
    // MAP-08
    let topology = topology().node("d@h4", ["db"]).unwrap().node("e@h5", ["db"]).unwrap();
    let mut other = member(5, "e@h5", &["db"], &["S.m"]);
    change(&mut other, |record| record.services[0].methods[0].key = [2; 8]);
    let map = build::live(&Live {
        methods: vec![known("S.m", Some(tag("db") | tag("web")))],
        here: [wire_id("S.m")].into(),
        nodes: vec![
            member(1, "a@h1", &["db"], &["S.m"]),
            member(3, "c@h3", &["web"], &["S.m"]),
            member(4, "d@h4", &["db"], &[]),
            other,
        ],
        ..alone(Some(&topology))
    });
    let text = map.to_string();
    assert!(text.contains("\n◉ ✗ ● ○ ≠  S.m  &db | &web\n"), "{text}");
    assert!(text.contains("≠ served in another shape"), "{text}");
    assert!(!text.contains("not served"), "only what occurs is explained: {text}");
}

#[test]
fn names_cannot_steer_a_terminal() {
    let awkward = "x\u{1b}[2J\r\n\t\u{202e}y";
    let mut stranger = member(2, awkward, &["t\u{7}"], &["Users.find"]);
    change(&mut stranger, |record| {
        let (service, method) = ("S\u{9b}1m", "m\u{200b}");
        let id = method_id(service, method);
        let method = MethodRecord { name: method.into(), id, key: [0; 8] };
        let (name, methods) = (service.into(), vec![method]);
        record.services.push(ServiceRecord { name, methods, ..ServiceRecord::default() });
    });
    let map = build::live(&Live { nodes: vec![stranger], ..alone(None) });
    let text = map.to_string();
    assert!(text.contains("┌ x\\u{1b}[2J\\r\\n\\t\\u{202e}y  &t\\u{7}\n"), "{text}");
    assert!(text.contains("●  S\\u{9b}1m.m\\u{200b}\n"), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    let json = map.to_json();
    assert!(json.contains(r#""x\u001b[2J\u000d\u000a\u0009\u202ey""#), "{json}");
}

#[test]
fn it_is_json() {
    let topology = topology();
    let mut input = cluster(&topology);
    input.methods.truncate(1);
    input.nodes.truncate(1);
    let id = "01".repeat(32);
    assert_eq!(
        build::live(&input).to_json(),
        format!(
            "{{\"view\":\"live\",\"node\":\"a@h1\",\"joined\":true,\"off_topology\":false,\"nodes\":[\
             {{\"name\":\"a@h1\",\"tags\":[\"db\"],\"state\":\"itself\",\"declared\":true,\
             \"ids\":[\"{id}\"]}},\
             {{\"name\":\"b@h2\",\"tags\":[\"db\",\"eu\"],\"state\":\"down\",\"declared\":true,\
             \"ids\":[]}},\
             {{\"name\":\"c@h3\",\"tags\":[\"web\"],\"state\":\"down\",\"declared\":true,\
             \"ids\":[]}}],\"methods\":[\
             {{\"service\":\"Users\",\"method\":\"find\",\"selector\":null,\
             \"cells\":[\"local\",\"not_served\",\"not_served\"]}},\
             {{\"service\":\"Users\",\"method\":\"put\",\"selector\":\"&db\",\
             \"cells\":[\"local\",\"down\",\"not_served\"]}}],\
             \"nodes_left_out\":0,\"methods_left_out\":0}}"
        )
    );
}

proptest! {
    /// Whatever is known, each row has a cell for each node, and the drawing a line for each.
    #[test]
    fn the_drawing_has_all_lines(
        members in prop::collection::vec(("\\PC{1,6}|[ab]@h[12]", any::<[bool; 5]>()), 0..6),
        joined in any::<bool>(),
        here in any::<bool>(),
    ) {
        let topology = topology();
        let nodes = members.iter().zip(2..).map(|((name, [first, second, silent, told, drains]), n)| {
            let methods: Vec<_> = [("S.m", first), ("Users.put", second)]
                .into_iter().filter(|(_, serves)| **serves).map(|(name, _)| name).collect();
            let mut member = member(n, name, &["db"], &methods);
            if *drains {
                change(&mut member, |record| record.status = NodeStatus::Draining);
            }
            let record = member.record.filter(|_| *told);
            Member { silent: *silent, record, ..member }
        });
        let map = build::live(&Live {
            nodes: nodes.collect(),
            here: here.then(|| wire_id("Users.put")).into_iter().collect(),
            joined,
            ..cluster(&topology)
        });
        for row in map.methods() {
            prop_assert_eq!(row.cells.len(), map.nodes().len());
            prop_assert!(!row.cells.contains(&RouteCell::Expected));
            prop_assert_eq!(row.cells.contains(&RouteCell::Local), here && row.method == "put");
        }
        let text = map.to_string();
        let graph = text.split("\n\n").nth(1).unwrap();
        prop_assert_eq!(graph.lines().count(), map.nodes().len() + 1 + map.methods().len());
        prop_assert_eq!(map.clone().sorted(Sort::Locality).sorted(Sort::Service), map);
    }
}
