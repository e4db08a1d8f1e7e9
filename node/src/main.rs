//! The program `concord`. Everything it can do is in [`node::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    node::cli::main()
}
