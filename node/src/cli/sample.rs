//! `concord sample`: files of made-up customers to try the import with.

use std::fs::{File, create_dir_all};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{CliError, Context, Exit};
use crate::sample::{CUSTOMERS, CUSTOMERS_MAX, SEED, SampleFile, files};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directory for data/*.csv and mappings/*.toml; files that are there are not replaced
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The same seed gives the same files
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// How many customers, over all files
    #[arg(long, value_name = "COUNT", default_value_t = CUSTOMERS,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(CUSTOMERS_MAX)))]
    customers: u32,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let files = files(args.seed, args.customers);
    let paths: Vec<PathBuf> = files.iter().map(|file| args.out.join(file.path)).collect();
    // Before any is written: all or none.
    if let Some(path) = paths.iter().find(|path| path.exists()) {
        return Err(CliError::Refused(format!(
            "{} exists already. Name another directory.",
            path.display()
        )));
    }
    for (file, path) in files.iter().zip(&paths) {
        write(file, path).map_err(|error| {
            CliError::Refused(format!("{} cannot be written: {error}.", path.display()))
        })?;
    }
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    context.show(
        &json!({"seed": args.seed, "customers": args.customers, "files": paths}),
        |_| {
            let list: String = paths.iter().map(|path| format!("{path}\n")).collect();
            let (data, mapping) = (&paths[0], &paths[3]);
            format!("{list}Next: concord import {data} --mapping {mapping}")
        },
    )?;
    Ok(Exit::Ok)
}

fn write(file: &SampleFile, path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        create_dir_all(folder)?;
    }
    File::create_new(path)?.write_all(&file.bytes)
}
