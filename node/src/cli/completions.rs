//! `concord completions SHELL`.

use std::io;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, CliError, Exit};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    // The generator panics when the reader has gone, so it writes to memory first.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "concord", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script)?;
    Ok(Exit::Ok)
}
