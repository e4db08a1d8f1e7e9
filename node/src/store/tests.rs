//! The store on real files.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::engine::{Batch, Engine, engine_dir};
use super::*;
use crate::kv::{KEY_LISTED, KEY_RESERVED, Memory, Pair, ReadError};

/// Makes a test on each engine out of functions that take one.
macro_rules! on_each_engine {
    ($($test:ident),* $(,)?) => {
        mod on_sled {
            $(#[test] fn $test() { super::$test(super::EngineKind::Sled); })*
        }
        mod on_redb {
            $(#[test] fn $test() { super::$test(super::EngineKind::Redb); })*
        }
    };
}

fn options(engine: EngineKind) -> StoreOptions {
    StoreOptions { engine: Some(engine), cache_bytes: 16 << 20, flush_every_ms: 500 }
}

/// A directory for a store on one engine.
struct Site {
    dir: TempDir,
    engine: EngineKind,
}

impl Site {
    fn new(engine: EngineKind) -> Self {
        Self { dir: TempDir::new().unwrap(), engine }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The directory of the engine's files.
    fn files(&self) -> PathBuf {
        engine_dir(self.path(), self.engine)
    }

    /// The file that has everything.
    fn main_file(&self) -> PathBuf {
        self.files().join(self.engine.main_file())
    }
}

fn open(dir: &Site) -> DiskStore {
    DiskStore::open(dir.path(), &options(dir.engine)).unwrap().0
}

fn refused(dir: &Site) -> OpenError {
    DiskStore::open(dir.path(), &options(dir.engine)).unwrap_err()
}

/// The engine of a closed store, without the store.
struct Raw(Engine);

impl Raw {
    fn get(&self, key: impl AsRef<[u8]>) -> Vec<u8> {
        self.0.get(key.as_ref()).unwrap().unwrap().to_vec()
    }

    fn insert(&self, key: impl AsRef<[u8]>, entry: impl AsRef<[u8]>) {
        let mut batch = Batch::default();
        batch.insert(key.as_ref(), entry.as_ref());
        self.0.apply(&batch, true).unwrap();
    }

    fn remove(&self, key: impl AsRef<[u8]>) {
        let mut batch = Batch::default();
        batch.remove(key.as_ref());
        self.0.apply(&batch, true).unwrap();
    }
}

/// Changes the engine's content behind the store's back.
fn raw(dir: &Site, change: impl FnOnce(&Raw)) {
    fs::create_dir_all(dir.files()).unwrap();
    let engine = loop {
        // Threads of the store that was just closed may hold the files for a moment.
        match Engine::open(dir.engine, &dir.files(), &options(dir.engine)) {
            Ok(engine) => break engine,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    };
    let raw = Raw(engine);
    change(&raw);
    raw.0.sync().unwrap();
}

/// How many entries the engine holds, chunks and the format entry included.
fn raw_len(store: &DiskStore) -> usize {
    store.parts().engine.range(&[], None, usize::MAX).unwrap().len()
}

/// Bytes that do not repeat.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut value = vec![0; length];
    blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof().fill(&mut value);
    value
}

fn put(key: &[u8], value: &[u8]) -> Op {
    Op::Put(key.to_vec(), value.to_vec())
}

fn delete(key: &[u8]) -> Op {
    Op::Delete(key.to_vec())
}

/// A store with `count` feed entries of 300 bytes, closed.
fn filled(engine: EngineKind, count: u64) -> Site {
    let dir = Site::new(engine);
    let store = open(&dir);
    for start in (1..=count).step_by(100) {
        let ops: Vec<Op> = (start..start + 100).map(|n| put(&feed(n), &bytes(n, 300))).collect();
        store.apply(&ops, true).unwrap();
    }
    drop(store);
    dir
}

fn feed(position: u64) -> Vec<u8> {
    [b"f".as_slice(), &position.to_be_bytes()].concat()
}

fn position(store: &DiskStore) -> u64 {
    let last = store.last(b"f").unwrap();
    last.map_or(0, |(key, _)| u64::from_be_bytes(key[1..].try_into().unwrap()))
}

mod damage;
mod engines;
mod gate;
mod opening;
mod watermark;

mod content {
    use super::*;

    on_each_engine! {
        what_was_applied_is_there_after_reopening,
        values_of_every_size_come_back_and_leave_nothing,
        what_is_not_there_is_known_without_a_look,
        a_page_full_of_the_longest_entries_makes_no_blob,
        scans_and_last_answer_like_a_view_in_memory,
        verify_is_right_beside_a_writer,
        the_last_of_keys_full_of_0xff_is_found,
        keys_and_values_without_a_place_are_refused_whole,
        a_reader_never_sees_a_part_of_a_batch,
    }

    fn what_was_applied_is_there_after_reopening(engine: EngineKind) {
        let dir = Site::new(engine);
        let (store, report) = DiskStore::open(dir.path(), &options(engine)).unwrap();
        assert!(report.created);
        store.apply(&[put(b"a", b"1"), put(b"b", b""), put(b"c", b"3")], false).unwrap();
        store
            .apply(&[delete(b"c"), delete(b"never"), put(b"a", b"0"), put(b"a", b"2")], true)
            .unwrap();
        drop(store);
        let (store, again) = DiskStore::open(dir.path(), &options(engine)).unwrap();
        assert_eq!((again.created, again.store, again.blobs), (false, report.store, 0));
        assert_eq!(store.get(b"a").unwrap(), Some(b"2".to_vec()));
        assert_eq!(store.get(b"b").unwrap(), Some(Vec::new()));
        assert_eq!(store.get(b"c").unwrap(), None);
        assert_eq!(store.id(), report.store);
        assert!(store.verify().unwrap().is_sound());
    }

    fn what_is_not_there_is_known_without_a_look(engine: EngineKind) {
        let dir = Site::new(engine);
        let store = open(&dir);
        let listed = |thing: u8| [[KEY_LISTED, b'i', b'a', 0].as_slice(), &[thing; 16]].concat();
        let prefix = &listed(1)[..4];
        assert!(store.lists_none(prefix));
        store.apply(&[put(&listed(1), b""), put(b"k", b"1")], true).unwrap();
        assert!(!store.lists_none(prefix) && store.lists_none(b"xib\0"));
        // A key that goes, and comes again, is found as it is.
        for (op, value) in [(delete(b"k"), None), (put(b"k", b"2"), Some(b"2".to_vec()))] {
            store.apply(&[op], true).unwrap();
            assert_eq!(store.get(b"k").unwrap(), value);
        }
        drop(store);
        let store = open(&dir);
        assert!(!store.lists_none(prefix) && store.lists_none(b"xib\0"));
        assert_eq!(store.get(b"k").unwrap(), Some(b"2".to_vec()));
        // One with more entries than are read at the start knows nothing, and answers all the same.
        let many: Vec<Op> = (0..1_000_u32).map(|n| put(&n.to_be_bytes(), b"")).collect();
        store.apply(&many, true).unwrap();
        assert!(store.lists_none(b"xib\0"));
        drop(store);
        let store = open(&dir);
        assert!(!store.lists_none(b"xib\0"));
        assert_eq!(store.get(b"k").unwrap(), Some(b"2".to_vec()));
        assert_eq!(store.get(b"never").unwrap(), None);
        assert!(store.verify().unwrap().is_sound());
    }

    fn values_of_every_size_come_back_and_leave_nothing(engine: EngineKind) {
        let dir = Site::new(engine);
        let store = open(&dir);
        let empty = raw_len(&store);
        let sizes = [0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 12_288, 20_000, 300_000];
        for (n, &size) in (0..).zip(&sizes) {
            store
                .apply(&[put(b"k", &bytes(n, size)), put(b"k2", &bytes(n + 50, size))], false)
                .unwrap();
            assert_eq!(store.get(b"k").unwrap(), Some(bytes(n, size)), "{size}");
            let found = store.scan(b"k", b"", 9).unwrap();
            assert_eq!(
                found,
                [(b"k".to_vec(), bytes(n, size)), (b"k2".to_vec(), bytes(n + 50, size))]
            );
        }
        for (from, to) in [(20_000, 5_000), (20_000, 4_096), (9_000, 0)] {
            store.apply(&[put(b"k", &bytes(1, from))], false).unwrap();
            store.apply(&[put(b"k", &bytes(2, to))], false).unwrap();
            assert_eq!(store.get(b"k").unwrap(), Some(bytes(2, to)));
        }
        assert_eq!(store.verify().unwrap().orphans, 0);
        store.apply(&[delete(b"k"), delete(b"k2")], true).unwrap();
        assert_eq!(raw_len(&store), empty);
        assert_eq!(store.stats().blobs, 0);
    }

    fn a_page_full_of_the_longest_entries_makes_no_blob(engine: EngineKind) {
        let dir = Site::new(engine);
        let store = open(&dir);
        for round in 0..3 {
            let ops: Vec<Op> = (0..100u8)
                .map(|n| {
                    let mut key = vec![b'k'; KEY_MAX];
                    key[KEY_MAX - 1] = n;
                    put(&key, &bytes(u64::from(n) + round, 4096 * (1 + usize::from(n) % 3)))
                })
                .collect();
            store.apply(&ops, true).unwrap();
        }
        let report = store.verify().unwrap();
        assert!(report.is_sound() && report.keys == 101, "{report:?}");
        drop(store);
        let blobs = fs::read_dir(dir.files().join("blobs"));
        assert_eq!(blobs.map_or(0, Iterator::count), 0);
    }

    fn scans_and_last_answer_like_a_view_in_memory(engine: EngineKind) {
        let dir = Site::new(engine);
        let store = open(&dir);
        let mut memory = Memory::new();
        let tails: [&[u8]; 6] = [b"", b"\0", b"a", b"ab", b"\xff", b"\xff\xff\xff\xff\xff"];
        let heads: [&[u8]; 5] = [b"a", b"d", b"m/z", b"\0", b"\xfe\xff"];
        let mut ops = Vec::new();
        for (h, head) in heads.iter().enumerate() {
            for (t, tail) in tails.iter().enumerate() {
                ops.push(put(&[*head, *tail].concat(), &bytes((h * 10 + t) as u64, 2_000 * t)));
            }
        }
        ops.extend([delete(b"ab"), delete(b"d\xff\xff\xff\xff\xff")]);
        store.apply(&ops, false).unwrap();
        memory.apply(&ops);
        memory.apply(&[put(FORMAT_KEY, &store.get(FORMAT_KEY).unwrap().unwrap())]);
        let prefixes: [&[u8]; 9] = [b"", b"a", b"d", b"d\xff", b"m", b"m/", b"\xfe", b"q", b"\xff"];
        for prefix in prefixes {
            assert_eq!(store.last(prefix).unwrap(), memory.last(prefix).unwrap(), "{prefix:?}");
            for from in prefixes.iter().chain(&tails) {
                for limit in [0, 1, 3, 100] {
                    let expected: Vec<Pair> = memory.scan(prefix, from, limit).unwrap();
                    assert_eq!(store.scan(prefix, from, limit).unwrap(), expected);
                }
            }
        }
    }

    fn verify_is_right_beside_a_writer(engine: EngineKind) {
        let dir = Site::new(engine);
        let store = open(&dir);
        let key = |n: u64| [b"k".as_slice(), &bytes(n % 2_000, 8)].concat();
        let ops: Vec<Op> = (0..2_000).map(|n| put(&key(n), &bytes(n, 100))).collect();
        store.apply(&ops, false).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for n in 0..600 {
                    let big = usize::try_from(n % 7 * 1_000).unwrap();
                    let ops =
                        [put(&key(n * 3), &bytes(n, big)), delete(&key(n * 5)), put(&key(n), b"x")];
                    store.apply(&ops, false).unwrap();
                }
            });
            let mut walks = 0;
            while !writer.is_finished() || walks == 0 {
                let report = store.verify().unwrap();
                assert!(report.is_sound(), "{report:?}");
                walks += 1;
            }
        });
        assert!(store.verify().unwrap().is_sound());
    }

    /// On exactly these keys the engine's own reverse iteration panics, after a million turns.
    fn the_last_of_keys_full_of_0xff_is_found(engine: EngineKind) {
        let dir = Site::new(engine);
        let store = open(&dir);
        let key = |prefix: u8, n: u16| [&[prefix], &[0xFF; 6][..], &n.to_be_bytes()].concat();
        let at_end = |prefix: u8| store.last(&[prefix]).unwrap().unwrap().0;
        for prefix in [b'd', b'c'] {
            for n in (0..2_000).rev() {
                store.apply(&[put(&key(prefix, n), b"x")], false).unwrap();
            }
            assert_eq!(at_end(prefix), key(prefix, 1_999));
        }
        let deletes: Vec<Op> = (1_000..2_000).map(|n| delete(&key(b'c', n))).collect();
        store.apply(&deletes, false).unwrap();
        assert_eq!((at_end(b'c'), at_end(b'd')), (key(b'c', 999), key(b'd', 1_999)));
    }

    fn keys_and_values_without_a_place_are_refused_whole(engine: EngineKind) {
        let dir = Site::new(engine);
        let store = open(&dir);
        let refuse = |op: Op| store.apply(&[put(b"good", b"1"), op], true).unwrap_err();
        assert!(matches!(refuse(put(b"", b"")), StoreError::Key { length: 0 }));
        assert!(matches!(refuse(delete(&[7; 513])), StoreError::Key { length: 513 }));
        assert!(matches!(refuse(put(&[KEY_RESERVED, 1], b"")), StoreError::Reserved { .. }));
        assert!(matches!(refuse(delete(FORMAT_KEY)), StoreError::Reserved { .. }));
        assert!(matches!(refuse(put(b"k", &vec![0; VALUE_MAX + 1])), StoreError::TooLong { .. }));
        assert_eq!(store.get(b"good").unwrap(), None);
        store.apply(&[put(&[7; 512], b"1")], true).unwrap();
    }

    fn a_reader_never_sees_a_part_of_a_batch(engine: EngineKind) {
        let dir = Site::new(engine);
        let store = open(&dir);
        let batch = |n: u64| -> Vec<Op> {
            (0..40).map(|k: u8| put(&[b'k', k], &bytes(n, 3_000 + 200 * usize::from(k)))).collect()
        };
        store.apply(&batch(0), false).unwrap();
        std::thread::scope(|scope| {
            let writer =
                scope.spawn(|| (1..150).for_each(|n| store.apply(&batch(n), false).unwrap()));
            while !writer.is_finished() {
                let found = store.scan(b"k", b"", 100).unwrap();
                assert_eq!(found.len(), 40);
                assert!(found.iter().all(|(_, value)| value[..64] == found[0].1[..64]));
                store.get(&[b'k', 39]).unwrap();
            }
        });
    }
}

mod compaction {
    use super::*;

    on_each_engine! {
        a_stopped_store_is_compacted_in_place,
        a_compaction_cut_at_any_step_leaves_a_whole_store,
        a_copy_of_an_open_store_is_a_store,
    }

    fn a_stopped_store_is_compacted_in_place(engine: EngineKind) {
        let dir = Site::new(engine);
        let store = open(&dir);
        for round in 0..6 {
            let ops: Vec<Op> = (0..400)
                .map(|n| put(&feed(n), &bytes(n + round, 3_000 + 4_000 * usize::from(n % 4 == 0))))
                .collect();
            store.apply(&ops, true).unwrap();
        }
        let (id, before) = (store.id(), store.scan(b"f", b"", 500).unwrap());
        drop(store);
        let report = DiskStore::compact_dir(dir.path(), &options(engine)).unwrap();
        assert!(report.keys == 401 && report.after < report.before, "{report:?}");
        let store = open(&dir);
        assert_eq!((store.id(), store.scan(b"f", b"", 500).unwrap()), (id, before));
        assert!(store.verify().unwrap().is_sound());
        assert_eq!(names(&dir), ["LOCK", engine.name()]);
    }

    fn names(dir: &Site) -> Vec<String> {
        let files = fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<String> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn a_compaction_cut_at_any_step_leaves_a_whole_store(engine: EngineKind) {
        let rename = |dir: &Site, from: &str, to: &str| {
            fs::rename(dir.path().join(from), dir.path().join(to)).unwrap();
        };
        for cut in 0..5 {
            let dir = filled(engine, 100);
            let store = open(&dir);
            store.compact(&dir.path().join("compacted.partial")).unwrap();
            drop(store);
            if cut > 0 {
                rename(&dir, "compacted.partial", "compacted");
            }
            if cut > 1 {
                rename(&dir, engine.name(), "replaced");
            }
            if cut > 2 {
                rename(&dir, &format!("compacted/{engine}"), engine.name());
            }
            if cut > 3 {
                fs::remove_dir(dir.path().join("compacted")).unwrap();
            }
            let (store, report) = DiskStore::open(dir.path(), &options(engine)).unwrap();
            assert_eq!((position(&store), report.created), (100, false), "{cut}");
            assert_eq!(names(&dir), ["LOCK", engine.name()]);
        }
    }

    fn a_copy_of_an_open_store_is_a_store(engine: EngineKind) {
        let dir = filled(engine, 100);
        let store = open(&dir);
        let copy = dir.path().join("copy");
        assert_eq!(store.compact(&copy).unwrap().keys, 101);
        assert!(matches!(store.compact(&copy), Err(StoreError::Exists { .. })));
        let (copied, report) = DiskStore::open(&copy, &options(engine)).unwrap();
        assert_eq!((position(&copied), report.store), (100, store.id()));
    }
}
