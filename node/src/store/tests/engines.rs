//! Choosing an engine, and moving a store from one to the other.

use super::*;

on_each_engine! {
    another_engine_than_the_one_that_is_there_is_refused,
    a_store_moves_to_the_other_engine_and_back,
    a_migration_cut_at_any_step_leaves_a_whole_store,
    files_of_two_engines_are_refused,
}

fn other(engine: EngineKind) -> EngineKind {
    EngineKind::ALL.into_iter().find(|other| *other != engine).unwrap()
}

fn another_engine_than_the_one_that_is_there_is_refused(engine: EngineKind) {
    let dir = filled(engine, 100);
    let wanted = other(engine);
    let error = DiskStore::open(dir.path(), &options(wanted)).unwrap_err();
    assert!(matches!(error, OpenError::Engine { found, .. } if found == engine), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("on the engine {engine}, but {wanted}")), "{text}");
    assert!(text.contains(&format!("concord store migrate --to {wanted}")), "{text}");
    // Who names none gets what is there.
    let any = StoreOptions { engine: None, ..options(engine) };
    let (store, report) = DiskStore::open(dir.path(), &any).unwrap();
    assert_eq!((store.engine(), report.engine, position(&store)), (engine, engine, 100));
}

fn a_store_moves_to_the_other_engine_and_back(engine: EngineKind) {
    let dir = filled(engine, 300);
    let store = open(&dir);
    store.apply(&[put(b"big", &bytes(1, 300_000)), put(b"m/a", b"1")], true).unwrap();
    let (id, all) = (store.id(), store.scan(b"", b"", 900).unwrap());
    drop(store);
    for to in [other(engine), engine] {
        let report = DiskStore::migrate_dir(dir.path(), to, &options(to)).unwrap().unwrap();
        assert!(report.keys == 303 && report.after > 0, "{report:?}");
        assert_eq!(DiskStore::migrate_dir(dir.path(), to, &options(to)).unwrap(), None);
        let (store, opened) = DiskStore::open(dir.path(), &options(to)).unwrap();
        assert_eq!((opened.store, opened.created, opened.engine), (id, false, to));
        let found = store.scan(b"", b"", 900).unwrap();
        // Only what names the engine is another.
        let but_format = |pairs: &[Pair]| -> Vec<Pair> {
            pairs.iter().filter(|(key, _)| key != FORMAT_KEY).cloned().collect()
        };
        assert_eq!(but_format(&found), but_format(&all));
        assert_eq!(found == all, to == engine);
        assert!(store.verify().unwrap().is_sound());
        store.apply(&[put(b"m/a", b"1")], true).unwrap();
        assert!(store.verify().unwrap().is_sound());
    }
}

fn a_migration_cut_at_any_step_leaves_a_whole_store(engine: EngineKind) {
    let to = other(engine);
    for cut in 0..4 {
        let dir = filled(engine, 100);
        let moved = |from: &str, to: &str| {
            fs::rename(dir.path().join(from), dir.path().join(to)).unwrap();
        };
        let store = open(&dir);
        compact::copy(&store, &dir.path().join("compacted.partial"), to).unwrap();
        drop(store);
        if cut > 0 {
            moved("compacted.partial", "compacted");
        }
        if cut > 1 {
            moved(engine.name(), "replaced");
        }
        if cut > 2 {
            moved(&format!("compacted/{to}"), to.name());
        }
        let any = StoreOptions { engine: None, ..options(engine) };
        let (store, report) = DiskStore::open(dir.path(), &any).unwrap();
        assert_eq!(report.engine, if cut > 1 { to } else { engine }, "{cut}");
        assert_eq!((position(&store), report.created), (100, false), "{cut}");
        assert!(store.verify().unwrap().is_sound());
    }
    // Were the copy gone, too, the old files would be taken back.
    let dir = filled(engine, 100);
    fs::rename(dir.files(), dir.path().join("replaced")).unwrap();
    assert_eq!(position(&open(&dir)), 100);
}

fn files_of_two_engines_are_refused(engine: EngineKind) {
    let dir = filled(engine, 100);
    fs::create_dir(engine_dir(dir.path(), other(engine))).unwrap();
    let error = refused(&dir);
    assert!(error.to_string().contains("two engines"), "{error}");
}
