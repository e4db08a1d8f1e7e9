//! The demo, as a user runs it: three real nodes, a cut, a heal, and nothing left behind.

use std::path::Path;
use std::process::{Command, Stdio};

use node::clock::Stopwatch;
use tempfile::TempDir;

use crate::process::CONCORD;

/// The demo with its temporary files in a directory of ours.
fn demo(temporary: &Path) -> Command {
    let mut command = Command::new(CONCORD);
    command.args(["demo", "--customers", "50"]).env("TMPDIR", temporary).stdin(Stdio::null());
    command
}

/// Nodes that run in a directory.
fn nodes_in(dir: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let dir = dir.to_str().unwrap();
    lines.filter(|line| String::from_utf8_lossy(line).contains(dir)).count()
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn the_demo_converges_explains_itself_and_clears_up() {
    let dir = TempDir::new().unwrap();
    let output = demo(dir.path()).arg("--exit").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said} {error}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("converged: 3 of 3 nodes, history "), "{said}");
    for part in ["The line to APAC is cut", "NT60", "lost to", "decides on payment terms"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(nodes_in(dir.path()), 0);
    assert!(is_empty(dir.path()));
}

/// Killing the demo without a word once left its nodes running.
#[cfg(target_os = "linux")]
#[test]
fn the_nodes_of_a_demo_end_with_it_however_it_ends() {
    for (signal, leaves_files) in [("-TERM", false), ("-KILL", true)] {
        let dir = TempDir::new().unwrap();
        let mut demo =
            demo(dir.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("all nodes run", || nodes_in(dir.path()) >= 3);
        let id = demo.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        assert!(!demo.wait().unwrap().success());
        wait_until("no node runs", || nodes_in(dir.path()) == 0);
        assert!(leaves_files || is_empty(dir.path()), "{signal}");
    }
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let watch = Stopwatch::start();
    while !condition() {
        assert!(watch.elapsed().as_secs() < 60, "it takes too long until {what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
