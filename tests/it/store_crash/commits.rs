//! Numbered commits whose content follows from their number, and everything that must hold of a store
//! after a crash.

use node::kv::{Op, Pair, View};
use node::store::{DiskStore, EngineKind, Store, StoreOptions};

/// Every commit rewrites one of so few documents, so that most writes replace a value.
const DOCUMENTS: u64 = 50;
/// Commits older than this many are deleted by later ones.
const KEPT: u64 = 400;

/// How the stores of these tests are opened.
pub(super) const fn options(engine: EngineKind) -> StoreOptions {
    StoreOptions { engine: Some(engine), cache_bytes: 16 << 20, flush_every_ms: 50 }
}

/// Tells a writing process its engine.
pub(super) const ENGINE: &str = "CONCORD_CRASH_ENGINE";

/// The engine of this writing process.
pub(super) fn engine() -> EngineKind {
    std::env::var(ENGINE).unwrap().parse().unwrap()
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
pub(super) fn commit(n: u64) -> Vec<Op> {
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

pub(super) fn position(store: &DiskStore) -> u64 {
    store.last(b"f").unwrap().map_or(0, |(key, _)| number_in(&key[1..]))
}

/// Everything that must hold after a crash when `acknowledged` was the last number the writer named.
pub(super) fn check(store: &DiskStore, acknowledged: u64) -> u64 {
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
