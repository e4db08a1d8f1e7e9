//! The indexes as a reader finds them, whatever stands in runs. What is in them is tested with the records.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::runs::FAN_IN;
use super::*;
use crate::kv::{Memory, Op, Pair};
use crate::replica::codec::{Reader, Writer};

/// A store with indexes, and what must be in them.
#[derive(Default)]
struct Model {
    store: Memory,
    state: State,
    keys: BTreeSet<Vec<u8>>,
}

impl Model {
    fn write(&mut self, added: &[Vec<u8>], removed: &[Vec<u8>]) -> Vec<Op> {
        let mut changes = Changes::default();
        for key in removed.iter().filter(|key| self.keys.remove(*key)) {
            changes.remove(key.clone());
        }
        let removed: BTreeSet<&Vec<u8>> = removed.iter().collect();
        for key in added.iter().filter(|key| !removed.contains(key)) {
            if self.keys.insert(key.clone()) {
                changes.add(key.clone());
            }
        }
        let mut ops = changes.into_ops(&mut self.state.runs, &self.store).unwrap();
        ops.push(Op::Put(layout::STATE.to_vec(), self.state.encode()));
        self.store.apply(&ops);
        ops
    }

    fn assert_holds(&self, prefix: &[u8], from: &[u8], limit: usize) {
        let found = Index::new(&self.store).scan(prefix, from, limit).unwrap();
        let expected =
            self.keys.iter().filter(|key| key.starts_with(prefix) && key.as_slice() >= from);
        let expected: Vec<&Vec<u8>> = expected.take(limit).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    }
}

/// The entry of a record under a word.
fn key(word: u64, record: u64) -> Vec<u8> {
    let kind = match word % 3 {
        0 => "xw",
        1 => "xc",
        _ => "M",
    };
    let record = record.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{kind}{word:03}\0{record:016x}").into_bytes()
}

/// A commit of records that are new: a few entries each.
fn commit(number: u64) -> Vec<Vec<u8>> {
    let records = number * 100..number * 100 + 40;
    records
        .flat_map(|record| (0..3).map(move |at| key((record * 7 + at * 13) % 50, record)))
        .collect()
}

#[test]
fn many_commits_leave_few_runs_and_every_entry() {
    let mut model = Model::default();
    for number in 0..600 {
        model.write(&commit(number), &[]);
        let most = (2 * FAN_IN) * model.state.runs.levels.len();
        assert!(model.state.runs.all().count() <= most);
    }
    assert!(model.state.runs.levels.len() >= 3);
    for prefix in ["xw", "xc", "M", "xw003", "xw01", "x"] {
        model.assert_holds(prefix.as_bytes(), prefix.as_bytes(), usize::MAX);
        model.assert_holds(prefix.as_bytes(), b"xw02", 70);
    }
    // Where so many stood by themselves, there are few blocks.
    assert!(model.store.len() < model.keys.len() / 10, "{} entries", model.store.len());
}

#[test]
fn runs_stay_few_when_each_commit_goes_on_where_the_last_one_ended() {
    let mut model = Model::default();
    for number in 0..200 {
        let ordered = |at: u32| format!("xw{:08}{:016}", number * 200 + at, 0).into_bytes();
        model.write(&(0..200).map(ordered).collect::<Vec<_>>(), &[]);
        let most = (2 * FAN_IN) * model.state.runs.levels.len();
        assert!(model.state.runs.all().count() <= most, "{:?}", model.state.runs);
    }
    model.assert_holds(b"xw", b"xw", usize::MAX);
}

#[test]
fn nothing_is_left_of_what_was_removed() {
    let mut model = Model::default();
    let is_merging = |model: &Model| model.state.runs.levels.iter().any(|it| it.merge.is_some());
    // Until one page of a merge is done and others are not.
    let mut number = 0;
    while number < 100 || (number < 500 && !is_merging(&model)) {
        number += 1;
        model.write(&commit(number), &[]);
    }
    assert!(is_merging(&model));
    let gone: Vec<Vec<u8>> = model.keys.iter().filter(|key| key.ends_with(b"1")).cloned().collect();
    for page in gone.chunks(50) {
        model.write(&[], page);
    }
    for prefix in ["x", "M"] {
        model.assert_holds(prefix.as_bytes(), prefix.as_bytes(), usize::MAX);
    }
    let blocks = model.store.scan(&[layout::RUN], &[layout::RUN], usize::MAX).unwrap();
    let entries: Vec<Vec<u8>> =
        blocks.iter().flat_map(|(_, block)| block::read(block).unwrap()).collect();
    // Each stands in one place.
    assert_eq!(entries.len(), model.keys.len());
    assert!(entries.iter().all(|entry| model.keys.contains(entry)));
    // All of it can go.
    let all: Vec<Vec<u8>> = model.keys.iter().cloned().collect();
    model.write(&[], &all);
    assert_eq!(model.store.len(), 1, "only the state is left");
}

#[test]
fn a_damaged_block_keeps_nobody_from_writing() {
    let mut model = Model::default();
    model.write(&commit(0), &[]);
    let (stored, _) = model.store.last(&[layout::RUN]).unwrap().unwrap();
    model.store.apply(&[Op::Put(stored, vec![9, 1, b'x'])]);
    for number in 1..FAN_IN as u64 * 2 {
        model.write(&commit(number), &[]);
    }
    let last = key(49, 7);
    model.write(&[], &[last]);
    let read = |prefix: &[u8]| Index::new(&model.store).scan(prefix, prefix, 9_999);
    // Whoever asks for what is in it is told, others are not bothered.
    assert!(matches!(read(b"xw"), Err(ReadError::Damaged { .. })));
    model.assert_holds(b"M", b"M", usize::MAX);
    model.assert_holds(b"xw003", b"xw003", usize::MAX);
    // Merges left it behind.
    let runs = &model.state.runs;
    assert!(runs.all().count() <= 2 * FAN_IN * runs.levels.len(), "{runs:?}");
}

/// A store in which one value does not match its checksum.
struct Damaged<'a>(&'a Memory, &'a [u8]);

impl View for Damaged<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.0.get(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, ReadError> {
        let page = self.0.scan(prefix, from, limit)?;
        match page.iter().any(|(key, _)| key == self.1) {
            true => Err(ReadError::damaged(self.1)),
            false => Ok(page),
        }
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<Pair>, ReadError> {
        self.0.last(prefix)
    }
}

#[test]
fn what_stands_before_a_damaged_block_is_found_after_a_merge() {
    let mut model = Model::default();
    for number in 0..FAN_IN as u64 {
        model.write(&commit(number), &[]);
    }
    let run = layout::run_prefix(1);
    let [sound, (stored, _)] = model.store.scan(&run, &run, 2).unwrap().try_into().unwrap();
    let first = block::read(&sound.1).unwrap().remove(0);
    // The next commit merges the runs, and of the first one it cannot read the second block.
    let mut changes = Changes::default();
    commit(99).into_iter().for_each(|key| changes.add(key));
    let view = Damaged(&model.store, &stored);
    let mut ops = changes.into_ops(&mut model.state.runs, &view).unwrap();
    ops.push(Op::Put(layout::STATE.to_vec(), model.state.encode()));
    model.store.apply(&ops);
    model.keys.extend(commit(99));
    assert!(model.store.get(&stored).unwrap().is_none(), "the merge left it behind");
    model.assert_holds(&first, &first, 1);
    model.assert_holds(b"xw", b"xw", usize::MAX);
    let last = layout::last_of_block(&stored);
    assert!(matches!(Index::new(&model.store).scan(last, last, 1), Err(ReadError::Damaged { .. })));
}

/// A store that another batch reaches before every read.
struct Moving {
    store: RefCell<Memory>,
    batches: RefCell<Vec<Vec<Op>>>,
    /// How often it was asked which runs there are.
    gets: Cell<usize>,
}

impl Moving {
    fn step(&self) {
        if let Some(ops) = self.batches.borrow_mut().pop() {
            self.store.borrow_mut().apply(&ops);
        }
    }
}

impl View for Moving {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.step();
        self.gets.set(self.gets.get() + 1);
        self.store.borrow().get(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, ReadError> {
        self.step();
        self.store.borrow().scan(prefix, from, limit)
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<Pair>, ReadError> {
        self.step();
        self.store.borrow().last(prefix)
    }
}

#[test]
fn a_reader_misses_nothing_while_runs_are_merged() {
    let mut model = Model::default();
    // The next merge is four commits away.
    for number in 0..FAN_IN as u64 * 4 + 4 {
        model.write(&commit(number), &[]);
    }
    let before = (model.store.clone(), model.keys.clone());
    let mut batches: Vec<Vec<Op>> =
        (0..FAN_IN as u64 * 4).map(|number| model.write(&commit(1_000 + number), &[])).collect();
    batches.reverse();
    let moving = |batches| {
        let store = RefCell::new(before.0.clone());
        Moving { store, batches: RefCell::new(batches), gets: Cell::new(0) }
    };
    let (quiet, busy) = (moving(Vec::new()), moving(batches));
    let read = |view| Index::new(view).scan(b"xw", b"xw", usize::MAX).unwrap();
    let (_, found) = (read(&quiet), read(&busy));
    assert_eq!(quiet.gets.get(), 2);
    assert!(busy.gets.get() > 2, "it had to begin anew");
    let found: BTreeSet<Vec<u8>> = found.into_iter().collect();
    let old = before.1.iter().filter(|key| key.starts_with(b"xw"));
    assert!(old.into_iter().all(|key| found.contains(key)));
    assert!(found.is_subset(&model.keys));
}

proptest! {
    #[test]
    fn indexes_hold_what_was_added_and_not_removed(
        batches in prop::collection::vec(
            (0_u32..200, prop::collection::vec((0_u64..30, 0_u64..200), 0..40), any::<u64>()),
            1..40,
        ),
        prefix in prop::sample::select(vec!["x", "xw", "xc", "M", "xw003", "M002"]),
        from in (0_u64..30, 0_u64..200),
        limit in 1_usize..300,
    ) {
        let mut model = Model::default();
        for (many, removed, seed) in batches {
            let pick = |at: u32| seed.wrapping_mul(6_364_136_223_846_793_005).rotate_left(at);
            let added: Vec<Vec<u8>> =
                (0..many).map(|at| key(pick(at) % 30, pick(at + 17) % 200)).collect();
            let removed: Vec<Vec<u8>> =
                removed.into_iter().map(|(word, record)| key(word, record)).collect();
            model.write(&added, &removed);
        }
        model.assert_holds(prefix.as_bytes(), &key(from.0, from.1), limit);
        model.assert_holds(prefix.as_bytes(), b"", usize::MAX);
        for key in model.keys.iter().take(20) {
            prop_assert_eq!(Index::new(&model.store).scan(key, key, 9).unwrap(), vec![key.clone()]);
        }
        let mut out = Writer::new();
        model.state.runs.encode(&mut out);
        let bytes = out.into_bytes();
        prop_assert_eq!(Runs::decode(&mut Reader::new(&bytes)).unwrap(), model.state.runs);
    }
}
