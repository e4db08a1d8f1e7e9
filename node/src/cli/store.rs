//! `concord store`: the files of a stopped node's store, whatever they mean. What they mean is checked by
//! `concord verify`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::init::sentence;
use super::stores::{self, spinner};
use super::verify::entry_problems;
use super::{CliError, Context, Exit};
use crate::config::{self, CONFIG_FILE, Config, ENGINE_KEY, set_word};
use crate::store::{CompactError, DiskStore, EngineKind, OpenError, Store as _, StoreOptions};

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Move the store to another engine, and the configuration with it
    Migrate(MigrateArgs),
    /// Write the store into fresh files, which gives space back
    Compact(Place),
    /// Check every stored entry: checksums and totals alone, faster than concord verify
    Verify(Place),
}

/// Which node.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// Directory of the node, which must not run
    #[arg(long, env = "CONCORD_DIR", default_value = config::DIR, value_name = "DIR")]
    dir: PathBuf,
}

/// Arguments of `store migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    place: Place,
    /// The engine: sled or redb
    #[arg(long, value_name = "ENGINE")]
    to: EngineKind,
}

pub(super) fn run(command: &Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Migrate(args) => migrate(args, context),
        Command::Compact(place) => compact(place, context),
        Command::Verify(place) => verify(place, context),
    }
}

/// First the files, then the line: after a power cut between the two the node refuses to start and names
/// this command, which then changes the line alone.
fn migrate(args: &MigrateArgs, context: &Context) -> Result<Exit, CliError> {
    let store = stores::existing(&args.place.dir)?;
    let path = args.place.dir.join(CONFIG_FILE);
    let line = changed_line(&path, args.to)?;
    let bar = spinner();
    bar.set_message(format!("writing the store for {}", args.to));
    let moved = DiskStore::migrate_dir(&store, args.to, &StoreOptions::default());
    let moved = moved.map_err(|error| failed(&error))?;
    bar.finish_and_clear();
    if let Some(text) = &line {
        replace_file(&path, text).map_err(|error| {
            CliError::Unreachable(format!(
                "The store is on {} now, but {} cannot be written: {error}. Set engine = \"{}\" under [store] \
                 in it.",
                args.to,
                path.display(),
                args.to
            ))
        })?;
    }
    let json = json!({
        "engine": args.to.name(), "moved": moved.is_some(), "configured": line.is_some(),
        "entries": moved.map(|report| report.keys),
        "bytes_before": moved.map(|report| report.before),
        "bytes_after": moved.map(|report| report.after),
    });
    context.show(&json, |json| {
        let what = match json["moved"].as_bool() {
            Some(true) => format!(
                "{} entries moved to {}: {} bytes before, {} bytes now.\n",
                json["entries"], args.to, json["bytes_before"], json["bytes_after"]
            ),
            _ => format!("The store is on {} already.\n", args.to),
        };
        let line = match json["configured"].as_bool() {
            Some(true) => format!("{CONFIG_FILE} says so now. Start the node.\n"),
            _ => "Start the node.\n".to_owned(),
        };
        format!("{what}{line}")
    })?;
    Ok(Exit::Ok)
}

/// The configuration with this engine; none when it says so already or there is no file.
fn changed_line(path: &Path, to: EngineKind) -> Result<Option<String>, CliError> {
    let Ok(text) = fs::read_to_string(path) else { return Ok(None) };
    let refused = |error: &dyn std::fmt::Display| CliError::Refused(sentence(error));
    let config = Config::check(path, &text).map_err(|error| refused(&error))?;
    if config.store_engine == to.name() {
        return Ok(None);
    }
    let changed = set_word(&text, ENGINE_KEY, to.name()).filter(|changed| {
        Config::check(path, changed).is_ok_and(|config| config.store_engine == to.name())
    });
    let by_hand = || {
        refused(&format!(
            "{} sets {ENGINE_KEY} in a way that cannot be changed here: set it to \"{to}\" by hand first",
            path.display()
        ))
    };
    changed.ok_or_else(by_hand).map(Some)
}

/// Replaces a file in one step; its rights stay.
fn replace_file(path: &Path, text: &str) -> std::io::Result<()> {
    let rights = fs::metadata(path)?.permissions();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(rights)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

fn compact(place: &Place, context: &Context) -> Result<Exit, CliError> {
    let store = stores::existing(&place.dir)?;
    let bar = spinner();
    bar.set_message("writing the store into fresh files");
    let report = DiskStore::compact_dir(&store, &StoreOptions::default());
    let report = report.map_err(|error| failed(&error))?;
    bar.finish_and_clear();
    let json = json!({
        "entries": report.keys, "bytes_before": report.before, "bytes_after": report.after,
    });
    context.show(&json, |json| {
        format!(
            "{} entries: {} bytes before, {} bytes now.\n",
            json["entries"], json["bytes_before"], json["bytes_after"]
        )
    })?;
    Ok(Exit::Ok)
}

fn verify(place: &Place, context: &Context) -> Result<Exit, CliError> {
    let unreachable = |error: &dyn std::fmt::Display| CliError::Unreachable(sentence(error));
    let store = stores::existing(&place.dir)?;
    let opened = DiskStore::open(&store, &StoreOptions::default());
    let (store, report) = opened.map_err(|error| unreachable(&error))?;
    let bar = spinner();
    bar.set_message("checking stored entries");
    let entries = store.verify().map_err(|error| unreachable(&error))?;
    bar.finish_and_clear();
    let problems = entry_problems(&entries);
    let json = json!({
        "engine": report.engine.name(), "entries": entries.keys, "bytes": entries.bytes,
        "disk_bytes": store.stats().disk_bytes, "problems": problems,
    });
    context.show(&json, people)?;
    Ok(if problems.is_empty() { Exit::Ok } else { Exit::Differences })
}

fn people(json: &Json) -> String {
    let engine = json["engine"].as_str().unwrap_or_default();
    let mut text = format!(
        "{} entries of {} bytes on {engine}, {} bytes on disk\n",
        json["entries"], json["bytes"], json["disk_bytes"]
    );
    let problems = json["problems"].as_array().map_or(&[][..], Vec::as_slice);
    if problems.is_empty() {
        text.push_str(
            "Sound: every entry is as it was written. concord verify checks what they say.\n",
        );
        return text;
    }
    for problem in problems {
        text.push_str(&format!("  - {}\n", super::show::text(problem)));
    }
    text.push_str("Run concord repair: it keeps the damaged store under another name.\n");
    text
}

fn failed(error: &CompactError) -> CliError {
    match error {
        CompactError::Open(OpenError::Foreign { .. } | OpenError::Format { .. }) => {
            CliError::Refused(sentence(error))
        }
        CompactError::Open(_) | CompactError::Copy(_) | CompactError::Swap { .. } => {
            CliError::Unreachable(sentence(error))
        }
    }
}
