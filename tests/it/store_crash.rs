//! The store under SIGKILL: a real process writes, is killed at a random moment, and the store is opened
//! again by this one. Twenty times on the same files.
//!
//! This proves what survives the death of a process, not of the machine: the kernel lives on here.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use node::kv::{Op, Pair, View};
use node::store::{Mark, SledStore, Store, StoreOptions, Watermark};

/// Tells the test binary that it is the writer, and where its store is.
const WRITER_DIR: &str = "CONCORD_STORE_CRASH_DIR";
const KILLS: u64 = 20;
/// Every commit rewrites one of so few documents, so that most writes replace a value.
const DOCUMENTS: u64 = 50;
/// Commits older than this many are deleted by later ones.
const KEPT: u64 = 400;

fn options() -> StoreOptions {
    StoreOptions { cache_bytes: 16 << 20, flush_every_ms: 50 }
}

/// Content that follows from the number of the commit; every seventh is long enough for chunks.
fn content(kind: u8, commit: u64) -> Vec<u8> {
    let length = if commit.is_multiple_of(7) { 5_000 + commit % 9_000 } else { commit % 1_500 };
    let mut value = vec![0; usize::try_from(length).unwrap()];
    blake3::Hasher::new()
        .update(&[kind])
        .update(&commit.to_be_bytes())
        .finalize_xof()
        .fill(&mut value);
    [commit.to_be_bytes().as_slice(), &value].concat()
}

fn numbered(kind: u8, number: u64) -> Vec<u8> {
    [[kind].as_slice(), &number.to_be_bytes()].concat()
}

/// All that commit `n` changes: a document and its heads, the commit, the feed, and an old commit.
fn commit(n: u64) -> Vec<Op> {
    let document = n % DOCUMENTS;
    let mut ops = vec![
        Op::Put(numbered(b'c', n), content(b'c', n)),
        Op::Put(numbered(b'd', document), content(b'd', n)),
        Op::Put(numbered(b'f', n), n.to_be_bytes().to_vec()),
        Op::Put(numbered(b'h', document), content(b'h', n)),
    ];
    ops.extend(n.checked_sub(KEPT).map(|old| Op::Delete(numbered(b'c', old))));
    ops
}

fn number_in(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[..8].try_into().unwrap())
}

fn position(store: &SledStore) -> u64 {
    store.last(b"f").unwrap().map_or(0, |(key, _)| number_in(&key[1..]))
}

/// The writer. A test of its own name, so that the parent can start this binary with it; without the
/// variable there is nothing to do.
#[test]
fn writer() {
    let Some(dir) = std::env::var_os(WRITER_DIR) else { return };
    let dir = Path::new(&dir);
    let (store, _) = SledStore::open(&dir.join("store"), &options()).unwrap();
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
fn start(dir: &Path) -> (Child, Receiver<u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store_crash::writer", "--nocapture", "--test-threads=1"])
        .env(WRITER_DIR, dir)
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

/// Everything that must hold after a crash when `acknowledged` was the last number the writer named.
fn check(store: &SledStore, acknowledged: u64) -> u64 {
    let last = position(store);
    assert!(last >= acknowledged, "{acknowledged} was acknowledged, the store ends at {last}");
    let all = |prefix: &[u8]| -> Vec<Pair> { store.scan(prefix, b"", usize::MAX).unwrap() };

    // Gapless from 1, and exactly the commits that the feed promises.
    let feed: Vec<u64> = all(b"f").iter().map(|(_, value)| number_in(value)).collect();
    assert!(feed.iter().copied().eq(1..=last), "the feed has a gap");
    let commits = all(b"c");
    let first = (last + 1).saturating_sub(KEPT).max(1);
    assert_eq!(commits.len() as u64, last + 1 - first, "half a batch");
    for (number, (key, value)) in (first..).zip(&commits) {
        assert_eq!((key, value), (&numbered(b'c', number), &content(b'c', number)));
    }

    // Each document and its heads are those of its newest commit: never one without the other.
    for (kind, entries) in [(b'd', all(b"d")), (b'h', all(b"h"))] {
        assert_eq!(entries.len() as u64, last.min(DOCUMENTS));
        for (key, value) in entries {
            let document = number_in(&key[1..]);
            let newest = last - (last + DOCUMENTS - document) % DOCUMENTS;
            assert_eq!(value, content(kind, newest), "document {document}");
        }
    }
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report:?}");
    last
}

#[test]
fn a_killed_writer_loses_nothing_it_acknowledged() {
    let dir = tempfile::TempDir::new().unwrap();
    let mut random = u64::from(std::process::id());
    let (mut reached, mut acknowledged) = (0_u64, 0);
    for round in 0..KILLS {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (mut child, acknowledgements) = start(dir.path());
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

        let (store, _) = SledStore::open(&dir.path().join("store"), &options()).unwrap();
        reached = check(&store, acknowledged);
        let watermark = Watermark::load(&dir.path().join("watermark")).unwrap();
        watermark.check(store.id(), reached).unwrap();
    }
    assert!(acknowledged > KILLS * 10, "only {acknowledged} commits: nothing was tested");
}
