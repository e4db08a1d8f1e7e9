//! The command line: one file a command. Not the node itself: only `run` starts one, every other
//! command talks HTTP to a running node or works on files.
//!
//! A command is `Args` and `run(args, &Context)`; read [`Context`] and [`CliError`] first.

mod backup;
mod bench;
mod bootstrap;
mod changes;
mod client;
mod codes;
mod completions;
mod conflicts;
mod context;
mod credit;
mod demo;
mod exit;
mod export;
mod forks;
mod get;
mod hierarchy;
mod history;
mod import;
mod init;
mod issues;
mod network;
mod peers;
mod policy;
mod repair;
mod report;
mod requests;
mod restore;
mod run;
mod sample;
mod set;
mod show;
mod simulate;
mod status;
mod store;
mod stores;
mod table;
mod token;
mod verify;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use self::client::{Client, Method, Request};
pub use self::context::{Context, Target};
pub use self::exit::{CliError, Exit, Problem};

/// Customer master data that stays one record everywhere, with no hub in the middle.
#[derive(Debug, Parser)]
#[command(name = "concord", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 done, with differences, issues or rejected rows; \
    2 wrong command line; 3 input refused; 4 node, port or store not available now.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Create the directory of a new node
    Init(init::Args),
    /// Create a network, and say who belongs to it
    #[command(subcommand)]
    Network(network::Command),
    /// Start the node, and keep it running until it is told to stop
    Run(run::Args),
    /// Show a customer, by id or by number, tax id, IBAN or name
    Get(get::Args),
    /// Change a customer, or create one
    Set(set::Args),
    /// Import customers from CSV or JSON Lines
    Import(import::Args),
    /// Write files of made-up customers to try the import with
    Sample(sample::Args),
    /// Show every change of a customer: who, when and why
    History(history::Args),
    /// Show who a customer belongs to and who belongs to it
    Hierarchy(hierarchy::Args),
    /// Show the credit of a customer, draw on a slice of its limit, or give a part of one away
    #[command(subcommand)]
    Credit(credit::Command),
    /// Show customers on which regions wrote different values without knowing of each other
    Conflicts(conflicts::Args),
    /// Ask for a change that others decide, or show a request
    Request(requests::RequestArgs),
    /// Approve a change request
    Approve(requests::DecisionArgs),
    /// Reject a change request
    Reject(requests::DecisionArgs),
    /// Show the change requests that wait for a decision, or take one
    Tasks(requests::TaskArgs),
    /// Show what somebody should look at, with counts and age, or the quality of one customer
    Issues(issues::Args),
    /// Show and change code lists, and see what hangs on a code
    Codes(codes::Args),
    /// Answer a question of finance for all customers
    Report(report::Args),
    /// Check, compare, sign and bring the policy: which rule decides what, and who may do what
    #[command(subcommand)]
    Policy(policy::Command),
    /// Say who may ask the node of this machine: make, list and revoke tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Show the other nodes, and how far each is
    Peers(peers::Args),
    /// Show the logs whose author signed two histories, and what does not count of them
    Forks(forks::Args),
    /// Show the state of the node
    Status(status::Args),
    /// Show what has changed on the node, commit by commit
    Changes(changes::Args),
    /// Write every customer as JSON Lines
    Export(export::Args),
    /// Write a backup of a node, or what is new since the last one; or check one
    Backup(backup::Args),
    /// Fill the store of a new or emptied node from a backup
    Restore(restore::Args),
    /// Fill a new node from a peer before it serves, and prove that it holds what its peers hold
    Bootstrap(bootstrap::Args),
    /// Move the store of a stopped node to another engine, compact it, or check its entries
    #[command(subcommand)]
    Store(store::Command),
    /// Check the store of a stopped node: signatures, chains, golden records
    Verify(verify::Args),
    /// Make the damaged store of a stopped node anew from what of it is sound
    Repair(repair::Args),
    /// Run regions in virtual time: see what a cut, a crash or a lost disk does before it happens
    Simulate(simulate::Args),
    /// Start three nodes here, cut one off, write on both sides, heal, and show what became of it
    Demo(demo::Args),
    /// Measure what a node costs and how fast it is, beside what this machine can do
    Bench(bench::Args),
    /// Print the completions of a shell
    Completions(completions::Args),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, with exit code 0. Nobody may be there to read.
            drop(error.print());
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    let context = Context { json: cli.json };
    match dispatch(cli.command, &context) {
        Ok(exit) => exit.into(),
        Err(error) => {
            report(&error, &context);
            error.exit().into()
        }
    }
}

fn dispatch(command: Command, context: &Context) -> Result<Exit, CliError> {
    // A node logs as its configuration says.
    if !matches!(command, Command::Run(_)) {
        crate::telemetry::init_quiet();
    }
    match command {
        Command::Init(args) => init::run(args, context),
        Command::Network(command) => network::run(command, context),
        Command::Run(args) => run::run(&args, context),
        Command::Get(args) => get::run(args, context),
        Command::Set(args) => set::run(args, context),
        Command::Import(args) => import::run(&args, context),
        Command::Sample(args) => sample::run(&args, context),
        Command::History(args) => history::run(&args, context),
        Command::Hierarchy(args) => hierarchy::run(&args, context),
        Command::Credit(command) => credit::run(&command, context),
        Command::Conflicts(args) => conflicts::run(&args, context),
        Command::Request(args) => requests::request(&args, context),
        Command::Approve(args) => requests::decide("approve", &args, context),
        Command::Reject(args) => requests::decide("reject", &args, context),
        Command::Tasks(args) => requests::tasks(&args, context),
        Command::Issues(args) => issues::run(&args, context),
        Command::Codes(args) => codes::run(&args, context),
        Command::Report(args) => report::run(&args, context),
        Command::Policy(command) => policy::run(command, context),
        Command::Token(command) => token::run(&command, context),
        Command::Peers(args) => peers::run(&args, context),
        Command::Forks(args) => forks::run(&args, context),
        Command::Status(args) => status::run(&args, context),
        Command::Changes(args) => changes::run(&args, context),
        Command::Export(args) => export::run(&args, context),
        Command::Backup(args) => backup::run(&args, context),
        Command::Restore(args) => restore::run(&args, context),
        Command::Bootstrap(args) => bootstrap::run(&args, context),
        Command::Store(command) => store::run(&command, context),
        Command::Verify(args) => verify::run(&args, context),
        Command::Repair(args) => repair::run(&args, context),
        Command::Simulate(args) => simulate::run(&args, context),
        Command::Demo(args) => demo::run(&args, context),
        Command::Bench(args) => bench::run(&args, context),
        Command::Completions(args) => completions::run(&args),
    }
}

/// Says on standard error why a command was not done.
fn report(error: &CliError, context: &Context) {
    if error.is_silent() {
        return;
    }
    let text = if context.json { error.to_json().to_string() } else { format!("error: {error}") };
    // Without standard error the exit code still tells.
    drop(writeln!(io::stderr(), "{text}"));
}

#[cfg(test)]
mod tests;
