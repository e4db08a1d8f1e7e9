//! `concord repair`: a damaged store of a stopped node is made anew from what of it is sound.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::init::sentence;
use super::stores::{self, REPAIRED, REPAIRING, moved, spinner};
use super::{CliError, Context, Exit};
use crate::clock::Clock;
use crate::config;
use crate::kv::{Op, ReadError};
use crate::replica::repair::{Saved, rebuild};
use crate::store::{DiskStore, Mark, OpenError, Store as _, StoreError, StoreId, Watermark};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directory of the node, which must not run
    #[arg(long, env = "CONCORD_DIR", default_value = config::DIR, value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let dir = &args.dir;
    let old = stores::existing(dir)?;
    let aside = aside(dir, Clock::system().now_ms());
    let outcome = match stores::open(&old, None) {
        // Closed before it is moved.
        Ok((store, _)) => Some(saved(&store, dir)?),
        Err(OpenError::Damaged { .. }) => {
            stores::clear(dir)?;
            None
        }
        Err(error) => return Err(CliError::Unreachable(sentence(&error))),
    };
    swap(dir, &aside, outcome.is_some()).map_err(|error| moved(dir, &error))?;
    let told = outcome.map(|(saved, store)| (saved, is_whole(dir, saved, store)));
    let (saved, is_whole) = told.unwrap_or_default();
    let json = json!({
        "commits": saved.commits, "lost": saved.lost, "whole": is_whole,
        "kept": aside.display().to_string(),
    });
    context.show(&json, people)?;
    Ok(if is_whole { Exit::Ok } else { Exit::Differences })
}

/// Fills a new store beside the old one.
fn saved(old: &DiskStore, dir: &Path) -> Result<(Saved, StoreId), CliError> {
    stores::clear(dir)?;
    let partial = dir.join(REPAIRING);
    let (new, id) = stores::open(&partial, Some(old.engine()))
        .map_err(|error| CliError::Unreachable(sentence(&error)))?;
    let mut write = |ops: Vec<Op>| new.apply(&ops, false).map_err(Fault::Store);
    let now_ms = Clock::system().now_ms();
    let bar = spinner();
    let mut progress = |saved: Saved| bar.set_message(format!("{} commits saved", saved.commits));
    let roster = stores::roster(old, dir)?;
    let saved = rebuild(old, roster, now_ms, &new, &mut write, &mut progress);
    let saved = saved.map_err(CliError::from)?;
    bar.finish_and_clear();
    new.sync().map_err(|error| CliError::Unreachable(sentence(&error)))?;
    drop(new);
    // From here on the name says that it is whole: what is cut off later is finished at the next start.
    stores::rename(&partial, &dir.join(REPAIRED)).map_err(|error| moved(dir, &error))?;
    Ok((saved, id))
}

enum Fault {
    Read(ReadError),
    Store(StoreError),
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<Fault> for CliError {
    fn from(fault: Fault) -> Self {
        Self::Unreachable(match fault {
            Fault::Read(error) => sentence(&error),
            Fault::Store(error) => sentence(&error),
        })
    }
}

/// Where the damaged store is kept.
fn aside(dir: &Path, now_ms: u64) -> PathBuf {
    dir.join(format!("store.damaged-{}", now_ms / 1_000))
}

/// Puts the new store in the place of the old one. A power cut between the two steps leaves a store
/// under the name that says so, and it is taken at the next start.
fn swap(dir: &Path, aside: &Path, has_new: bool) -> io::Result<()> {
    fs::rename(dir.join(config::STORE_DIR), aside)?;
    if has_new {
        fs::rename(dir.join(REPAIRED), dir.join(config::STORE_DIR))?;
    }
    fs::File::open(dir)?.sync_all()
}

/// Whether nothing is missing that the node had acknowledged. Then the new store counts as the old one;
/// otherwise the node serves nothing until its peers gave the rest back.
fn is_whole(dir: &Path, saved: Saved, store: StoreId) -> bool {
    let Ok(mut watermark) = Watermark::load(&dir.join(config::WATERMARK_FILE)) else {
        return false;
    };
    let is_whole =
        saved.lost == 0 && watermark.mark().is_none_or(|mark| saved.commits >= mark.position);
    let mark = Mark { store, position: saved.commits, records: None };
    is_whole && watermark.replace(mark).is_ok()
}

fn people(json: &Json) -> String {
    let kept = json["kept"].as_str().unwrap_or_default();
    let whole = json["whole"].as_bool() == Some(true);
    let rest = match whole {
        true => "Nothing is missing. Start the node.",
        false => {
            "Start the node: it serves nothing until its peers gave it the rest. With --accept-loss it \
             gives up what no peer has."
        }
    };
    format!(
        "The store was made anew from {} commits; {} could not be saved.\nThe old one is kept in {kept}.\n{rest}\n",
        json["commits"], json["lost"]
    )
}
