//! Views against a model: a sorted list searched with plain loops.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What a view must answer, by brute force.
struct Model(BTreeMap<Vec<u8>, Vec<u8>>);

impl Model {
    fn of(ops: &[Op]) -> Self {
        let mut pairs = BTreeMap::new();
        for op in ops {
            let (key, value) = op.clone().into_parts();
            match value {
                Some(value) => pairs.insert(key, value),
                None => pairs.remove(&key),
            };
        }
        Self(pairs)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Vec<Pair> {
        let pairs = self.0.iter().map(|(key, value)| (key.clone(), value.clone()));
        pairs
            .filter(|(key, _)| key.starts_with(prefix) && key.as_slice() >= from)
            .take(limit)
            .collect()
    }

    fn last(&self, prefix: &[u8]) -> Option<Pair> {
        self.scan(prefix, b"", usize::MAX).pop()
    }
}

/// Keys from few bytes, with the extreme ones, so that prefixes and deletes meet.
fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0u8), Just(1), Just(b'a'), Just(0xFE), Just(0xFF)], 0..5)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (key(), vec(any::<u8>(), 0..3)).prop_map(|(key, value)| Op::Put(key, value)),
        key().prop_map(Op::Delete),
    ]
}

fn check(view: &dyn View, model: &Model, prefix: &[u8], from: &[u8], limit: usize) {
    assert_eq!(view.scan(prefix, from, limit).unwrap(), model.scan(prefix, from, limit));
    assert_eq!(view.last(prefix).unwrap(), model.last(prefix));
    assert_eq!(view.get(from).unwrap(), model.0.get(from).cloned());
}

proptest! {
    #[test]
    fn memory_and_overlay_answer_like_the_model(
        below in vec(op(), 0..60),
        above in vec(op(), 0..60),
        prefix in key(),
        from in key(),
        limit in 0usize..12,
    ) {
        let mut base = Memory::new();
        base.apply(&below);
        check(&base, &Model::of(&below), &prefix, &from, limit);

        let mut overlay = Overlay::new(&base);
        overlay.apply(&above);
        let all: Vec<Op> = below.iter().chain(&above).cloned().collect();
        check(&overlay, &Model::of(&all), &prefix, &from, limit);
        check(&overlay, &Model::of(&all), b"", b"", usize::MAX);

        let mut second = Overlay::new(&overlay);
        second.apply(&below);
        let all: Vec<Op> = all.iter().chain(&below).cloned().collect();
        check(&second, &Model::of(&all), &prefix, &from, limit);
    }
}

#[test]
fn an_overlay_reads_the_base_page_by_page() {
    let mut base = Memory::new();
    let keys: Vec<Vec<u8>> = (0..2_000u32).map(|n| n.to_be_bytes().to_vec()).collect();
    base.apply(&keys.iter().map(|key| Op::Put(key.clone(), vec![1])).collect::<Vec<_>>());
    let mut overlay = Overlay::new(&base);
    let deletes: Vec<Op> = keys[..1_500].iter().map(|key| Op::Delete(key.clone())).collect();
    overlay.apply(&deletes);
    assert_eq!(overlay.scan(b"", b"", 3).unwrap()[0].0, keys[1_500]);
    assert_eq!(overlay.scan(b"", b"", usize::MAX).unwrap().len(), 500);
    assert_eq!(overlay.pending(), 1_500);
}

#[test]
fn the_last_key_is_found_with_few_probes() {
    let keys: std::collections::BTreeSet<Vec<u8>> =
        (1..=100_000u64).map(|n| [b"f".as_slice(), &n.to_be_bytes()].concat()).collect();
    let probes = Cell::new(0);
    let last = last_key(b"f", |from| {
        probes.set(probes.get() + 1);
        let start = (std::ops::Bound::Included(from), std::ops::Bound::Unbounded);
        Ok::<_, ()>(keys.range::<[u8], _>(start).next().cloned())
    });
    assert_eq!(last.unwrap().as_ref(), keys.last());
    assert!(probes.get() < 50, "{} probes", probes.get());
}

#[test]
fn the_end_of_a_prefix_follows_all_its_keys() {
    assert_eq!(prefix_end(b""), None);
    assert_eq!(prefix_end(b"\xff\xff"), None);
    assert_eq!(prefix_end(b"a\xff"), Some(b"b".to_vec()));
    assert_eq!(prefix_end(b"ab"), Some(b"ac".to_vec()));
}

#[test]
fn a_damaged_key_is_named_in_words() {
    let text = ReadError::Damaged { key: b"d\x00\x01name".to_vec() }.to_string();
    assert!(text.contains("\"d\\x00\\x01name\""), "{text}");
    assert!(ShowKey(&[b'k'; 100]).to_string().chars().count() < 60);
}
