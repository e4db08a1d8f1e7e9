//! Damage behind the store's back: never a wrong byte, never a silent loss, never a panic.

use super::*;

on_each_engine! {
    damaged_bytes_are_never_served,
    a_missing_chunk_and_a_swapped_value_are_damage_and_a_new_value_repairs,
    a_flipped_bit_in_the_log_is_refused_or_noticed,
    entries_that_vanish_or_appear_are_noticed,
    a_cut_or_deleted_log_is_behind_its_watermark,
}

fn damaged_bytes_are_never_served(engine: EngineKind) {
    let dir = Site::new(engine);
    let store = open(&dir);
    store.apply(&[put(b"a", b"1"), put(b"b", &bytes(1, 10_000)), put(b"c", b"3")], true).unwrap();
    let chunk = value::chunk_key(b"b", 1);
    let keys: [&[u8]; 4] = [b"a", b"b", b"c", &chunk];
    drop(store);
    for key in keys {
        for (at, bit) in [(0, 1), (0, 3), (5, 0), (17, 7)] {
            let mut original = None;
            raw(&dir, |db| {
                let mut entry = db.get(key);
                original = Some(entry.clone());
                entry[at] ^= 1 << bit;
                db.insert(key, entry);
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
            raw(&dir, |db| db.insert(key, original.unwrap()));
        }
    }
    assert!(open(&dir).verify().unwrap().is_sound());
}

fn a_missing_chunk_and_a_swapped_value_are_damage_and_a_new_value_repairs(engine: EngineKind) {
    let dir = Site::new(engine);
    let store = open(&dir);
    store.apply(&[put(b"a", b"1"), put(b"b", b"2"), put(b"big", &bytes(1, 10_000))], true).unwrap();
    drop(store);
    raw(&dir, |db| {
        let b = db.get(b"b");
        db.insert(b"a", b);
        db.remove(value::chunk_key(b"big", 2));
        db.insert(value::chunk_key(b"gone", 0), b"rest");
    });
    let store = open(&dir);
    let report = store.verify().unwrap();
    assert_eq!(report.damaged_keys, [b"a".to_vec(), b"big".to_vec()]);
    assert_eq!(report.orphans, 1);
    store.apply(&[put(b"a", b"1"), put(b"big", b"small")], true).unwrap();
    assert_eq!((store.verify().unwrap().damaged, store.verify().unwrap().orphans), (0, 1));
}

/// A flipped bit in the engine's log: refused, noticed by the walk, behind the watermark, or harmless.
fn a_flipped_bit_in_the_log_is_refused_or_noticed(engine: EngineKind) {
    // A small one is read when it is opened.
    for entries in [2_000, 300] {
        flip_bits_of(engine, entries);
    }
}

fn flip_bits_of(engine: EngineKind, entries: u64) {
    let closed = filled(engine, entries);
    let mut met = 0;
    // CONCORD_FLIPS=400 for longer.
    let flips = std::env::var("CONCORD_FLIPS").map_or(24, |flips| flips.parse().unwrap());
    for n in 0..flips {
        let dir = Site::new(engine);
        fs::create_dir_all(dir.files()).unwrap();
        for file in fs::read_dir(closed.files()).unwrap().map(Result::unwrap) {
            if file.metadata().unwrap().is_file() {
                fs::copy(file.path(), dir.files().join(file.file_name())).unwrap();
            }
        }
        let mut log = fs::read(dir.main_file()).unwrap();
        let at = log.len() * (2 * n + 1) / (2 * flips);
        log[at] ^= 4;
        fs::write(dir.main_file(), log).unwrap();
        match DiskStore::open(dir.path(), &options(engine)) {
            Err(OpenError::Damaged { .. }) => met += 1,
            Err(other) => panic!("{other}"),
            Ok((store, _)) => met += u32::from(is_noticed(&store, entries, at)),
        }
    }
    assert!(met > 0, "the damage was never met");
}

/// Whether something tells that a store of [`filled`] is damaged; it must, when anything is missing.
fn is_noticed(store: &DiskStore, entries: u64, at: usize) -> bool {
    let behind =
        store.last(b"f").map_or(true, |last| last.is_none_or(|(key, _)| key < feed(entries)));
    let noticed = behind || !store.verify().is_ok_and(|report| report.is_sound());
    for n in 1..=entries {
        match store.get(&feed(n)) {
            Ok(Some(value)) => assert_eq!(value, bytes(n, 300)),
            Ok(None) | Err(_) => assert!(noticed, "entry {n} is silently gone; flipped at {at}"),
        }
    }
    let scanned = store.scan(b"f", b"", 5_000).map_or(0, |found| found.len() as u64);
    assert!(noticed || scanned == entries, "{scanned} found; flipped at {at}");
    noticed
}

fn entries_that_vanish_or_appear_are_noticed(engine: EngineKind) {
    let dir = filled(engine, 300);
    raw(&dir, |db| db.remove(feed(150)));
    let store = open(&dir);
    let report = store.verify().unwrap();
    assert!(!report.complete && report.damaged == 0 && position(&store) == 300, "{report:?}");
    let error = store.compact(&dir.path().join("copy")).unwrap_err();
    assert!(matches!(error, StoreError::Incomplete { expected: 301, found: 300, .. }), "{error}");
    // Writing it again does not make up for it: what else is gone is not known.
    store.apply(&[put(&feed(150), &bytes(150, 300))], true).unwrap();
    assert!(!store.verify().unwrap().complete);
    drop(store);
    let other = value::encode_head(&feed(7), b"of an earlier time");
    raw(&dir, |db| db.insert(feed(7), other));
    assert!(!open(&dir).verify().unwrap().complete);
    raw(&dir, |db| db.remove(totals::TOTALS_KEY));
    assert!(matches!(refused(&dir), OpenError::Damaged { .. }));
}

fn a_cut_or_deleted_log_is_behind_its_watermark(engine: EngineKind) {
    for cut in ["half", "empty", "deleted", "directory"] {
        let dir = filled(engine, 1_000);
        let store = open(&dir);
        let path = dir.path().join("watermark");
        let mut watermark = Watermark::load(&path).unwrap();
        watermark
            .record(Mark { store: store.id(), position: position(&store), records: None })
            .unwrap();
        let id = store.id();
        drop(store);
        let db = dir.main_file();
        let size = fs::metadata(&db).unwrap().len();
        let log = fs::File::options().write(true).open(&db).unwrap();
        match cut {
            "half" => log.set_len(size / 2).unwrap(),
            "empty" => log.set_len(0).unwrap(),
            "deleted" => fs::remove_file(&db).unwrap(),
            _ => fs::remove_dir_all(dir.files()).unwrap(),
        }
        let watermark = Watermark::load(&path).unwrap();
        match DiskStore::open(dir.path(), &options(engine)) {
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
