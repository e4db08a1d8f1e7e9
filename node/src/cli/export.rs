//! `concord export`: every customer as JSON Lines, to standard output or a file.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write};
use std::path::PathBuf;

use super::{CliError, Context, Exit, Request, Target};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write to this file instead of standard output; it must not exist
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Leave out customers up to this id: to go on after an interruption
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let client = context.client(&args.node)?;
    let request = Request::get("/v1/export").maybe("after", args.after.as_ref());
    let mut lines = BufReader::new(client.stream(&request)?);
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(match &args.out {
        None => Box::new(io::stdout().lock()),
        Some(path) => Box::new(File::create_new(path).map_err(|error| {
            CliError::Refused(format!("{} cannot be created: {error}.", path.display()))
        })?),
    });
    let mut line = Vec::new();
    loop {
        line.clear();
        // Only whole lines are written: a cut stream must not look like a record.
        let length =
            lines.read_until(b'\n', &mut line).map_err(|error| client.broken_off(&error))?;
        match line.last() {
            Some(b'\n') => out.write_all(&line)?,
            _ if length == 0 => break,
            _ => return Err(client.broken_off(&io::Error::from(io::ErrorKind::UnexpectedEof))),
        }
    }
    out.flush()?;
    Ok(Exit::Ok)
}
