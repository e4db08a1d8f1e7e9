//! Who may name whom. While the layers are modules of one crate, this test stands in for the
//! compiler; `ARCHITECTURE.md` draws the picture.

use super::report;
use super::tree::{Source, sources};

/// What a module of `node` may name.
struct Rule {
    module: &'static str,
    /// The other modules of `node` that it may name.
    names: &'static [&'static str],
    /// Words that must not stand in its code.
    never: &'static [&'static str],
}

/// Words that make code impure: runtimes, sockets, files, clocks, randomness, threads, hash order.
const IMPURE: &[&str] = &[
    "tokio",
    "quinn",
    "rustls",
    "sled",
    "redb",
    "axum",
    "clap",
    "ureq",
    "tracing",
    "rand",
    "getrandom",
    "std::fs",
    "std::net",
    "std::io",
    "std::env",
    "std::thread",
    "std::process",
    "Instant",
    "SystemTime",
    "async",
    "await",
    "Mutex",
    "RwLock",
    "HashMap",
    "HashSet",
];

/// Every module of `node/src/lib.rs`.
const RULES: &[Rule] = &[
    Rule { module: "kv", names: &[], never: IMPURE },
    Rule { module: "clock", names: &[], never: &["tokio", "quinn", "sled", "redb", "axum"] },
    Rule { module: "replica", names: &["kv"], never: IMPURE },
    Rule {
        module: "identity",
        names: &["replica"],
        never: &["tokio", "quinn", "sled", "redb", "axum"],
    },
    Rule { module: "store", names: &["kv"], never: &["tokio", "quinn", "axum", "async"] },
    Rule { module: "relay", names: &[], never: &["quinn", "sled", "redb", "axum"] },
    Rule { module: "transport", names: &["identity", "replica"], never: &["sled", "redb", "axum"] },
    Rule {
        module: "handle",
        names: &["kv", "replica"],
        never: &["Replica", "sled", "redb", "quinn"],
    },
    Rule {
        module: "driver",
        names: &["clock", "handle", "identity", "kv", "replica", "store", "transport"],
        never: &["sled", "redb", "quinn", "axum", "clap"],
    },
    Rule {
        module: "http",
        names: &["clock", "handle", "kv", "replica"],
        never: &["Replica", "Mutex", "sled", "redb", "quinn", "clap"],
    },
    Rule {
        module: "import",
        names: &[],
        never: &["tokio", "clap", "sled", "redb", "quinn", "axum"],
    },
    Rule {
        module: "sample",
        names: &[],
        never: &["tokio", "clap", "sled", "redb", "quinn", "axum"],
    },
    Rule {
        module: "config",
        names: &[],
        never: &["tokio", "clap", "sled", "redb", "quinn", "axum"],
    },
    Rule { module: "shutdown", names: &[], never: &["sled", "redb", "quinn", "axum", "clap"] },
    Rule { module: "simulation", names: &["identity", "kv", "replica"], never: IMPURE },
    Rule {
        module: "bench",
        names: &["clock", "driver", "handle", "identity", "kv", "replica", "store", "transport"],
        never: &["sled", "redb", "quinn", "axum", "clap"],
    },
    Rule {
        module: "telemetry",
        names: &["config"],
        never: &["tokio", "sled", "redb", "quinn", "axum"],
    },
    Rule {
        module: "cli",
        names: &[
            "bench",
            "clock",
            "config",
            "driver",
            "handle",
            "http",
            "identity",
            "import",
            "kv",
            "relay",
            "replica",
            "sample",
            "shutdown",
            "simulation",
            "store",
            "telemetry",
            "transport",
        ],
        never: &["automerge", "sled", "redb", "quinn", "rustls"],
    },
    Rule { module: "main", names: &[], never: &["tokio", "quinn", "sled", "redb", "axum", "clap"] },
    Rule { module: "lib", names: &[], never: IMPURE },
];

/// Where a crate may be named; tests may name any.
const CRATES: &[(&str, &[&str])] = &[
    ("automerge", &["crdt-model/src/document"]),
    ("sled", &["node/src/store"]),
    ("redb", &["node/src/store"]),
    ("crossbeam_epoch", &["node/src/store"]),
    ("quinn", &["node/src/transport"]),
    ("rustls", &["node/src/transport"]),
    ("axum", &["node/src/http"]),
    ("hyper", &["node/src/http"]),
    ("clap", &["node/src/cli"]),
    ("ureq", &["node/src/cli"]),
    ("csv", &["node/src/import", "node/src/sample"]),
    ("ed25519_dalek", &["node/src/identity", "node/src/replica/node_id"]),
];

/// Whether `word` stands in the line and is not a part of a longer name.
fn names(line: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        !part(line[..at].chars().next_back()) && !part(line[at + word.len()..].chars().next())
    })
}

/// The module of `node` that a file belongs to.
fn module_of(source: &Source) -> Option<&str> {
    let rest = source.path.strip_prefix("node/src/")?;
    let module = rest.split(['/', '.']).next()?;
    (source.is_rust() && !source.is_test()).then_some(module)
}

#[test]
fn every_module_of_the_node_names_only_what_it_may() {
    let mut faults = Vec::new();
    for source in &sources() {
        let Some(module) = module_of(source) else { continue };
        for rule in RULES.iter().filter(|rule| rule.module == module) {
            for (number, line) in source.code() {
                let place = format!("{}:{number}", source.path);
                for word in rule.never.iter().filter(|word| names(&line, word)) {
                    faults.push(format!("{place}: {module} must not name {word}"));
                }
                for named in line.split("crate::").skip(1) {
                    let end = named.find(|c: char| !c.is_alphanumeric() && c != '_');
                    let named = &named[..end.unwrap_or(named.len())];
                    if named != module && !rule.names.contains(&named) {
                        faults.push(format!("{place}: {module} must not name crate::{named}"));
                    }
                }
            }
        }
    }
    report(&faults);
}

/// A new module gets a rule of its own with its first line.
#[test]
fn every_module_of_the_node_has_a_rule() {
    let mut faults = Vec::new();
    for source in &sources() {
        let Some(module) = module_of(source) else { continue };
        if !RULES.iter().any(|rule| rule.module == module) {
            faults
                .push(format!("{}: RULES in tests/it/tidy/imports.rs lacks {module}", source.path));
        }
    }
    report(&faults);
}

/// Grouped imports would slip through the check above.
#[test]
fn pure_code_imports_one_module_a_line() {
    let mut faults = Vec::new();
    for source in &sources() {
        let pure = ["kv", "replica"].contains(&module_of(source).unwrap_or_default());
        if pure || source.path.starts_with("crdt-model/src/") {
            for (number, line) in source.code() {
                if line.contains("use std::{") || line.contains("crate::{") {
                    faults.push(format!("{}:{number}: import one module a line", source.path));
                }
            }
        }
    }
    report(&faults);
}

#[test]
fn the_model_is_pure() {
    let mut faults = Vec::new();
    let all = sources();
    let model = all.iter().filter(|source| {
        source.path.starts_with("crdt-model/src/") && source.is_rust() && !source.is_test()
    });
    for source in model {
        for (number, line) in source.code() {
            // The hook into the writer of JSON is bound to the trait; what it writes goes to memory.
            let is_hook = source.path.ends_with("/value/canonical.rs");
            let banned = IMPURE.iter().filter(|word| !(is_hook && **word == "std::io"));
            for word in banned.filter(|word| names(&line, word)) {
                faults.push(format!("{}:{number}: the model must not name {word}", source.path));
            }
            let is_document = source.path.contains("/document");
            if !is_document && line.contains("document::") && !line.contains("pub mod") {
                let place = format!("{}:{number}", source.path);
                faults.push(format!("{place}: no part of the model but document knows documents"));
            }
        }
    }
    report(&faults);
}

#[test]
fn every_crate_is_named_only_where_it_belongs() {
    let mut faults = Vec::new();
    let all = sources();
    for source in all.iter().filter(|source| source.is_rust() && !source.is_test()) {
        for (name, places) in CRATES {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            for (number, line) in source.code() {
                if names(&line, &format!("use {name}")) || line.contains(&format!("{name}::")) {
                    let places = places.join(", ");
                    faults.push(format!("{}:{number}: only {places} names {name}", source.path));
                }
            }
        }
    }
    report(&faults);
}
