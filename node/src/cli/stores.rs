//! The store of a stopped node, for the commands that work on its files: opened, looked for, exchanged.
//! Which engine it is, only this file says to them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::CliError;
use super::init::sentence;
use super::network::file::load_roster;
use crate::config::{self, Config};
use crate::kv::{ReadError, View};
use crate::replica::records::Records;
use crate::replica::roster::Roster;
use crate::store::{
    DiskStore, EngineKind, OpenError, StoreId, StoreOptions, UnknownEngine, Watermark,
};

/// A store that `concord repair` is filling; of no use when that was cut off.
pub(super) const REPAIRING: &str = "store.repairing";
/// A store that `concord repair` has filled, until it is in its place.
pub(super) const REPAIRED: &str = "store.repaired";
/// A store that `concord restore` is filling; of no use when that was cut off.
pub(super) const RESTORING: &str = "store.restoring";

/// Opens a store, or creates it; with no engine named, the one that is there.
pub(super) fn open(
    path: &Path,
    engine: Option<EngineKind>,
) -> Result<(DiskStore, StoreId), OpenError> {
    let options = StoreOptions { engine, ..StoreOptions::default() };
    let (store, report) = DiskStore::open(path, &options)?;
    Ok((store, report.store))
}

/// The engine that the configuration names.
pub(super) fn engine(config: &Config) -> Result<EngineKind, CliError> {
    let named = config.store_engine.parse();
    named.map_err(|error: UnknownEngine| CliError::Refused(sentence(&error)))
}

/// Where the store of a stopped node is. A repair that a power cut interrupted is finished before.
pub(super) fn existing(dir: &Path) -> Result<PathBuf, CliError> {
    settle(dir)?;
    let store = dir.join(config::STORE_DIR);
    // Opening would make an empty store, and an empty store is sound.
    if !store.is_dir() {
        return Err(CliError::Refused(format!(
            "There is no store in {}. Name the directory of a node with --dir.",
            dir.display()
        )));
    }
    Ok(store)
}

/// Finishes what a power cut interrupted between two renames of a repair, and refuses when a restore
/// was cut off: a node that started empty would serve as if there had never been a customer.
pub(super) fn settle(dir: &Path) -> Result<(), CliError> {
    let store = dir.join(config::STORE_DIR);
    if store.exists() {
        return Ok(());
    }
    let repaired = dir.join(REPAIRED);
    if repaired.is_dir() {
        return rename(&repaired, &store).map_err(|error| moved(dir, &error));
    }
    if dir.join(RESTORING).exists() {
        return Err(CliError::Refused(format!(
            "A restore into {} was cut off. Give \"concord restore\" again; or delete {RESTORING} there, \
             and the node fetches everything from its peers.",
            dir.display()
        )));
    }
    Ok(())
}

/// Removes what an interrupted repair left beside the store. Call it with the store open: whoever
/// repairs it holds its lock.
pub(super) fn clear(dir: &Path) -> Result<(), CliError> {
    [REPAIRING, REPAIRED]
        .iter()
        .try_for_each(|name| remove(&dir.join(name)))
        .map_err(|error| moved(dir, &error))
}

/// Removes a directory, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Renames within one directory, for good.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder(to)
}

/// Makes the entries of the directory of a file durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// The error for stores that cannot be moved.
pub(super) fn moved(dir: &Path, error: &io::Error) -> CliError {
    CliError::Unreachable(format!(
        "The stores in {} cannot be moved: {error}. Check the access rights and the space on the disk.",
        dir.display()
    ))
}

/// The roster that the store holds; where that is damaged or missing, the one of the file.
pub(super) fn roster(store: &dyn View, dir: &Path) -> Result<Roster, CliError> {
    match Records::new(store).roster() {
        Ok(Some(roster)) => Ok(roster),
        Ok(None) | Err(ReadError::Damaged { .. }) => load_roster(&dir.join(config::ROSTER_FILE)),
        Err(error) => Err(CliError::Unreachable(sentence(&error))),
    }
}

/// Whether the store is short of what the watermark remembers.
pub(super) fn behind(dir: &Path, store: StoreId, commits: u64) -> Option<String> {
    match Watermark::load(&dir.join(config::WATERMARK_FILE)) {
        Ok(watermark) => watermark.check(store, commits).err().map(|loss| loss.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

/// Shows that something goes on, when somebody looks.
pub(super) fn spinner() -> ProgressBar {
    // Hidden by itself when nobody looks.
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Shows how much of so many commits is done, when somebody looks.
pub(super) fn bar(commits: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(commits);
    let template = "{msg} {bar:24} {pos}/{len} commits, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir_with(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::TempDir::new().unwrap();
        names.iter().for_each(|name| fs::create_dir(dir.path().join(name)).unwrap());
        dir
    }

    #[test]
    fn a_repair_that_was_cut_off_between_its_renames_is_finished() {
        let dir = dir_with(&[REPAIRED]);
        assert!(existing(dir.path()).is_ok_and(|store| store.is_dir()));
        assert!(!dir.path().join(REPAIRED).exists());
    }

    #[test]
    fn a_repair_that_was_cut_off_before_is_undone() {
        let dir = dir_with(&[config::STORE_DIR, REPAIRED, REPAIRING]);
        settle(dir.path()).unwrap();
        clear(dir.path()).unwrap();
        assert!(dir.path().join(config::STORE_DIR).is_dir());
        assert!(!dir.path().join(REPAIRED).exists() && !dir.path().join(REPAIRING).exists());
    }

    #[test]
    fn a_store_that_was_being_filled_is_never_taken() {
        let dir = dir_with(&[REPAIRING]);
        assert!(matches!(existing(dir.path()), Err(CliError::Refused(_))));
        let dir = dir_with(&[RESTORING]);
        let error = settle(dir.path()).unwrap_err().to_string();
        assert!(error.contains("was cut off"), "{error}");
    }
}
