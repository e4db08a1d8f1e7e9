//! The command line: one file a command. Not the node itself: only `run` starts one, every other
//! command talks HTTP to a running node or works on files.
//!
//! A command is `Args` and `run(args, &Context)`; read [`Context`] and [`CliError`] first.

mod client;
mod context;
mod exit;

pub use self::client::{Client, Method, Request};
pub use self::context::{Context, Target};
pub use self::exit::{CliError, Exit, Problem};
