//! Any sequence of operations, beside plain tables that say what should come of it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{Added, Domain, Registered, Registry, ValueError};

const DOMAINS: [&str; 2] = ["d", "e"];
const KEYS: [&str; 3] = ["", "a", "b"];

/// A domain and a key.
type At = (usize, usize);

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(i64),
    List(Vec<u8>),
}

#[derive(Clone, Debug)]
enum Op {
    Register(usize, u8),
    Free(usize),
    Add(usize, u8),
    Take(usize),
    Write(Write),
    Update(At, Vec<Write>, Outcome),
    Clear,
}

/// What may also be done inside an update.
#[derive(Clone, Debug)]
enum Write {
    Put(At, Value),
    PutNew(At, Value),
    Remove(At),
    Increment(At, i64),
    Insert(At, u8),
}

/// What an update does in the end.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Double,
    Panic,
}

fn value() -> impl Strategy<Value = Value> {
    let numbers = prop_oneof![4 => -9..9_i64, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    prop_oneof![
        numbers.prop_map(Value::Number),
        prop::collection::vec(0..4_u8, 0..3).prop_map(Value::List),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    let at = || (0..DOMAINS.len(), 0..KEYS.len());
    prop_oneof![
        (at(), value()).prop_map(|(at, value)| Write::Put(at, value)),
        (at(), value()).prop_map(|(at, value)| Write::PutNew(at, value)),
        at().prop_map(Write::Remove),
        (at(), -3..3_i64).prop_map(|(at, by)| Write::Increment(at, by)),
        (at(), 0..4_u8).prop_map(|(at, value)| Write::Insert(at, value)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let at = (0..DOMAINS.len(), 0..KEYS.len());
    let outcome = prop_oneof![3 => Just(Outcome::Double), 1 => Just(Outcome::Panic)];
    let update = (at, prop::collection::vec(write(), 0..3), outcome);
    prop_oneof![
        2 => (0..KEYS.len(), any::<u8>()).prop_map(|(name, value)| Op::Register(name, value)),
        2 => (0..4_usize).prop_map(Op::Free),
        2 => (0..KEYS.len(), any::<u8>()).prop_map(|(key, value)| Op::Add(key, value)),
        2 => (0..6_usize).prop_map(Op::Take),
        12 => write().prop_map(Op::Write),
        6 => update.prop_map(|(at, writes, outcome)| Op::Update(at, writes, outcome)),
        1 => Just(Op::Clear),
    ]
}

/// The registry, and what it should hold.
#[derive(Default)]
struct Pair {
    registry: Registry,
    names: Vec<(usize, u8, Registered<u8>)>,
    places: Vec<(usize, u8, Added<u8>)>,
    values: BTreeMap<At, Value>,
}

/// What a write says of itself; `None` for what says nothing.
type Said = Option<Result<i64, &'static str>>;

impl Pair {
    fn run(&mut self, op: Op) {
        match op {
            Op::Register(name, value) => {
                let free = self.names.iter().all(|(other, ..)| *other != name);
                match self.registry.register(KEYS[name], value) {
                    Ok(guard) => self.names.push((name, value, guard)),
                    Err(error) => assert_eq!((error.name(), free), (KEYS[name], false)),
                }
                assert!(self.names.iter().filter(|(other, ..)| *other == name).count() == 1);
            }
            Op::Free(index) if index < self.names.len() => drop(self.names.remove(index)),
            Op::Add(key, value) => {
                let guard = self.registry.add(KEYS[key], value);
                self.places.push((key, value, guard));
            }
            Op::Take(index) if index < self.places.len() => drop(self.places.remove(index)),
            Op::Free(_) | Op::Take(_) => {}
            Op::Write(write) => {
                let said = done(&self.registry, &write);
                assert_eq!(said, expected(&mut self.values, &write), "{write:?}");
            }
            Op::Update(at, writes, outcome) => self.update(at, &writes, outcome),
            Op::Clear => {
                self.registry.clear();
                self.values.clear();
            }
        }
        self.compare();
    }

    /// Updates a number, and writes all sorts of values meanwhile.
    fn update(&mut self, at: At, writes: &[Write], outcome: Outcome) {
        let (registry, values) = (self.registry.clone(), &mut self.values);
        let before = values.get(&at).cloned();
        let mut overtaken = false;
        let said = domain(&registry, at).update(KEYS[at.1], |number: &mut i64| {
            for write in writes {
                let said = done(&registry, write);
                match write {
                    Write::Increment(..) | Write::Insert(..) => {
                        assert_eq!(said, Some(Err("nested")), "{write:?}");
                    }
                    Write::Put(there, _) | Write::Remove(there) => {
                        overtaken |= *there == at;
                        assert_eq!(said, expected(values, write), "{write:?}");
                    }
                    // Of the value itself only if that was removed, and so overtaken.
                    Write::PutNew(..) => assert_eq!(said, expected(values, write), "{write:?}"),
                }
            }
            match outcome {
                Outcome::Double => *number = number.wrapping_mul(2),
                Outcome::Panic => std::panic::resume_unwind(Box::new("on purpose")),
            }
        });
        let said = said.map_err(|error| kind(&error));
        match (before, outcome) {
            (None, _) => assert_eq!(said, Err("missing")),
            (Some(Value::List(_)), _) => assert_eq!(said, Err("type")),
            (_, Outcome::Panic) => assert_eq!(said, Err("panicked")),
            (_, Outcome::Double) if overtaken => assert_eq!(said, Err("overtaken")),
            (Some(Value::Number(number)), Outcome::Double) => {
                assert_eq!(said, Ok(()));
                values.insert(at, Value::Number(number.wrapping_mul(2)));
            }
        }
    }

    fn compare(&self) {
        for (index, key) in KEYS.into_iter().enumerate() {
            let named = self.names.iter().find(|(name, ..)| *name == index);
            let value = named.map(|(_, value, _)| *value);
            assert_eq!(self.registry.get::<u8>(key).as_deref().copied(), value);
            assert_eq!(self.registry.contains(key), value.is_some());
            assert_eq!(self.registry.get::<i8>(key), None);

            let of_key = self.places.iter().filter(|(place, ..)| *place == index);
            let expected: Vec<_> = of_key.map(|(_, value, _)| *value).collect();
            let found = self.registry.values::<u8>(key);
            assert_eq!(found.into_iter().map(|value| *value).collect::<Vec<_>>(), expected);
            assert_eq!(self.registry.count(key), expected.len());

            for domain_index in 0..DOMAINS.len() {
                let domain = domain(&self.registry, (domain_index, index));
                let number = domain.get::<i64>(key).map(|number| Value::Number(*number));
                let list = domain.get::<Vec<u8>>(key).map(|list| Value::List(list.to_vec()));
                assert_eq!(number.or(list).as_ref(), self.values.get(&(domain_index, index)));
                let known = self.values.contains_key(&(domain_index, index));
                assert_eq!(domain.contains(key), known);
            }
        }
    }
}

fn domain(registry: &Registry, at: At) -> Domain {
    registry.domain(DOMAINS[at.0])
}

/// Writes to the registry.
fn done(registry: &Registry, write: &Write) -> Said {
    let said = match write {
        Write::Put(at, value) => {
            match value.clone() {
                Value::Number(number) => drop(domain(registry, *at).put(KEYS[at.1], number)),
                Value::List(list) => drop(domain(registry, *at).put(KEYS[at.1], list)),
            }
            return None;
        }
        Write::PutNew(at, value) => Ok(i64::from(match value.clone() {
            Value::Number(number) => domain(registry, *at).put_new(KEYS[at.1], number),
            Value::List(list) => domain(registry, *at).put_new(KEYS[at.1], list),
        })),
        Write::Remove(at) => Ok(i64::from(domain(registry, *at).remove(KEYS[at.1]))),
        Write::Increment(at, by) => domain(registry, *at).increment(KEYS[at.1], *by),
        Write::Insert(at, value) => {
            domain(registry, *at).insert_unique(KEYS[at.1], *value).map(i64::from)
        }
    };
    Some(said.map_err(|error| kind(&error)))
}

/// Writes to the plain table.
fn expected(values: &mut BTreeMap<At, Value>, write: &Write) -> Said {
    Some(match write {
        Write::Put(at, value) => {
            values.insert(*at, value.clone());
            return None;
        }
        Write::PutNew(at, value) => {
            let is_new = !values.contains_key(at);
            values.entry(*at).or_insert_with(|| value.clone());
            Ok(i64::from(is_new))
        }
        Write::Remove(at) => Ok(i64::from(values.remove(at).is_some())),
        Write::Increment(at, by) => match values.get_mut(at) {
            None => Err("missing"),
            Some(Value::List(_)) => Err("type"),
            Some(Value::Number(number)) => match number.checked_add(*by) {
                None => Err("overflow"),
                Some(sum) => {
                    *number = sum;
                    Ok(sum)
                }
            },
        },
        Write::Insert(at, value) => match values.entry(*at).or_insert(Value::List(vec![])) {
            Value::Number(_) => Err("type"),
            Value::List(list) if list.contains(value) => Ok(0),
            Value::List(list) => {
                list.insert(0, *value);
                Ok(1)
            }
        },
    })
}

fn kind(error: &ValueError) -> &'static str {
    match error {
        ValueError::Missing { .. } => "missing",
        ValueError::WrongType { .. } => "type",
        ValueError::Overflow { .. } => "overflow",
        ValueError::Panicked { .. } => "panicked",
        ValueError::Overtaken { .. } => "overtaken",
        ValueError::Nested { .. } => "nested",
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// KV.2, KV.3, KV.4.
    #[test]
    fn does_what_plain_tables_would(ops in prop::collection::vec(op(), 0..60)) {
        let mut pair = Pair::default();
        for op in ops {
            pair.run(op);
        }
    }
}
