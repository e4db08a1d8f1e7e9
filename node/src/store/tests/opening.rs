//! Opening: recovery and refusals.

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
    assert!(matches!(refused(&dir), OpenError::Foreign { .. }));
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
