//! Opening: recovery and refusals.

use super::*;

on_each_engine! {
    a_directory_in_use_is_refused_and_free_again_afterwards,
    another_format_is_refused_with_both_versions,
    something_else_is_refused,
}

#[test]
fn a_leftover_of_a_killed_start_is_removed() {
    let engine = EngineKind::Sled;
    let dir = filled(engine, 100);
    fs::write(dir.files().join("snap.00000000000FFFFF.generating"), b"half a snap").unwrap();
    let (store, report) = DiskStore::open(dir.path(), &options(engine)).unwrap();
    assert_eq!((report.leftovers, position(&store)), (1, 100));
}

#[test]
fn damaged_snapshots_and_settings_are_set_aside() {
    let engine = EngineKind::Sled;
    let dir = filled(engine, 100);
    drop(open(&dir));
    let snaps = || -> Vec<PathBuf> {
        let files = fs::read_dir(dir.files()).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        paths.filter(|path| path.to_string_lossy().contains("snap.")).collect()
    };
    assert!(!snaps().is_empty());
    for round in 1..=2 {
        for snap in snaps() {
            let length = fs::metadata(&snap).unwrap().len();
            fs::File::options().write(true).open(snap).unwrap().set_len(length / 2).unwrap();
        }
        let (store, report) = DiskStore::open(dir.path(), &options(engine)).unwrap();
        assert_eq!(report.moved_aside, Some(dir.path().join(format!("aside-{round}"))));
        assert_eq!((position(&store), report.created), (100, false));
        drop(store);
        drop(open(&dir));
    }
    let conf = fs::File::options().write(true).open(dir.files().join("conf")).unwrap();
    conf.set_len(12).unwrap();
    let (store, report) = DiskStore::open(dir.path(), &options(engine)).unwrap();
    assert!(report.moved_aside.is_some());
    assert_eq!(position(&store), 100);
}

fn a_directory_in_use_is_refused_and_free_again_afterwards(engine: EngineKind) {
    let dir = Site::new(engine);
    let store = open(&dir);
    let error = refused(&dir);
    let own = std::process::id();
    assert!(matches!(&error, OpenError::Locked { pid, .. } if *pid == Some(own)), "{error}");
    assert!(error.to_string().contains("in use by another node"));
    drop(store);
    drop(open(&dir));
}

fn another_format_is_refused_with_both_versions(engine: EngineKind) {
    let dir = Site::new(engine);
    drop(open(&dir));
    let entry = b"concord-store 7 sled-9 00112233445566778899aabbccddeeff";
    raw(&dir, |db| db.insert(FORMAT_KEY, value::encode_head(FORMAT_KEY, entry)));
    let error = refused(&dir).to_string();
    assert!(
        error.contains("format 7 on sled-9")
            && error.contains(&format!("format {FORMAT_VERSION} on {}", engine.format())),
        "{error}"
    );
    raw(&dir, |db| db.insert(FORMAT_KEY, b"?"));
    assert!(matches!(refused(&dir), OpenError::Damaged { .. }));
    raw(&dir, |db| db.remove(FORMAT_KEY));
    assert!(matches!(refused(&dir), OpenError::Foreign { .. }));
}

fn something_else_is_refused(engine: EngineKind) {
    let dir = Site::new(engine);
    raw(&dir, |db| db.insert(b"k", b"of another program"));
    assert!(matches!(refused(&dir), OpenError::Foreign { .. }));
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = DiskStore::open(&file, &options(engine)).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    let error = DiskStore::open(&file.join("below"), &options(engine)).unwrap_err();
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
