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
