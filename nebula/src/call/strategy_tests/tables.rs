//! Tables of what a strategy makes of what nodes say, in text files beside this one. Cases named
//! `QUO-` and `MUL-` are those of the conformance list, `row-` those of the list of features.
//!
//! A line that cannot be read fails, and so does a line too few.

use std::collections::BTreeSet;

use super::super::all::AllMachine;
use super::super::fanout::Decision;
use super::super::first::FirstMachine;
use super::super::quorum::QuorumMachine;
use super::super::threshold::sealed::Required;
use super::super::threshold::{at_least, available_majority, majority};
use super::super::unmet::{FirstError, QuorumError};
use super::super::why::Why;
use super::word::{All, End, First, Kind, Quorum, Shown, Strategy, Word, nodes};

/// The cases and the lines of a table, split at `=>`; neither remarks nor empty lines.
fn lines(table: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let (case, rest) = line.split_once("  ").unwrap_or_else(|| panic!("no case: {line}"));
        let (given, end) = rest.split_once("=>").unwrap_or_else(|| panic!("no end: {line}"));
        (case, given.trim(), end.trim())
    })
}

/// The number behind `name=`.
fn number(name: &str, word: &str) -> usize {
    let number = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {name}: {word}"))
}

fn index(letter: char) -> usize {
    assert!(letter.is_ascii_lowercase(), "no node: {letter}");
    usize::from(letter as u8 - b'a')
}

fn letter(index: usize) -> char {
    char::from(b'a' + index as u8)
}

fn word(sign: char) -> Word {
    match sign {
        '+' => Word::Success,
        '-' => Word::Transport,
        '!' => Word::App,
        '~' => Word::TurnedDown,
        '?' => Word::Late,
        other => panic!("nobody says {other}"),
    }
}

fn sign(word: Word) -> char {
    match word {
        Word::Success => '+',
        Word::Transport => '-',
        Word::App => '!',
        Word::TurnedDown => '~',
        Word::Late => '?',
    }
}

/// Runs the events, and tells the end as the tables do.
fn run(mut machine: impl Strategy, events: &str) -> String {
    let mut end: Option<String> = None;
    for (event, step) in events.split_whitespace().zip(1..) {
        let decision = match (event, &event.chars().collect::<Vec<_>>()[..]) {
            (".", _) => {
                machine.deadline();
                end.get_or_insert_with(|| " at the deadline".to_owned());
                continue;
            }
            (_, [sign, node]) => machine.hear(index(*node), word(*sign), step),
            _ => panic!("no event: {event}"),
        };
        if decision.is_some() {
            assert_eq!(end, None, "decided twice, the second time by {event}");
            end = Some(format!(" after {event}"));
            let told = tell(machine.clone().end(), end.as_deref().unwrap_or_default());
            let reached = ["reached", "first", "all"].iter().any(|word| told.starts_with(word));
            let expected = if reached { Decision::Reached } else { Decision::CannotReach };
            assert_eq!(decision, Some(expected), "{told}");
        }
    }
    tell(machine.end(), &end.expect("a decision or the deadline"))
}

fn tell(end: End, when: &str) -> String {
    let names = |said: Vec<(usize, u32)>| match said.is_empty() {
        true => "none".to_owned(),
        false => {
            said.iter().map(|(index, _)| letter(*index).to_string()).collect::<Vec<_>>().join(" ")
        }
    };
    match end {
        End::Votes { successes, failures } => {
            format!("reached{when}: successes {}, failures {}", names(successes), names(failures))
        }
        End::First(index, _) => format!("first{when}: {}", letter(index)),
        End::Listed(kind, shown) => {
            let kind = match kind {
                Kind::All => format!("all{when}"),
                Kind::NoSuccess => format!("no success{when}"),
                Kind::NotReached => format!("not reached{when}"),
                // The kind says the rest.
                Kind::Deadline if when == " at the deadline" => "deadline".to_owned(),
                Kind::Deadline => format!("deadline{when}"),
            };
            let shown = shown.into_iter().enumerate().map(|(index, shown)| {
                let sign = match shown {
                    // What a value counts for is no matter here.
                    Shown::Said(Word::TurnedDown, _) if kind.starts_with("all") => '+',
                    Shown::Said(word, _) => sign(word),
                    Shown::Silent => '.',
                    Shown::NotWaitedFor => '/',
                };
                format!("{}{sign}", letter(index))
            });
            format!("{kind}: {}", shown.collect::<Vec<_>>().join(" "))
        }
    }
}

/// The end of one line of a strategy.
fn end(given: &str) -> String {
    let (strategy, events) = given.split_once(':').unwrap_or_else(|| panic!("no `:`: {given}"));
    let nobody = || Why::new("Users", "find");
    match strategy.split_whitespace().collect::<Vec<_>>()[..] {
        ["quorum", n, need] => {
            let machine: Result<Quorum, _> =
                QuorumMachine::new(nodes(number("n", n)), number("need", need));
            match machine {
                Ok(machine) => run(machine, events),
                Err(QuorumError::Unreachable { workers, required }) => {
                    assert_eq!(events.trim(), "", "nobody is asked");
                    format!("unreachable: workers {workers}, required {required}")
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        ["first", n] => {
            let machine: Result<First, _> = FirstMachine::new(nodes(number("n", n)), nobody);
            match machine {
                Ok(machine) => run(machine, events),
                Err(FirstError::NoTarget(_)) => "no target".to_owned(),
                Err(other) => panic!("{other:?}"),
            }
        }
        ["all", n] => {
            let machine: Result<All, _> = AllMachine::new(nodes(number("n", n)), nobody);
            machine.map_or_else(|_| "no target".to_owned(), |machine| run(machine, events))
        }
        _ => panic!("no strategy: {strategy}"),
    }
}

/// What a line about a threshold says of it.
fn needed(given: &str) -> String {
    let [name, configured, live] = given.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("no threshold: {given}");
    };
    let threshold: Box<dyn Required> = match name {
        "majority" => Box::new(majority()),
        "available_majority" => Box::new(available_majority()),
        other => {
            let number = other.strip_prefix("at_least(").and_then(|rest| rest.strip_suffix(')'));
            let number = number.and_then(|number| number.parse().ok());
            Box::new(at_least(number.unwrap_or_else(|| panic!("no threshold: {other}"))))
        }
    };
    let (configured, live) = (number("configured", configured), number("live", live));
    let required = threshold.required(configured, live);
    let reach = match QuorumMachine::<(), ()>::new(nodes(live), required) {
        Ok(_) => "reachable",
        Err(_) => "unreachable",
    };
    format!("{required} {reach}")
}

/// Checks so many lines of a table, among which these cases are.
fn check(table: &str, count: usize, cases: &[&str], end: impl Fn(&str) -> String) {
    let mut seen = BTreeSet::new();
    for (case, given, expected) in lines(table) {
        assert_eq!(end(given), expected, "{case}  {given}");
        seen.insert(case);
    }
    assert_eq!(lines(table).count(), count);
    for case in cases {
        assert!(seen.contains(case), "{case} is not in the table");
    }
}

#[test]
fn thresholds() {
    let cases = ["QUO-01", "QUO-02", "QUO-06", "QUO-07", "QUO-08", "QUO-10", "QUO-11", "QUO-13"];
    check(include_str!("tables/majorities.txt"), 33, &cases, needed);
    let table = lines(include_str!("tables/majorities.txt"));
    let of_configured = table.filter(|(case, given, _)| *case == "QUO-18" && !given.contains("av"));
    let required: String = of_configured.map(|(_, _, end)| &end[..1]).collect();
    assert_eq!(required, "1223344");
}

#[test]
fn quorums() {
    let cases = ["QUO-01", "QUO-10", "QUO-11", "QUO-13", "QUO-17", "MUL-09", "MUL-11", "MUL-13"];
    check(include_str!("tables/quorum.txt"), 40, &cases, end);
}

#[test]
fn firsts() {
    let cases = ["MUL-05", "MUL-06", "MUL-07", "MUL-09", "MUL-11", "MUL-13"];
    check(include_str!("tables/first.txt"), 17, &cases, end);
}

#[test]
fn alls() {
    check(include_str!("tables/all.txt"), 11, &["MUL-02", "MUL-03", "MUL-04"], end);
}

/// A slip of the pen is found.
#[test]
fn a_line_that_cannot_be_read_fails() {
    let table =
        "QUO-17  quorum n=3 need=2: +a +b => reached after +b: successes a b, failures none";
    check(table, 1, &["QUO-17"], end);
    for (right, wrong) in [
        ("quorum", "quorums"),
        ("n=3", "n=x"),
        ("+a", "*a"),
        ("+a", "+ a"),
        ("+a", "+A"),
        ("+a", "-a"),
        ("need", "needs"),
        ("=>", "->"),
        ("  ", " "),
        ("after +b", "after +a"),
        ("a b,", "b a,"),
        ("+b =>", "=>"),
        ("n=3", "n=1"),
    ] {
        let slip = table.replacen(right, wrong, 1);
        assert_ne!(slip, table);
        let read = std::panic::catch_unwind(|| check(&slip, 1, &[], end));
        assert!(read.is_err(), "{slip}");
    }
}
