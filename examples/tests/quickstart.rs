//! The quickstart as a user runs it: what it says, how it ends, what it leaves behind.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn quickstart(temp: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart"));
    command.env("TMPDIR", temp).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    let temp = tempfile::tempdir().unwrap();
    let output = quickstart(temp.path()).args(args).output().unwrap();
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0, "files were left behind");
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Waits until `met`, under a deadline that only a failure reaches.
fn wait_until(what: &str, mut met: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !met() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process runs; one that ended and was not waited for does not.
fn alive(pid: u32) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = text(&output.stdout).trim();
    !state.is_empty() && !state.starts_with('Z')
}

fn kill(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// The process ids that a line of the story names.
fn pids(line: &str) -> Vec<u32> {
    line.split("process ").skip(1).filter_map(|rest| rest.split(' ').next()?.parse().ok()).collect()
}

#[test]
fn every_step_is_as_promised() {
    let output = run(&[]);
    let story = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{story}\n{}", text(&output.stderr));
    let promised = story.matches("As promised").count();
    assert!(promised >= 3, "{story}");
    assert!(story.contains(&format!("All {promised} steps were as promised")), "{story}");
    let named: Vec<_> = story.lines().flat_map(pids).collect();
    assert!(named.len() >= 3, "{story}");
    assert!(named.iter().all(|&pid| !alive(pid)), "{story}");
}

#[test]
fn help_keeps_the_roles_to_itself() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    assert!(help.contains("--data FILE") && !help.contains("--role"), "{help}");
}

#[test]
fn a_bad_command_line_is_refused() {
    let output = run(&["--date", "x"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr), "quickstart: unknown argument `--date`: try --help\n");
}

#[test]
fn a_malformed_file_is_refused_with_its_line() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"# mine\nDE\t+5230+01322\tEurope/Berlin\nFR\t+9952+00220\tEurope/Paris\n")
        .unwrap();
    let path = file.path().to_str().unwrap();
    let output = run(&["--data", path]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    let message = text(&output.stderr);
    let start = format!("quickstart: {path} line 3: expected a latitude");
    assert!(message.starts_with(&start), "{message}");
}

#[test]
fn an_absent_file_is_refused() {
    let output = run(&["--data", "/nowhere/zones.tab"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot read /nowhere/zones.tab"));
}

#[test]
fn another_file_is_served() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"DE,AT\t+5230+01322\tEurope/Berlin\tall of it\n").unwrap();
    let output = run(&["--data", file.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

/// Starts a run, lets `end` strike the launcher once servers run, and sees that all of them leave.
fn nobody_survives(end: impl FnOnce(&mut Child)) {
    let temp = tempfile::tempdir().unwrap();
    let mut launcher = quickstart(temp.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut story = BufReader::new(launcher.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut servers = Vec::new();
    while servers.len() < 3 {
        servers.extend(pids(&story.next().expect("the story names three processes")));
    }
    end(&mut launcher);
    // The pipe ends only when the client is gone too, since it holds the other end.
    servers.extend(story.flat_map(|line| pids(&line)));
    launcher.wait().unwrap();
    for pid in servers {
        wait_until(&format!("process {pid} survives"), || !alive(pid));
    }
}

#[test]
fn no_server_survives_a_killed_launcher() {
    nobody_survives(|launcher| launcher.kill().unwrap());
}

#[test]
fn no_server_survives_an_interrupt() {
    nobody_survives(|launcher| kill(launcher.id(), "-INT"));
}
