//! The store in a power cut at every moment: a real process writes with `trace.c` loaded, and for every
//! entry of its trace this one makes the files that a cut there may leave, and opens them.
//!
//! The trace takes in a new store, batches that are durable and that are not, a restart, a compaction and
//! another restart. Each moment is tried with nothing kept of what was not durable, with everything (the
//! process died, not the machine) and with parts of it. `CONCORD_POWER_SEEDS=n` tries n choices of parts.

mod disk;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use node::kv::Op;
use node::store::{DiskStore, EngineKind, Mark, OpenError, Store, StoreOptions, Watermark};
use tempfile::TempDir;

use self::disk::{Disk, Event, Kept};
use super::commits::{ENGINE, check, commit, engine, options, position};

/// Tells the test binary that it is the writer, and where it writes.
const WRITER_DIR: &str = "CONCORD_POWER_DIR";
/// Below the writer's directory: its store, its watermark, and the numbers it acknowledged.
const STORE: &str = "store";
const WATERMARK: &str = "watermark";
const ACKNOWLEDGED: &str = "acknowledged";

/// The writer: a test of its own name. Without the variable there is nothing to do.
#[test]
fn writer() {
    let Some(dir) = std::env::var_os(WRITER_DIR) else { return };
    let dir = PathBuf::from(dir);
    write(&dir, 12);
    write(&dir, 24);
    DiskStore::compact_dir(&dir.join(STORE), &options(engine())).unwrap();
    write(&dir, 36);
}

/// Opens the store and writes commits up to this one.
fn write(dir: &Path, last: u64) {
    // The timer of sled would make every trace another one.
    let options = StoreOptions { flush_every_ms: 3_600_000, ..options(engine()) };
    let (store, _) = DiskStore::open(&dir.join(STORE), &options).unwrap();
    let mut watermark = Watermark::load(&dir.join(WATERMARK)).unwrap();
    for next in position(&store) + 1..=last {
        // Every third is not durable until the next one is.
        let durable = next % 3 != 0 || next == last;
        let ops: Vec<Op> = commit(next);
        store.apply(&ops, durable).unwrap();
        if !durable {
            continue;
        }
        fs::write(dir.join(ACKNOWLEDGED), next.to_string()).unwrap();
        if next % 4 == 0 {
            let mark = Mark { store: store.id(), position: next, records: None };
            watermark.record(mark).unwrap();
        }
    }
}

/// Runs the writer and gives what it did.
fn trace(engine: EngineKind) -> Vec<Event> {
    let dir = TempDir::new().unwrap();
    let library = dir.path().join("trace.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/it/store_crash/power/trace.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-o"])
        .arg(&library)
        .args([source, "-ldl", "-pthread"])
        .status()
        .unwrap();
    assert!(compiled.success(), "a C compiler is needed");
    let (written, entries) = (dir.path().join("written"), dir.path().join("entries"));
    fs::create_dir(&written).unwrap();
    let writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store_crash::power::writer", "--test-threads=1"])
        .env(WRITER_DIR, &written)
        .env(ENGINE, engine.name())
        .env("LD_PRELOAD", &library)
        .env("CONCORD_TRACE_DIR", &written)
        .env("CONCORD_TRACE", &entries)
        .output()
        .unwrap();
    assert!(writer.status.success(), "{}", String::from_utf8_lossy(&writer.stderr));
    let events = Event::read_all(&fs::read(&entries).unwrap());
    let mut disk = Disk::new();
    events.iter().for_each(|event| disk.apply(event));
    let copy = TempDir::new().unwrap();
    disk.cut(Kept::Everything, copy.path());
    assert_eq!(files(copy.path()), files(&written), "the trace does not tell everything");
    events
}

/// Every file and directory below, with its content.
fn files(dir: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_owned();
            if path.is_dir() {
                found.push((name, None));
                open.push(path);
            } else {
                found.push((name, Some(fs::read(path).unwrap())));
            }
        }
    }
    found.sort();
    found
}

/// What became of the stores.
#[derive(Debug, Default)]
struct Tally {
    opened: u32,
    /// Not opened, with a sentence that says why.
    refused: u32,
}

/// Opens what a cut leaves; nothing acknowledged may be missing, and nothing half there.
fn cut(
    engine: EngineKind,
    (disk, kept): (&Disk, Kept),
    acknowledged: u64,
    tally: &mut Tally,
) -> Result<(), String> {
    let dir = TempDir::new().unwrap();
    disk.cut(kept, dir.path());
    match DiskStore::open(&dir.path().join(STORE), &options(engine)) {
        Ok((store, _)) => {
            let reached = check(&store, acknowledged);
            let watermark = Watermark::load(&dir.path().join(WATERMARK)).unwrap();
            watermark.check(store.id(), reached).unwrap();
            tally.opened += 1;
            Ok(())
        }
        Err(error @ OpenError::Damaged { .. })
            if matches!(kept, Kept::Parts(_)) && engine == EngineKind::Sled =>
        {
            tally.refused += 1;
            assert!(error.to_string().contains("concord repair"), "{error}");
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_acknowledged_on_sled() {
    cut_at_every_moment(EngineKind::Sled);
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_acknowledged_on_redb() {
    cut_at_every_moment(EngineKind::Redb);
}

#[expect(clippy::print_stdout, reason = "how much was tried, for who asks with --nocapture")]
fn cut_at_every_moment(engine: EngineKind) {
    let seeds: u64 = std::env::var("CONCORD_POWER_SEEDS").map_or(1, |seeds| seeds.parse().unwrap());
    let events = trace(engine);
    let mut disk = Disk::new();
    let (mut nothing, mut everything, mut parts) =
        (Tally::default(), Tally::default(), Tally::default());
    for (at, event) in (0_u64..).zip(&events) {
        let acknowledged = disk
            .now(ACKNOWLEDGED)
            .and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
        let acknowledged = acknowledged.unwrap_or(0);
        let said = |kept: Kept| {
            move |error: String| format!("cut before entry {at}, {kept:?} kept: {error}")
        };
        if event.is_sync() {
            // Between two of these nothing more is certain; just before the next most was promised.
            cut(engine, (&disk, Kept::Nothing), acknowledged, &mut nothing)
                .map_err(said(Kept::Nothing))
                .unwrap();
        }
        cut(engine, (&disk, Kept::Everything), acknowledged, &mut everything)
            .map_err(said(Kept::Everything))
            .unwrap();
        for seed in 0..seeds {
            let kept = Kept::Parts(seed * 1_000_003 + at);
            cut(engine, (&disk, kept), acknowledged, &mut parts).map_err(said(kept)).unwrap();
        }
        disk.apply(event);
    }
    println!(
        "{engine}: {} moments; nothing kept {nothing:?}, everything {everything:?}, parts {parts:?}",
        events.len()
    );
    assert!(
        nothing.opened > 60 && parts.opened > 200,
        "{nothing:?} {parts:?}: too little was tried"
    );
}
