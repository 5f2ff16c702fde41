//! The small examples as a user runs them: what they print and how they end.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// A program that meets no node but those of its own test.
fn program(path: &str, home: &Path) -> Command {
    let mut command = Command::new(path);
    command
        .env("MACULA_RUNTIME_DIR", home.join("run"))
        .env("MACULA_CONFIG_DIR", home.join("config"))
        .env("MACULA_COOKIE", "of this test alone")
        .env_remove("MACULA_SEEDS")
        .stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What the program prints when it ends well.
fn told(path: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let output = program(path, home.path()).output().unwrap();
    let story = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{story}\n{}", text(&output.stderr));
    story.to_owned()
}

fn has_lines(story: &str, lines: &[&str]) {
    for line in lines {
        assert!(story.lines().any(|told| told == *line), "`{line}` is missing in:\n{story}");
    }
}

#[test]
fn hello_greets() {
    assert_eq!(told(env!("CARGO_BIN_EXE_hello")), "Hello, Ada!\n");
}

#[test]
fn selectors_choose_and_explain() {
    let story = told(env!("CARGO_BIN_EXE_selectors"));
    has_lines(
        &story,
        &[
            "a tag:       cache@h1",
            "and not:     db-1@h1",
            "a name:      db-2@h2",
            "short form:  db-1@h1",
            "exactly:     cache@h1",
            "all of them: cache@h1, db-2@h2",
            "  db-1@h1: lacks &gpu",
            "  web@h3: lacks &db",
        ],
    );
    assert!(story.contains("by closure:  db-"), "{story}");
}

#[test]
fn a_quorum_is_reached_missed_and_refused() {
    let story = told(env!("CARGO_BIN_EXE_quorum_write"));
    has_lines(
        &story,
        &[
            "2 of 3 needed, 2 took it",
            "a quorum of 2 was refused before any call: 1 of the targeted nodes is live, 2 are \
             required",
        ],
    );
    // Whether the third had answered by then is a matter of luck.
    assert!(story.contains("a quorum of 2 was not reached: "), "{story}");
    assert!(
        story.contains("db-1 (the disk is read-only), db-2 (the disk is read-only)"),
        "{story}"
    );
}

#[test]
fn calls_go_on_while_a_node_leaves() {
    let story = told(env!("CARGO_BIN_EXE_failover"));
    assert!(story.contains("a has left and no call failed"), "{story}");
    assert!(story.contains("\n  1. b (direct), run phase"), "{story}");
    has_lines(&story, &["it may have run"]);
}

#[test]
fn a_whole_build_runs_as_any_node() {
    let story = told(env!("CARGO_BIN_EXE_roles"));
    has_lines(
        &story,
        &[
            "this build carries: db, web",
            "db-1 runs",
            "web-1 runs",
            "title 1: Hard Times",
            "title 0: Some(\"A Tale of a Tub\")",
        ],
    );
}

#[test]
fn a_fake_answers_without_a_node() {
    assert_eq!(told(env!("CARGO_BIN_EXE_mock")), "Hello, Ada!\n");
}

#[test]
fn the_map_shows_what_is_missing() {
    let story = told(env!("CARGO_BIN_EXE_routes"));
    let map = "\
Routes, live
3 methods on 4 nodes, as web@h4 knows them

┌ db-1  &db
│ ┌ db-2  &db
│ │ ┌ db-3  &db  (down)
│ │ │ ┌ web  &web  (this node)
│ │ │ │
│ │ │ ◉  Pages.show
● ○ ✗ │  Users.find  &db
● ○ ✗ │  Users.put   &db

◉ served here  ● served and live  ✗ its node is down  ○ its node is up without it  │ not served

1 of 3 configured nodes
";
    assert_eq!(story, map);
}

/// A `hello_server` that is ready; killed when dropped.
struct Server {
    child: Child,
    said: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(home: &Path, args: &[&str]) -> Self {
        let mut command = program(env!("CARGO_BIN_EXE_hello_server"), home);
        let mut child = command.args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        said.read_line(&mut ready).unwrap();
        let address = ready.strip_prefix("serving at ").and_then(|rest| rest.split_once(';'));
        let address = address.expect(&ready).0.to_owned();
        Self { child, said, address }
    }

    /// What Ctrl-C does.
    fn interrupt(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{rest}");
        rest
    }

    fn greeting(&self, name: &str) -> String {
        format!("Hello, {name}! This is process {}.\n", self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(home: &Path, args: &[&str]) -> Output {
    program(env!("CARGO_BIN_EXE_hello_client"), home).args(args).output().unwrap()
}

#[test]
fn two_terminals_greet_each_other() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path(), &[]);
    let greeted = client(home.path(), &["Grace"]);
    assert_eq!(text(&greeted.stdout), server.greeting("Grace"), "{}", text(&greeted.stderr));
    assert_eq!(greeted.status.code(), Some(0));
    assert_eq!(server.interrupt(), "ended in good order\n");
}

#[test]
fn two_machines_meet_by_a_seed() {
    let [here, there] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let server = Server::start(there.path(), &["127.0.0.1:0"]);
    let greeted = client(here.path(), &["Eve", &server.address]);
    assert_eq!(text(&greeted.stdout), server.greeting("Eve"), "{}", text(&greeted.stderr));
    let mut told = program(env!("CARGO_BIN_EXE_hello_client"), here.path());
    let told = told.arg("Ida").env("MACULA_SEEDS", format!(", {}\n", server.address));
    let greeted = told.output().unwrap();
    assert_eq!(text(&greeted.stdout), server.greeting("Ida"), "{}", text(&greeted.stderr));
    assert_eq!(server.interrupt(), "ended in good order\n");
}

#[test]
fn a_client_alone_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let alone = client(home.path(), &[]);
    let advice = text(&alone.stderr);
    assert_eq!((alone.status.code(), text(&alone.stdout)), (Some(1), ""), "{advice}");
    assert!(advice.contains("client (does not serve it)"), "{advice}");
    assert!(advice.contains("cargo run -p examples --bin hello_server"), "{advice}");
}

/// Malla's tutorials: the cases CB-23, RT-17 and CFG-14.
#[test]
fn the_calculator_changes_while_it_is_called() {
    has_lines(
        &told(env!("CARGO_BIN_EXE_calculator")),
        &[
            "plugins, the first one on top: Guard, Float, round, add, multiply",
            "  add(6, 7)",
            "6 + 7 = 13.0",
            "6 * 7 = 42.0",
            "without Float: 6 + 7 = 13",
            "with it again: 6 + 7 = 13",
            "6 / 7 = 0.86",
            "with four decimals: 6 / 7 = 0.8571",
            "still: 6 / 7 = 0.8571",
            "6 / 0: bad_request (400): nobody divides by zero",
        ],
    );
}

#[test]
fn the_store_is_used_while_its_nodes_change() {
    has_lines(
        &told(env!("CARGO_BIN_EXE_storage")),
        &[
            "3 nodes have it",
            "one of them says: Some(\"Bern\")",
            "s1 is paused (a look at the disk)",
            "100 reads, none of them failed",
            "s1 is running (the disk is fine)",
            "s2 still has Some(\"Bern\")",
            "deleted: true",
        ],
    );
}
