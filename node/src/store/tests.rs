//! The store on real files: layout, damage, recovery, refusals.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::open::ENGINE_DIR;
use super::*;
use crate::kv::{KEY_RESERVED, Memory, Pair, ReadError};

fn options() -> StoreOptions {
    StoreOptions { cache_bytes: 16 << 20, flush_every_ms: 500 }
}

fn open(dir: &TempDir) -> SledStore {
    SledStore::open(dir.path(), &options()).unwrap().0
}

fn refused(dir: &TempDir) -> OpenError {
    SledStore::open(dir.path(), &options()).unwrap_err()
}

fn engine_file(dir: &TempDir, name: &str) -> PathBuf {
    dir.path().join(ENGINE_DIR).join(name)
}

/// Changes the engine's content behind the store's back.
fn raw(dir: &TempDir, change: impl FnOnce(&sled::Db)) {
    let db = loop {
        // Threads of the store that was just closed may hold the files for a moment.
        match sled::Config::new().path(dir.path().join(ENGINE_DIR)).open() {
            Ok(db) => break db,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    };
    change(&db);
    db.flush().unwrap();
}

/// How many entries the engine holds, chunks and the format entry included.
fn raw_len(store: &SledStore) -> usize {
    store.parts().engine.call(|db| Ok(db.len())).unwrap()
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
fn filled(count: u64) -> TempDir {
    let dir = TempDir::new().unwrap();
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

fn position(store: &SledStore) -> u64 {
    let last = store.last(b"f").unwrap();
    last.map_or(0, |(key, _)| u64::from_be_bytes(key[1..].try_into().unwrap()))
}

mod content {
    use super::*;

    #[test]
    fn what_was_applied_is_there_after_reopening() {
        let dir = TempDir::new().unwrap();
        let (store, report) = SledStore::open(dir.path(), &options()).unwrap();
        assert!(report.created);
        store.apply(&[put(b"a", b"1"), put(b"b", b""), put(b"c", b"3")], false).unwrap();
        store
            .apply(&[delete(b"c"), delete(b"never"), put(b"a", b"0"), put(b"a", b"2")], true)
            .unwrap();
        drop(store);
        let (store, again) = SledStore::open(dir.path(), &options()).unwrap();
        assert_eq!((again.created, again.store, again.blobs), (false, report.store, 0));
        assert_eq!(store.get(b"a").unwrap(), Some(b"2".to_vec()));
        assert_eq!(store.get(b"b").unwrap(), Some(Vec::new()));
        assert_eq!(store.get(b"c").unwrap(), None);
        assert_eq!(store.id(), report.store);
        assert!(store.verify().unwrap().is_sound());
    }

    #[test]
    fn values_of_every_size_come_back_and_leave_nothing() {
        let dir = TempDir::new().unwrap();
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

    #[test]
    fn a_page_full_of_the_longest_entries_makes_no_blob() {
        let dir = TempDir::new().unwrap();
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
        assert_eq!(fs::read_dir(engine_file(&dir, "blobs")).unwrap().count(), 0);
    }

    #[test]
    fn scans_and_last_answer_like_a_view_in_memory() {
        let dir = TempDir::new().unwrap();
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

    /// The engine's own reverse iteration panics here after a million turns.
    #[test]
    fn the_last_of_keys_full_of_0xff_is_found() {
        let dir = TempDir::new().unwrap();
        let store = open(&dir);
        let key = |n: u16| [b"d\xff\xff\xff\xff\xff".as_slice(), &n.to_be_bytes()].concat();
        let ops: Vec<Op> =
            (0..2_000).map(|n| put(&key(n), b"x")).chain([put(b"e", b"y")]).collect();
        store.apply(&ops, false).unwrap();
        assert_eq!(store.last(b"d").unwrap().unwrap().0, key(1_999));
        let deletes: Vec<Op> = (1_000..2_000).map(|n| delete(&key(n))).collect();
        store.apply(&deletes, false).unwrap();
        assert_eq!(store.last(b"d").unwrap().unwrap().0, key(999));
    }

    #[test]
    fn keys_and_values_without_a_place_are_refused_whole() {
        let dir = TempDir::new().unwrap();
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

    #[test]
    fn a_reader_never_sees_a_part_of_a_batch() {
        let dir = TempDir::new().unwrap();
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

mod damage {
    use super::*;

    #[test]
    fn damaged_bytes_are_never_served() {
        let dir = TempDir::new().unwrap();
        let store = open(&dir);
        store
            .apply(&[put(b"a", b"1"), put(b"b", &bytes(1, 10_000)), put(b"c", b"3")], true)
            .unwrap();
        let chunk = value::chunk_key(b"b", 1);
        let keys: [&[u8]; 4] = [b"a", b"b", b"c", &chunk];
        drop(store);
        for key in keys {
            for (at, bit) in [(0, 1), (0, 3), (5, 0), (17, 7)] {
                let mut original = None;
                raw(&dir, |db| {
                    let mut entry = db.get(key).unwrap().unwrap().to_vec();
                    original = Some(entry.clone());
                    entry[at] ^= 1 << bit;
                    db.insert(key, entry).unwrap();
                });
                let owner: &[u8] = if key == chunk { b"b" } else { key };
                let store = open(&dir);
                let expected = ReadError::Damaged { key: owner.to_vec() };
                assert_eq!(store.get(owner), Err(expected.clone()), "{key:?} {at} {bit}");
                assert_eq!(store.scan(b"", owner, 1), Err(expected.clone()));
                let report = store.verify().unwrap();
                assert_eq!((report.damaged, &report.damaged_keys), (1, &vec![owner.to_vec()]));
                let copy = dir.path().join("copy");
                assert!(matches!(store.compact(&copy), Err(StoreError::Damaged { .. })));
                fs::remove_dir_all(copy).unwrap();
                assert!(store.get(if owner == b"a" { b"c" } else { b"a" }).is_ok());
                drop(store);
                raw(&dir, |db| drop(db.insert(key, original.unwrap()).unwrap()));
            }
        }
        assert!(open(&dir).verify().unwrap().is_sound());
    }

    #[test]
    fn a_missing_chunk_and_a_swapped_value_are_damage_and_a_new_value_repairs() {
        let dir = TempDir::new().unwrap();
        let store = open(&dir);
        store
            .apply(&[put(b"a", b"1"), put(b"b", b"2"), put(b"big", &bytes(1, 10_000))], true)
            .unwrap();
        drop(store);
        raw(&dir, |db| {
            let b = db.get(b"b").unwrap().unwrap();
            db.insert(b"a", b).unwrap();
            db.remove(value::chunk_key(b"big", 2)).unwrap();
            db.insert(value::chunk_key(b"gone", 0), b"rest").unwrap();
        });
        let store = open(&dir);
        let report = store.verify().unwrap();
        assert_eq!(report.damaged_keys, [b"a".to_vec(), b"big".to_vec()]);
        assert_eq!(report.orphans, 1);
        store.apply(&[put(b"a", b"1"), put(b"big", b"small")], true).unwrap();
        assert_eq!((store.verify().unwrap().damaged, store.verify().unwrap().orphans), (0, 1));
    }

    /// A flipped bit in the engine's log: every outcome but a wrong byte, a silent loss or a panic.
    #[test]
    fn a_flipped_bit_in_the_log_is_refused_or_noticed() {
        let closed = filled(400);
        let size = fs::metadata(engine_file(&closed, "db")).unwrap().len();
        let mut refusals = 0;
        for n in 0..6u64 {
            let dir = filled(400);
            let mut log = fs::read(engine_file(&dir, "db")).unwrap();
            log[usize::try_from(size * (n + 1) / 8).unwrap()] ^= 4;
            fs::write(engine_file(&dir, "db"), log).unwrap();
            match SledStore::open(dir.path(), &options()) {
                Err(OpenError::Damaged { .. }) => refusals += 1,
                Err(other) => panic!("{other}"),
                Ok((store, report)) => {
                    let complete = !report.created && position(&store) == 400;
                    for n in 1..=position(&store) {
                        match store.get(&feed(n)) {
                            Ok(Some(value)) => assert_eq!(value, bytes(n, 300)),
                            Ok(None) => assert!(!complete, "entry {n} is silently gone"),
                            Err(error) => drop(error.to_string()),
                        }
                    }
                }
            }
        }
        assert!(refusals > 0, "the damage was never met");
    }

    #[test]
    fn a_cut_or_deleted_log_is_behind_its_watermark() {
        for cut in ["half", "empty", "deleted", "directory"] {
            let dir = filled(1_000);
            let store = open(&dir);
            let path = dir.path().join("watermark");
            let mut watermark = Watermark::load(&path).unwrap();
            watermark
                .record(Mark { store: store.id(), position: position(&store), records: None })
                .unwrap();
            let id = store.id();
            drop(store);
            let db = engine_file(&dir, "db");
            let size = fs::metadata(&db).unwrap().len();
            let log = fs::File::options().write(true).open(&db).unwrap();
            match cut {
                "half" => log.set_len(size / 2).unwrap(),
                "empty" => log.set_len(0).unwrap(),
                "deleted" => fs::remove_file(&db).unwrap(),
                _ => fs::remove_dir_all(dir.path().join(ENGINE_DIR)).unwrap(),
            }
            let watermark = Watermark::load(&path).unwrap();
            match SledStore::open(dir.path(), &options()) {
                Err(OpenError::Damaged { .. }) => assert_eq!(cut, "half"),
                Err(other) => panic!("{cut}: {other}"),
                Ok((store, _)) => {
                    let behind = watermark.check(store.id(), position(&store)).unwrap_err();
                    assert_eq!(behind.expected, Mark { store: id, position: 1_000, records: None });
                    assert!(behind.to_string().contains("has lost data"), "{behind}");
                }
            }
        }
    }
}

mod opening {
    use super::*;

    #[test]
    fn a_leftover_of_a_killed_start_is_removed() {
        let dir = filled(100);
        fs::write(engine_file(&dir, "snap.00000000000FFFFF.generating"), b"half a snap").unwrap();
        let (store, report) = SledStore::open(dir.path(), &options()).unwrap();
        assert_eq!((report.leftovers, position(&store)), (1, 100));
    }

    #[test]
    fn damaged_snapshots_and_settings_are_set_aside() {
        let dir = filled(100);
        drop(open(&dir));
        let snaps = || -> Vec<PathBuf> {
            let files = fs::read_dir(dir.path().join(ENGINE_DIR)).unwrap();
            let paths = files.map(|file| file.unwrap().path());
            paths.filter(|path| path.to_string_lossy().contains("snap.")).collect()
        };
        assert!(!snaps().is_empty());
        for round in 1..=2 {
            for snap in snaps() {
                let length = fs::metadata(&snap).unwrap().len();
                fs::File::options().write(true).open(snap).unwrap().set_len(length / 2).unwrap();
            }
            let (store, report) = SledStore::open(dir.path(), &options()).unwrap();
            assert_eq!(report.moved_aside, Some(dir.path().join(format!("aside-{round}"))));
            assert_eq!((position(&store), report.created), (100, false));
            drop(store);
            drop(open(&dir));
        }
        let conf = fs::File::options().write(true).open(engine_file(&dir, "conf")).unwrap();
        conf.set_len(12).unwrap();
        let (store, report) = SledStore::open(dir.path(), &options()).unwrap();
        assert!(report.moved_aside.is_some());
        assert_eq!(position(&store), 100);
    }

    #[test]
    fn a_directory_in_use_is_refused_and_free_again_afterwards() {
        let dir = TempDir::new().unwrap();
        let store = open(&dir);
        let error = refused(&dir);
        let own = std::process::id();
        assert!(matches!(&error, OpenError::Locked { pid, .. } if *pid == Some(own)), "{error}");
        assert!(error.to_string().contains("in use by another node"));
        drop(store);
        drop(open(&dir));
    }

    #[test]
    fn another_format_is_refused_with_both_versions() {
        let dir = TempDir::new().unwrap();
        drop(open(&dir));
        let entry = b"concord-store 7 sled-9 00112233445566778899aabbccddeeff";
        raw(&dir, |db| drop(db.insert(FORMAT_KEY, value::encode_head(FORMAT_KEY, entry)).unwrap()));
        let error = refused(&dir).to_string();
        assert!(
            error.contains("format 7 on sled-9") && error.contains("format 1 on sled-0.34"),
            "{error}"
        );
        raw(&dir, |db| drop(db.insert(FORMAT_KEY, b"?").unwrap()));
        assert!(matches!(refused(&dir), OpenError::Damaged { .. }));
        raw(&dir, |db| drop(db.remove(FORMAT_KEY).unwrap()));
        // Without the entry, an empty store is a new one.
        assert!(SledStore::open(dir.path(), &options()).unwrap().1.created);
    }

    #[test]
    fn something_else_is_refused() {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join(ENGINE_DIR)).unwrap();
        raw(&dir, |db| drop(db.insert(b"k", b"of another program").unwrap()));
        assert!(matches!(refused(&dir), OpenError::Foreign { .. }));
        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        let error = SledStore::open(&file, &options()).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
        let error = SledStore::open(&file.join("below"), &options()).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    }

    #[test]
    fn a_full_disk_and_missing_rights_have_their_own_sentences() {
        let store = |kind: std::io::ErrorKind| {
            StoreError::of(Path::new("/data"), std::io::Error::from(kind).into()).to_string()
        };
        assert!(store(std::io::ErrorKind::StorageFull).contains("/data is full"));
        assert!(store(std::io::ErrorKind::ReadOnlyFilesystem).contains("may not write"));
        assert!(store(std::io::ErrorKind::UnexpectedEof).contains("failed"));
    }
}

mod compaction {
    use super::*;

    #[test]
    fn a_stopped_store_is_compacted_in_place() {
        let dir = TempDir::new().unwrap();
        let store = open(&dir);
        for round in 0..6 {
            let ops: Vec<Op> = (0..400)
                .map(|n| put(&feed(n), &bytes(n + round, 3_000 + 4_000 * usize::from(n % 4 == 0))))
                .collect();
            store.apply(&ops, true).unwrap();
        }
        let (id, before) = (store.id(), store.scan(b"f", b"", 500).unwrap());
        drop(store);
        let report = SledStore::compact_dir(dir.path(), &options()).unwrap();
        assert!(report.keys == 401 && report.after < report.before, "{report:?}");
        let store = open(&dir);
        assert_eq!((store.id(), store.scan(b"f", b"", 500).unwrap()), (id, before));
        assert!(store.verify().unwrap().is_sound());
        assert_eq!(names(&dir), ["LOCK", "sled"]);
    }

    fn names(dir: &TempDir) -> Vec<String> {
        let files = fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<String> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_compaction_cut_at_any_step_leaves_a_whole_store() {
        let rename = |dir: &TempDir, from: &str, to: &str| {
            fs::rename(dir.path().join(from), dir.path().join(to)).unwrap();
        };
        for cut in 0..5 {
            let dir = filled(100);
            let store = open(&dir);
            store.compact(&dir.path().join("compacted.partial")).unwrap();
            drop(store);
            if cut > 0 {
                rename(&dir, "compacted.partial", "compacted");
            }
            if cut > 1 {
                rename(&dir, "sled", "replaced");
            }
            if cut > 2 {
                rename(&dir, "compacted/sled", "sled");
            }
            if cut > 3 {
                fs::remove_dir(dir.path().join("compacted")).unwrap();
            }
            let (store, report) = SledStore::open(dir.path(), &options()).unwrap();
            assert_eq!((position(&store), report.created), (100, false), "{cut}");
            assert_eq!(names(&dir), ["LOCK", "sled"]);
        }
    }

    #[test]
    fn a_copy_of_an_open_store_is_a_store() {
        let dir = filled(100);
        let store = open(&dir);
        let copy = dir.path().join("copy");
        assert_eq!(store.compact(&copy).unwrap().keys, 101);
        assert!(matches!(store.compact(&copy), Err(StoreError::Exists { .. })));
        let (copied, report) = SledStore::open(&copy, &options()).unwrap();
        assert_eq!((position(&copied), report.store), (100, store.id()));
    }
}

mod watermark {
    use super::*;

    fn mark(store: u8, position: u64) -> Mark {
        Mark { store: StoreId::from_bytes([store; 16]), position, records: Some(position * 2) }
    }

    #[test]
    fn the_newest_mark_is_remembered() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("watermark");
        assert_eq!(Watermark::load(&path).unwrap().mark(), None);
        assert!(!path.exists());
        for position in 1..6 {
            let mut watermark = Watermark::load(&path).unwrap();
            watermark.record(mark(1, position)).unwrap();
            assert_eq!(Watermark::load(&path).unwrap().mark(), Some(mark(1, position)));
        }
        assert_eq!(fs::metadata(&path).unwrap().len(), 8192);
    }

    #[test]
    fn only_an_explicit_repair_goes_back() {
        let dir = TempDir::new().unwrap();
        let mut watermark = Watermark::load(&dir.path().join("watermark")).unwrap();
        let store = |n| StoreId::from_bytes([n; 16]);
        assert!(watermark.check(store(1), 0).is_ok());
        watermark.record(mark(1, 5)).unwrap();
        assert!(watermark.check(store(1), 5).is_ok() && watermark.check(store(1), 6).is_ok());
        assert!(watermark.check(store(1), 4).is_err() && watermark.check(store(2), 9).is_err());
        assert!(matches!(watermark.record(mark(1, 4)), Err(WatermarkError::Behind(_))));
        assert!(matches!(watermark.record(mark(2, 6)), Err(WatermarkError::Behind(_))));
        assert_eq!(watermark.mark(), Some(mark(1, 5)));
        watermark.replace(mark(2, 1)).unwrap();
        assert!(watermark.check(store(2), 1).is_ok());
    }

    #[test]
    fn a_damaged_slot_leaves_the_earlier_mark_and_two_are_reported() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("watermark");
        let mut watermark = Watermark::load(&path).unwrap();
        watermark.record(mark(1, 1)).unwrap();
        watermark.record(mark(1, 2)).unwrap();
        let sound = fs::read(&path).unwrap();
        for at in 0..64 {
            // The second mark went into the first slot.
            let mut torn = sound.clone();
            torn[at] ^= 0x10;
            fs::write(&path, &torn).unwrap();
            let mut loaded = Watermark::load(&path).unwrap();
            assert_eq!((loaded.mark(), loaded.damaged_slots()), (Some(mark(1, 1)), 1), "{at}");
            loaded.record(mark(1, 3)).unwrap();
            assert_eq!(Watermark::load(&path).unwrap().mark(), Some(mark(1, 3)));
        }
        for length in [0, 20, 64, 4096, 5000, 9000] {
            let mut cut = sound.clone();
            cut.resize(length, 0xEE);
            fs::write(&path, &cut).unwrap();
            Watermark::load(&path).unwrap().replace(mark(1, 9)).unwrap();
            assert_eq!(Watermark::load(&path).unwrap().mark(), Some(mark(1, 9)), "{length}");
        }
        fs::write(&path, [0xEE; 8192]).unwrap();
        let loaded = Watermark::load(&path).unwrap();
        assert_eq!((loaded.mark(), loaded.damaged_slots()), (None, 2));
    }
}
