//! The command line itself: it is consistent, and its slips end in exit code 2.

use clap::{CommandFactory as _, Parser as _};

use super::*;

#[test]
fn the_commands_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_and_argument_has_a_help_text() {
    fn check(command: &clap::Command) {
        for argument in
            command.get_arguments().filter(|a| !["help", "version"].contains(&a.get_id().as_str()))
        {
            assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
        }
        for below in command.get_subcommands() {
            assert!(below.get_about().is_some(), "{}", below.get_name());
            check(below);
        }
    }
    check(&Cli::command());
}

#[test]
fn slips_are_refused() {
    for words in [
        "get",
        "get 1 --number 2",
        "get 1 --claims --explain",
        "set",
        "set 1 a/b=1 --merge",
        "set 1 a/b=1 --create --if-match x",
        "init --name a",
        "init --name a --region emea",
        "network admit --node xyz --name a --region EMEA",
        "run --listen",
        "frobnicate",
    ] {
        let words = ["concord"].into_iter().chain(words.split(' '));
        assert!(Cli::try_parse_from(words.clone()).is_err(), "{:?}", words.collect::<Vec<_>>());
    }
}

#[test]
fn json_is_taken_before_and_after_the_command() {
    for words in ["concord --json peers", "concord peers --json"] {
        assert!(Cli::try_parse_from(words.split(' ')).unwrap().json, "{words}");
    }
}

/// The manual once explained messages that had been worded otherwise for long.
#[test]
fn the_manual_explains_messages_that_the_program_says() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let manual = std::fs::read_to_string(root.join("../docs/operations.md")).unwrap();
    let table = manual.split("## Troubleshooting").nth(1).unwrap();
    let source = said_in(&root.join("src"));
    let mut checked = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let messages = row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2);
        for part in messages.flat_map(|message| message.split('…')) {
            // An example of a key is no part of the message.
            let part = part.trim().trim_end_matches("\"lisen\"").trim_end_matches(['"', ':']);
            let part = part.trim_start_matches("/concord.toml:7:").trim();
            assert!(source.contains(part), "docs/operations.md explains {part:?}; nothing says it");
            checked += part.len();
        }
    }
    assert!(checked > 300);
}

/// Every source file below, with texts that go over several lines joined.
fn said_in(dir: &std::path::Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&said_in(&path));
        } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("cli/tests.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let joined = text.split("\\\n").map(str::trim_start).collect::<String>();
            all.push_str(&joined.replace("{CONFIG_FILE}", "concord.toml"));
        }
    }
    all
}
