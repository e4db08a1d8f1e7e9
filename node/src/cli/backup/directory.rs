//! The directory of a backup: segments, and a manifest that says which of them count. The manifest is
//! replaced as a whole, and only after a segment is durable; so what a cut-off run left counts for
//! nothing, and the next run writes over it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crdt_model::id::{LogId, parse_hex};
use serde::{Deserialize, Serialize};

use super::super::CliError;
use super::super::init::sentence;
use super::super::stores::sync_folder;
use crate::replica::backup::{Begin, Chain, End, Place, Tip};
use crate::replica::node_id::NodeId;

/// Says which segments count.
const MANIFEST_FILE: &str = "manifest.json";
/// Held while a backup is written.
const LOCK_FILE: &str = "LOCK";
/// The version of the directory.
const FORMAT: u32 = 1;

/// What counts in the directory of a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    /// The id of the network.
    pub(crate) network: String,
    /// Whose backup it is.
    pub(crate) node: NodeId,
    /// The segments, in order. The first stands alone.
    pub(crate) segments: Vec<Segment>,
    /// How far they go, for the next one.
    pub(crate) last: Option<Place>,
    /// What they come to, log by log.
    logs: BTreeMap<LogId, LogTip>,
}

/// A segment that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) file: String,
    pub(crate) bytes: u64,
    /// The checksum that stands in its end, too.
    pub(crate) hash: String,
    pub(crate) after: u64,
    pub(crate) position: u64,
    pub(crate) commits: u64,
    pub(crate) roster: u64,
    pub(crate) at_ms: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LogTip {
    node: NodeId,
    seq: u64,
    hash: String,
}

impl Segment {
    pub(crate) fn new(file: String, bytes: u64, roster: u64, begin: &Begin, end: &End) -> Self {
        Self {
            file,
            bytes,
            hash: end.hash.clone(),
            after: begin.after,
            position: begin.position,
            commits: end.commits,
            roster,
            at_ms: begin.at_ms,
        }
    }
}

impl Manifest {
    /// What a directory is after a segment: added to what it was, or alone.
    pub(crate) fn with(
        before: Option<&Self>,
        segment: Segment,
        begin: &Begin,
        end: &End,
        chain: &Chain,
    ) -> Self {
        let mut segments = match before {
            Some(before) if begin.after > 0 => before.segments.clone(),
            Some(_) | None => Vec::new(),
        };
        segments.push(segment);
        let tip = |(log, tip): (&LogId, &Tip)| {
            let hash = blake3::Hash::from_bytes(tip.hash).to_hex().to_string();
            (*log, LogTip { node: tip.node, seq: tip.seq, hash })
        };
        Self {
            format: FORMAT,
            network: begin.network.clone(),
            node: begin.node,
            segments,
            last: end.last,
            logs: chain.tips().iter().map(tip).collect(),
        }
    }

    /// What the segments come to, log by log.
    pub(crate) fn tips(&self) -> BTreeMap<LogId, Tip> {
        let tip = |(log, tip): (&LogId, &LogTip)| {
            let hash = parse_hex(&tip.hash)?;
            Some((*log, Tip { node: tip.node, seq: tip.seq, hash }))
        };
        self.logs.iter().filter_map(tip).collect()
    }

    /// The number of the next segment.
    pub(crate) fn next_number(&self) -> u64 {
        let number = |segment: &Segment| segment.file.split('.').next()?.parse::<u64>().ok();
        self.segments.iter().filter_map(number).max().unwrap_or(0) + 1
    }
}

/// The directory of a backup, held by one run.
pub(crate) struct Directory {
    path: PathBuf,
    pub(crate) manifest: Option<Manifest>,
    /// Given back when the file is closed.
    _lock: File,
}

impl Directory {
    /// Takes a directory for one run; makes it where there is none.
    pub(crate) fn take(path: &Path) -> Result<Self, CliError> {
        let unwritten = |error: io::Error| unwritten(path, &error);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(unwritten)?;
        let lock = private().create(true).truncate(false).open(path.join(LOCK_FILE));
        let lock = lock.map_err(unwritten)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(CliError::Unreachable(format!(
                    "Another backup into {} is under way. Wait for it.",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(unwritten(error)),
        }
        let manifest = read(path)?;
        if manifest.is_none() {
            // What a cut-off run left; and what a file system of its own begins with.
            let is_ours = |name: &str| {
                [LOCK_FILE, "lost+found"].contains(&name)
                    || name.starts_with('.')
                    || name.ends_with(".segment")
            };
            let entries = fs::read_dir(path).map_err(unwritten)?;
            let names = entries.filter_map(Result::ok).map(|entry| entry.file_name());
            if let Some(name) = names.into_iter().find(|name| !is_ours(&name.to_string_lossy())) {
                return Err(CliError::Refused(format!(
                    "{} holds {}, so it is no directory of a backup. Name one that is empty or does \
                     not exist.",
                    path.display(),
                    name.to_string_lossy()
                )));
            }
        }
        Ok(Self { path: path.to_owned(), manifest, _lock: lock })
    }

    /// A new segment: its name and its file. What an earlier run that was cut off left there goes.
    pub(crate) fn segment(&self) -> Result<(String, File), CliError> {
        let number = self.manifest.as_ref().map_or(1, Manifest::next_number);
        let name = format!("{number:06}.segment");
        let file = private().create(true).truncate(true).open(self.path.join(&name));
        Ok((name, file.map_err(|error| unwritten(&self.path, &error))?))
    }

    /// Removes a segment that counts for nothing.
    pub(crate) fn discard(&self, name: &str) {
        // Should it stay, the next run writes over it.
        drop(fs::remove_file(self.path.join(name)));
    }

    /// Makes a manifest count whose segments are durable.
    pub(crate) fn replace(&mut self, manifest: Manifest) -> Result<(), CliError> {
        let path = self.path.join(MANIFEST_FILE);
        let write = || -> io::Result<()> {
            sync_folder(&path)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            serde_json::to_writer_pretty(&mut file, &manifest)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            sync_folder(&path)
        };
        write().map_err(|error| unwritten(&self.path, &error))?;
        let before = self.manifest.take();
        for old in before.iter().flat_map(|before| &before.segments) {
            if !manifest.segments.contains(old) {
                self.discard(&old.file);
            }
        }
        self.manifest = Some(manifest);
        Ok(())
    }
}

/// Reads and writes for nobody else: customer data.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn read(path: &Path) -> Result<Option<Manifest>, CliError> {
    let path = path.join(MANIFEST_FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(CliError::Refused(format!("{} cannot be read: {error}.", path.display())));
        }
    };
    let damaged = |what: &str| CliError::Refused(format!("{} {what}.", path.display()));
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|_| damaged("is damaged, or no manifest"))?;
    if manifest.format != FORMAT {
        return Err(damaged("is of another release; use that release, or a newer one"));
    }
    let is_plain = |segment: &Segment| !segment.file.contains(['/', '\\']);
    match manifest.segments.iter().all(is_plain) {
        true => Ok(Some(manifest)),
        false => Err(damaged("names files of another directory")),
    }
}

/// The error for a backup that cannot be written.
pub(crate) fn unwritten(path: &Path, error: &io::Error) -> CliError {
    CliError::Unreachable(format!(
        "The backup {} cannot be written: {error}. What was in it before still counts.",
        path.display()
    ))
}

/// One segment to read: where, and what the manifest says about it.
pub(crate) struct Listed {
    pub(crate) path: PathBuf,
    pub(crate) segment: Option<Segment>,
}

/// The segments of a backup, in order: those of a directory up to a number of them, or the one that a
/// file is.
pub(crate) fn segments(path: &Path, first: Option<usize>) -> Result<Vec<Listed>, CliError> {
    if path.is_file() {
        return Ok(vec![Listed { path: path.to_owned(), segment: None }]);
    }
    let Some(manifest) = read(path)? else {
        return Err(CliError::Refused(format!(
            "There is no backup in {}: {MANIFEST_FILE} is missing.",
            path.display()
        )));
    };
    let listed = manifest.segments.into_iter().take(first.unwrap_or(usize::MAX));
    let listed = listed
        .map(|segment| Listed { path: path.join(&segment.file), segment: Some(segment) })
        .collect::<Vec<_>>();
    match listed.is_empty() {
        true => Err(CliError::Refused(format!("The backup in {} is empty.", path.display()))),
        false => Ok(listed),
    }
}

/// What is wrong with a segment.
pub(crate) fn wrong(path: &Path, why: &dyn std::fmt::Display) -> CliError {
    CliError::Refused(format!("The backup cannot be used: {}: {}", path.display(), sentence(why)))
}
