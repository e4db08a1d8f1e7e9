//! The watermark file alone.

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
