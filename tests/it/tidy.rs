//! Checks on the code itself: what a reader may rely on without looking.
//!
//! A rule that a machine can check stands here and not in a review. What each module may name is in
//! `imports`, what documents promise in `documents`. A failure names the file, the line and the
//! reason.

mod documents;
mod imports;
mod tree;

use std::collections::BTreeMap;

pub(crate) use self::tree::sources;
use self::tree::{Source, root};

/// The longest Rust file, in lines.
const LINES_MAX: usize = 700;
/// The largest file that is no text, in bytes.
const BINARY_MAX: usize = 200_000;

/// Fails with every fault that was found.
fn report(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Rust files, as a whole.
#[test]
fn files_are_short_named_by_nouns_and_say_what_they_are() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.is_rust()) {
        let path = &source.path;
        let lines = source.lines().count();
        if lines > LINES_MAX {
            faults.push(format!("{path}: {lines} lines, at most {LINES_MAX}: split it by nouns"));
        }
        if !source.text().is_some_and(|text| text.starts_with("//! ")) {
            faults.push(format!("{path}:1: must start with `//!`: what it is, what it is not"));
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        let nouns = ["util", "utils", "helper", "helpers", "common", "misc"];
        if name == "mod.rs" || nouns.iter().any(|noun| name == format!("{noun}.rs")) {
            faults.push(format!("{path}: name it by what is in it (`foo.rs` beside `foo/`)"));
        }
    }
    report(&faults);
}

/// Marks of unfinished work, and checks that are switched off.
#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    // Put together here, so that this file does not name what it forbids.
    let marks = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["dbg", "!("].concat(),
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
        ["#[allo", "w("].concat(),
        ["#![allo", "w("].concat(),
        ["#[igno", "re"].concat(),
    ];
    let mut faults = Vec::new();
    let code = [".rs", ".toml", ".sh"];
    let all = sources();
    for source in all.iter().filter(|source| code.iter().any(|end| source.path.ends_with(end))) {
        for (number, line) in source.lines() {
            for mark in marks.iter().filter(|mark| line.contains(mark.as_str())) {
                faults.push(format!("{}:{number}: {mark} must not stay", source.path));
            }
        }
    }
    report(&faults);
}

#[test]
fn text_has_no_tabs_and_no_space_at_the_end_of_a_line() {
    let mut faults = Vec::new();
    let endings = [".rs", ".md", ".toml", ".ci/run"];
    let all = sources();
    for source in all.iter().filter(|source| endings.iter().any(|end| source.path.ends_with(end))) {
        for (number, line) in source.lines() {
            if line.contains('\t') || line.ends_with(' ') || line.ends_with('\r') {
                faults.push(format!("{}:{number}: tab or space at the end", source.path));
            }
        }
        if !source.text().is_some_and(|text| text.ends_with('\n')) {
            faults.push(format!("{}: is no text, or its last line has no end", source.path));
        }
    }
    report(&faults);
}

#[test]
fn no_large_binary_file_is_kept() {
    let is_large = |source: &&Source| source.text().is_none() && source.bytes.len() > BINARY_MAX;
    let faults: Vec<String> = sources()
        .iter()
        .filter(is_large)
        .map(|source| {
            format!("{}: {} bytes, at most {BINARY_MAX}", source.path, source.bytes.len())
        })
        .collect();
    report(&faults);
}

/// Every version of a package in the lock file.
fn locked() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let lock: toml::Table = toml::from_str(&text).unwrap();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let part = |key: &str| package[key].as_str().unwrap().to_owned();
        versions.entry(part("name")).or_default().push(part("version"));
    }
    versions
}

/// The CRDT and the store are pinned exactly, because their formats are ours.
#[test]
fn the_lock_file_pins_what_our_formats_depend_on() {
    let locked = locked();
    assert_eq!(locked["automerge"], ["0.12.0"]);
    assert_eq!(locked["sled"], ["0.34.7"]);
    assert_eq!(locked["redb"], ["4.6.0"]);
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for pin in ["automerge = \"=0.12.0\"", "redb = \"=4.6.0\"", "sled = \"=0.34.7\""] {
        assert!(manifest.contains(pin), "Cargo.toml: {pin}");
    }
}

/// Versions below these have known holes, see `deny.toml`.
#[test]
fn the_lock_file_is_above_the_versions_with_known_holes() {
    let number = |version: &str| -> Vec<u64> {
        version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
    };
    let locked = locked();
    for (package, least) in [("quinn-proto", "0.11.15"), ("crossbeam-epoch", "0.9.20")] {
        // One version: the nudge that bounds the memory of sled must act on the one that sled uses.
        let [version] = &locked[package][..] else { panic!("{package}: {:?}", locked[package]) };
        assert!(number(version) >= number(least), "{package} {version} is below {least}");
    }
}

/// With one integration crate, a file that nobody declares would be skipped in silence.
#[test]
fn no_forgotten_test_files() {
    let all = sources();
    let mut faults = Vec::new();
    for source in all.iter().filter(|source| source.path.starts_with("tests/it/")) {
        let Some(stem) = source.path.strip_suffix(".rs") else { continue };
        let (folder, name) = stem.rsplit_once('/').unwrap();
        let parent =
            if folder == "tests/it" { "tests/it/main.rs" } else { &format!("{folder}.rs") };
        let declared = all.iter().find(|other| other.path == *parent).is_some_and(|parent| {
            parent.lines().any(|(_, line)| {
                let line = line.trim_start_matches("pub(crate) ");
                line.strip_prefix("mod ").is_some_and(|rest| rest.starts_with(&format!("{name};")))
            })
        });
        if name != "main" && !declared {
            faults.push(format!("{}: {parent} does not declare it", source.path));
        }
    }
    report(&faults);
}
