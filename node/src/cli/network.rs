//! `concord network`: the network and who belongs to it. Works on the directory of the network key;
//! with `--to` it also tells a running node, which tells the others.

mod admit;
mod create;
pub(super) mod file;
mod join;
mod list;
pub(super) mod publish;
mod revoke;

use super::{CliError, Context, Exit};

/// Where the key and the roster of a network are kept, unless `--dir` says otherwise.
pub(super) const DIR: &str = "./network";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create a network: its secret key and a roster without members
    Create(create::Args),
    /// Admit a node, or change its name, region or addresses
    Admit(admit::Args),
    /// Show the members
    List(list::Args),
    /// Take a member's rights away, from what a running node holds of it on
    Revoke(revoke::Args),
    /// Bring a roster file to the directory of a node
    Join(join::Args),
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Create(args) => create::run(&args, context),
        Command::Admit(args) => admit::run(args, context),
        Command::List(args) => list::run(&args, context),
        Command::Revoke(args) => revoke::run(&args, context),
        Command::Join(args) => join::run(&args, context),
    }
}
