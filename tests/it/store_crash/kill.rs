//! The store under SIGKILL: a real process writes, is killed at a random moment, and the store is opened
//! again by this one. Twenty times on the same files; `CONCORD_KILLS=200` for longer.
//!
//! This proves what survives the death of a process, not of the machine: the kernel lives on here.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use node::kv::Op;
use node::store::{DiskStore, EngineKind, Mark, Store, Watermark};

use super::commits::{ENGINE, check, commit, engine, options, position};

/// Tells the test binary that it is the writer, and where its store is.
const WRITER_DIR: &str = "CONCORD_STORE_CRASH_DIR";

fn kills() -> u64 {
    std::env::var("CONCORD_KILLS").map_or(20, |kills| kills.parse().unwrap())
}

/// The writer. A test of its own name, so that the parent can start this binary with it; without the
/// variable there is nothing to do.
#[test]
fn writer() {
    let Some(dir) = std::env::var_os(WRITER_DIR) else { return };
    let dir = Path::new(&dir);
    let (store, _) = DiskStore::open(&dir.join("store"), &options(engine())).unwrap();
    let mut watermark = Watermark::load(&dir.join("watermark")).unwrap();
    let mut out = std::io::stdout().lock();
    let mut next = position(&store) + 1;
    loop {
        // Mostly one commit at a time, sometimes a group in one batch, as the driver does.
        let group = if next.is_multiple_of(5) { 20 } else { 1 };
        let ops: Vec<Op> = (next..next + group).flat_map(commit).collect();
        store.apply(&ops, true).unwrap();
        next += group;
        if next % 16 < group {
            watermark
                .record(Mark { store: store.id(), position: next - 1, records: None })
                .unwrap();
        }
        writeln!(out, "\nacknowledged {}", next - 1).unwrap();
        out.flush().unwrap();
    }
}

/// Starts the writer; its acknowledgements come through the channel.
fn start(dir: &Path, engine: EngineKind) -> (Child, Receiver<u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store_crash::kill::writer", "--nocapture", "--test-threads=1"])
        .env(WRITER_DIR, dir)
        .env(ENGINE, engine.name())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (send, acknowledged) = mpsc::channel();
    std::thread::spawn(move || {
        let numbers = lines.map_while(Result::ok).filter_map(|line| {
            // A line that was cut by the kill does not parse, or parses as an earlier number.
            line.strip_prefix("acknowledged ").and_then(|number| number.parse().ok())
        });
        numbers.take_while(|number| send.send(*number).is_ok()).for_each(drop);
    });
    (child, acknowledged)
}

#[test]
fn a_killed_writer_on_sled_loses_nothing_it_acknowledged() {
    kill_again_and_again(EngineKind::Sled);
}

#[test]
fn a_killed_writer_on_redb_loses_nothing_it_acknowledged() {
    kill_again_and_again(EngineKind::Redb);
}

fn kill_again_and_again(engine: EngineKind) {
    let dir = tempfile::TempDir::new().unwrap();
    let mut random = u64::from(std::process::id());
    let (mut reached, mut acknowledged) = (0_u64, 0);
    for round in 0..kills() {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (mut child, acknowledgements) = start(dir.path(), engine);
        if round % 4 != 3 {
            // Else the kill comes at any moment of the start, as likely as not while it opens the store.
            let first = acknowledgements.recv_timeout(Duration::from_secs(60)).unwrap();
            assert_eq!(
                first,
                if (reached + 1).is_multiple_of(5) { reached + 20 } else { reached + 1 }
            );
            acknowledged = acknowledged.max(first);
        }
        std::thread::sleep(Duration::from_micros((random >> 33) % 150_000));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = acknowledgements.iter().fold(acknowledged, u64::max);

        let (store, _) = DiskStore::open(&dir.path().join("store"), &options(engine)).unwrap();
        reached = check(&store, acknowledged);
        let watermark = Watermark::load(&dir.path().join("watermark")).unwrap();
        watermark.check(store.id(), reached).unwrap();
    }
    assert!(acknowledged > kills() * 10, "only {acknowledged} commits: nothing was tested");
}
