use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

/// The numbers of what each line names, by the name at its beginning.
fn numbered(lines: &[(&str, &str)]) -> Vec<Vec<usize>> {
    let at = |name: &str| lines.iter().position(|(own, _)| *own == name).unwrap();
    lines.iter().map(|(_, below)| below.split_whitespace().map(at).collect()).collect()
}

/// ORD-1: what needs others stands above them, itself is no need, each stands once.
#[test]
fn thirteen_libraries_in_their_order() {
    let libraries = [
        ("des_system_lib", "std synopsys std_cell_lib des_system_lib dw02 dw01 ramlib ieee"),
        ("dw01", "ieee dw01 dware gtech"),
        ("dw02", "ieee dw02 dware"),
        ("dw03", "std synopsys dware dw03 dw02 dw01 ieee gtech"),
        ("dw04", "dw04 ieee dw01 dware gtech"),
        ("dw05", "dw05 ieee dware"),
        ("dw06", "dw06 ieee dware"),
        ("dw07", "ieee dware"),
        ("dware", "ieee dware"),
        ("gtech", "ieee gtech"),
        ("ramlib", "std ieee"),
        ("std_cell_lib", "ieee std_cell_lib"),
        ("synopsys", ""),
        ("ieee", ""),
        ("std", ""),
    ];
    let below = numbered(&libraries);
    let sorted = sort(&below).unwrap();
    let place = |at: usize| sorted.iter().position(|other| *other == at).unwrap();
    assert_eq!(sorted.len(), libraries.len());
    for (at, needs) in below.iter().enumerate() {
        for need in needs.iter().filter(|need| **need != at) {
            assert!(
                place(at) < place(*need),
                "{} is below {}",
                libraries[at].0,
                libraries[*need].0
            );
        }
    }
}

/// ORD-2 and ORD-16: the members of a circle, and nobody else.
#[test]
fn a_circle_is_told_with_its_path() {
    let below = numbered(&[("a", "b"), ("b", "c d"), ("c", "b"), ("d", "")]);
    assert_eq!(sort(&below), Err(vec![1, 2, 1]));
    let below = numbered(&[("a", "b"), ("b", "c"), ("c", "a x"), ("x", "y"), ("y", "x")]);
    assert_eq!(sort(&below), Err(vec![3, 4, 3]), "the shortest of two");
}

#[test]
fn what_does_not_depend_stays_as_it_was_listed() {
    assert_eq!(sort(&vec![vec![]; 5]), Ok(vec![0, 1, 2, 3, 4]));
    // The second needs the first: the third is no reason to wait.
    assert_eq!(sort(&[vec![], vec![0], vec![]]), Ok(vec![1, 0, 2]));
}

proptest! {
    #[test]
    fn every_order_keeps_every_need(
        size in 1..24_usize,
        edges in prop::collection::vec((0..24_usize, 0..24_usize), 0..60),
    ) {
        let mut below = vec![Vec::new(); size];
        for (from, to) in edges {
            below[from % size].push(to % size);
        }
        match sort(&below) {
            Ok(sorted) => {
                let mut all = sorted.clone();
                all.sort_unstable();
                prop_assert_eq!(all, (0..size).collect::<Vec<_>>());
                for (place, at) in sorted.iter().enumerate() {
                    let earlier = &sorted[..place];
                    prop_assert!(below[*at].iter().all(|need| need == at || !earlier.contains(need)));
                }
                prop_assert_eq!(Ok(sorted), sort(&below));
            }
            Err(path) => {
                prop_assert!(path.len() > 2 && path.first() == path.last());
                prop_assert!(path.windows(2).all(|step| below[step[0]].contains(&step[1])));
            }
        }
    }
}

macro_rules! plugins {
    ($($name:ident: $order:expr;)*) => {$(
        #[derive(Default)]
        struct $name;
        impl Plugin for $name {
            fn order(&self) -> Order {
                $order
            }
        }
    )*};
}

plugins! {
    Lowest: Order::new();
    Left: Order::new().after::<Lowest>();
    Right: Order::new().after::<Lowest>();
    Top: Order::new().after::<Left>().after::<Right>();
    Maybe: Order::new().after_optional::<Alone>();
    Alone: Order::new();
    Strict: Order::new().after_listed::<Alone>();
    First: Order::new().group("g");
    Second: Order::new().group("g");
    Third: Order::new().group("g");
    Yin: Order::new().after::<Yang>();
    Yang: Order::new().after::<Yin>();
}

fn names(listed: &[Arc<dyn Erased>]) -> Result<Vec<String>, OrderError> {
    let resolved = resolve(listed, &[])?;
    Ok(resolved.iter().map(|plugin| plugin.name().into_owned()).collect())
}

fn ok(listed: &[Arc<dyn Erased>]) -> Vec<String> {
    names(listed).unwrap()
}

/// ORD-4, ORD-6 and ORD-13: needs of needs are added, each once, below all that need them.
#[test]
fn a_diamond_is_made_of_its_top() {
    assert_eq!(ok(&[Arc::new(Top)]), ["Top", "Left", "Right", "Lowest"]);
    assert_eq!(ok(&[Arc::new(Lowest), Arc::new(Right)]), ["Right", "Lowest"]);
}

/// ORD-7 to ORD-9: an optional need adds nothing, and is a need where it is listed.
#[test]
fn an_optional_need_orders_and_adds_nothing() {
    assert_eq!(ok(&[Arc::new(Maybe)]), ["Maybe"]);
    assert_eq!(ok(&[Arc::new(Alone), Arc::new(Maybe)]), ["Maybe", "Alone"]);
}

/// ORD-10: the error names who needs what.
#[test]
fn a_need_that_cannot_be_made_is_refused() {
    let refused = names(&[Arc::new(Strict)]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the plugin `Strict` comes after `Alone`, which the service does not have: add it with \
         `.plugin(..)`"
    );
    assert_eq!(ok(&[Arc::new(Alone), Arc::new(Strict)]), ["Strict", "Alone"]);
}

/// Of a group the last one listed is on top, whatever stands between.
#[test]
fn the_last_of_a_group_is_on_top() {
    let listed: [Arc<dyn Erased>; 4] =
        [Arc::new(First), Arc::new(Alone), Arc::new(Second), Arc::new(Third)];
    assert_eq!(ok(&listed), ["Alone", "Third", "Second", "First"]);
}

#[test]
fn what_cannot_be_is_told() {
    let circle = names(&[Arc::new(Yin)]).unwrap_err().to_string();
    assert_eq!(circle, "these plugins come after each other in a circle: Yin -> Yang -> Yin");
    let twice = names(&[Arc::new(Alone), Arc::new(Alone)]).unwrap_err();
    assert_eq!(twice, OrderError::Twice("Alone".into()));
    struct Numbered(usize);
    impl Plugin for Numbered {
        fn name(&self) -> Cow<'static, str> {
            self.0.to_string().into()
        }
    }
    let many = |count| -> Vec<Arc<dyn Erased>> {
        (0..count).map(|at| Arc::new(Numbered(at)) as _).collect()
    };
    assert_eq!(ok(&many(MAX_PLUGINS)).len(), MAX_PLUGINS);
    assert_eq!(names(&many(MAX_PLUGINS + 1)), Err(OrderError::TooMany(MAX_PLUGINS + 1)));
}
