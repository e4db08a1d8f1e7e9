//! `concord policy`: the rules of the network, from the file that a governor writes to the day on
//! which every node follows it.

mod activate;
mod diff;
mod file;
mod key;
mod lint;
mod show;
mod sign;
mod simulate;

use super::{CliError, Context, Exit};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check a policy file: what is wrong with it, and where
    Lint(lint::Args),
    /// Show which golden values a policy file would change, before anybody is asked to sign it
    Simulate(simulate::Args),
    /// Show where a policy file differs from the policy in force, or from another file
    Diff(diff::Args),
    /// Make the key of a governor
    Key(key::Args),
    /// Sign a policy file as a governor
    Sign(sign::Args),
    /// Bring a policy into the network, in force from a stated time on
    Activate(activate::Args),
    /// Show the policy in force, or a policy file, as the TOML that "lint" reads
    Show(show::Args),
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Lint(args) => lint::run(&args, context),
        Command::Simulate(args) => simulate::run(&args, context),
        Command::Diff(args) => diff::run(&args, context),
        Command::Key(args) => key::run(&args, context),
        Command::Sign(args) => sign::run(&args, context),
        Command::Activate(args) => activate::run(&args, context),
        Command::Show(args) => show::run(&args, context),
    }
}
