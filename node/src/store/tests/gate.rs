//! What readers see while a batch is on its way to the disk, and after the disk refused it.

use std::fs::File;
use std::io;
use std::sync::mpsc;
use std::time::Duration;

use super::*;

on_each_engine! {
    a_reader_sees_a_batch_only_after_its_fsync_and_does_not_wait_for_it,
    what_the_disk_refused_is_never_seen,
    while_a_damaged_value_is_replaced_readers_get_no_answer,
}

/// A view in memory with the entries that every store has.
fn like(store: &DiskStore) -> Memory {
    let mut memory = Memory::new();
    memory.apply(&[put(FORMAT_KEY, &store.get(FORMAT_KEY).unwrap().unwrap())]);
    memory
}

/// The store answers as the view in memory does.
fn assert_shows(store: &DiskStore, memory: &Memory) {
    let all = memory.scan(b"", b"", usize::MAX).unwrap();
    assert_eq!(store.scan(b"", b"", usize::MAX).unwrap(), all);
    for prefix in [b"".as_slice(), b"a", b"b", b"c", b"n", b"z"] {
        assert_eq!(store.last(prefix).unwrap(), memory.last(prefix).unwrap(), "{prefix:?}");
        assert_eq!(store.get(prefix).unwrap(), memory.get(prefix).unwrap(), "{prefix:?}");
        let found = store.scan(prefix, b"b", 1).unwrap();
        assert_eq!(found, memory.scan(prefix, b"b", 1).unwrap(), "{prefix:?}");
    }
}

/// Changes of every kind, short and long: replaced, removed and new.
fn batches() -> [Vec<Op>; 2] {
    let before = vec![put(b"a", b"old"), put(b"b", &bytes(1, 9_000)), put(b"c", &bytes(2, 5_000))];
    let batch = vec![
        put(b"a", &bytes(3, 12_000)),
        delete(b"b"),
        put(b"c", b"short"),
        put(b"n", &bytes(4, 6_000)),
        put(b"z", b"new"),
    ];
    [before, batch]
}

fn a_reader_sees_a_batch_only_after_its_fsync_and_does_not_wait_for_it(engine: EngineKind) {
    let dir = Site::new(engine);
    let mut store = open(&dir);
    let [before, batch] = batches();
    store.apply(&before, true).unwrap();
    let mut memory = like(&store);
    memory.apply(&before);
    let (at_disk, reached) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    store.set_fsync(Box::new(move |log| {
        // One batch may take more than one of these.
        at_disk.send(()).unwrap();
        let waited = released.lock().unwrap().recv_timeout(Duration::from_secs(20));
        assert_eq!(waited, Err(mpsc::RecvTimeoutError::Disconnected));
        log.sync_data()
    }));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| store.apply(&batch, true));
        reached.recv().unwrap();
        // The fsync does not return before this thread has read.
        assert_shows(&store, &memory);
        drop(release);
        writer.join().unwrap().unwrap();
        memory.apply(&batch);
        assert_shows(&store, &memory);
    });
    // Closing waits for nothing.
    store.set_fsync(Box::new(File::sync_data));
}

fn what_the_disk_refused_is_never_seen(engine: EngineKind) {
    let dir = Site::new(engine);
    let mut store = open(&dir);
    let [before, batch] = batches();
    store.apply(&before, true).unwrap();
    let mut memory = like(&store);
    memory.apply(&before);
    store.set_fsync(Box::new(|_| Err(io::ErrorKind::StorageFull.into())));
    assert!(matches!(store.apply(&batch, true), Err(StoreError::Full { .. })));
    assert_shows(&store, &memory);
    // Nor a later one, which a disk that works again would take.
    store.set_fsync(Box::new(File::sync_data));
    assert!(matches!(store.apply(&batch, true), Err(StoreError::Stopped { .. })));
    assert!(matches!(store.sync(), Err(StoreError::Stopped { .. })));
    assert_shows(&store, &memory);
    let copy = dir.path().join("copy");
    assert!(matches!(store.compact(&copy), Err(StoreError::Stopped { .. })));
}

/// A value that is damaged may be replaced; nobody is told that it is not there.
fn while_a_damaged_value_is_replaced_readers_get_no_answer(engine: EngineKind) {
    let dir = Site::new(engine);
    let store = open(&dir);
    store.apply(&[put(b"a", b"old"), put(b"b", b"2")], true).unwrap();
    drop(store);
    raw(&dir, |db| {
        let mut entry = db.get(b"a");
        *entry.last_mut().unwrap() ^= 1;
        db.insert(b"a", entry);
    });
    let mut store = open(&dir);
    let refuse: fn(&File) -> io::Result<()> = |_| Err(io::ErrorKind::StorageFull.into());
    store.set_fsync(Box::new(refuse));
    assert!(store.apply(&[put(b"a", b"new")], true).is_err());
    assert!(store.get(b"a").is_err() && store.scan(b"", b"", 9).is_err());
    drop(store);
    let store = open(&dir);
    store.apply(&[put(b"a", b"new")], true).unwrap();
    assert_eq!(store.get(b"a").unwrap(), Some(b"new".to_vec()));
}
