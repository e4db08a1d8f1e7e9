//! The one canonical form of a change: the bytes that Automerge's own encoder gives.
//!
//! Ours writes only what our changes hold, whole values in the root map, and so is a fraction of the
//! work; every change is written again to be judged. Property tests hold it against Automerge's.

use std::collections::BTreeSet;

use super::change::{ACTION_PUT, Content, OpId, Put, specification};
use super::chunk::{push_sleb, push_uleb};
use crate::id::LogId;
use crate::value::Cell;

/// The body of the chunk that a change is.
pub(super) fn body(content: &Content) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    push_uleb(&mut out, content.dependencies.len() as u64);
    content.dependencies.iter().for_each(|hash| out.extend_from_slice(hash));
    push_bytes(&mut out, content.log.as_bytes());
    push_uleb(&mut out, content.sequence);
    push_uleb(&mut out, content.start);
    push_sleb(&mut out, content.time);
    push_bytes(&mut out, content.message.as_bytes());
    let actors = Actors::of(content);
    push_uleb(&mut out, actors.others.len() as u64);
    actors.others.iter().for_each(|log| push_bytes(&mut out, log.as_bytes()));
    let mut raw = Vec::new();
    let puts = &content.puts;
    let metas: Vec<u64> = puts.iter().map(|put| push_cell(&mut raw, put.said.cell())).collect();
    let keys: Vec<String> = puts.iter().map(|put| put.key.text()).collect();
    let replaces = replaces(puts, &actors);
    let replaces = replaces.each_ref().map(Vec::as_slice);
    push_columns(&mut out, &Rows { keys: &keys, metas: &metas, values: &raw, replaces });
    out
}

/// The logs that a change names, by number: its own first, then the others in order.
struct Actors {
    own: LogId,
    others: Vec<LogId>,
}

impl Actors {
    fn of(content: &Content) -> Self {
        let replaced = content.puts.iter().flat_map(|put| &put.replaces);
        let others: BTreeSet<LogId> =
            replaced.map(|id| id.log).filter(|log| *log != content.log).collect();
        Self { own: content.log, others: others.into_iter().collect() }
    }

    fn number(&self, log: LogId) -> u64 {
        if log == self.own {
            return 0;
        }
        self.others.binary_search(&log).map_or(0, |place| place as u64 + 1)
    }
}

/// How many values each put replaces, and which: the log and the number of each.
fn replaces(puts: &[Put], actors: &Actors) -> [Vec<u8>; 3] {
    let counts: Vec<u64> = puts.iter().map(|put| put.replaces.len() as u64).collect();
    let mut replaced: Vec<OpId> = Vec::new();
    for put in puts {
        let from = replaced.len();
        replaced.extend(&put.replaces);
        replaced[from..].sort_unstable();
    }
    let logs: Vec<u64> = replaced.iter().map(|id| actors.number(id.log)).collect();
    let mut before = 0;
    let steps = replaced.iter().map(|id| {
        let counter = id.counter.cast_signed();
        let step = counter - before;
        before = counter;
        step
    });
    let steps: Vec<i64> = steps.collect();
    [
        runs(&counts, push_number),
        runs(&logs, push_number),
        runs(&steps, |out, it| push_sleb(out, *it)),
    ]
}

/// The operations of a change, one row for each; all of them set a value.
pub(super) struct Rows<'a, K> {
    pub(super) keys: &'a [K],
    /// The length and the type of each value.
    pub(super) metas: &'a [u64],
    /// The bytes of the values, one after the other.
    pub(super) values: &'a [u8],
    /// The columns of what they replace, as they stand in the change.
    pub(super) replaces: [&'a [u8]; 3],
}

/// Adds the columns that are not empty, in the order of their names, behind a table of their lengths.
pub(super) fn push_columns<K: AsRef<[u8]> + PartialEq>(out: &mut Vec<u8>, rows: &Rows<'_, K>) {
    let count = rows.keys.len();
    let mut insert = Vec::new();
    push_uleb(&mut insert, count as u64);
    let keys = runs(rows.keys, |out, key| push_bytes(out, key.as_ref()));
    let actions = runs(&vec![ACTION_PUT; count], push_number);
    let metas = runs(rows.metas, push_number);
    let [replaces, replaces_actor, replaces_counter] = rows.replaces;
    let columns: [(u64, &[u8]); 8] = [
        (specification::KEY_TEXT, &keys),
        (specification::INSERT, &insert),
        (specification::ACTION, &actions),
        (specification::VALUE_META, &metas),
        (specification::VALUE, rows.values),
        (specification::REPLACES, replaces),
        (specification::REPLACES_ACTOR, replaces_actor),
        (specification::REPLACES_COUNTER, replaces_counter),
    ];
    let columns = columns.iter().filter(|(_, column)| !column.is_empty());
    push_uleb(out, columns.clone().count() as u64);
    for (name, column) in columns.clone() {
        push_uleb(out, *name);
        push_uleb(out, column.len() as u64);
    }
    columns.for_each(|(_, column)| out.extend_from_slice(column));
}

/// Values in run-length form: a count and the value that repeats, or a negative count and values none
/// of which equals the next one.
fn runs<T: PartialEq>(values: &[T], push: impl Fn(&mut Vec<u8>, &T)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = values;
    while let Some(first) = rest.first() {
        let equal = rest.iter().take_while(|value| *value == first).count();
        if equal > 1 {
            push_sleb(&mut out, length(equal));
            push(&mut out, first);
            rest = &rest[equal..];
            continue;
        }
        let pairs = rest.windows(2).take_while(|pair| pair[0] != pair[1]).count();
        // The last of all stands alone, too; the first of two equal ones begins the next run.
        let literal = if pairs + 1 == rest.len() { rest.len() } else { pairs };
        push_sleb(&mut out, -length(literal));
        rest[..literal].iter().for_each(|value| push(&mut out, value));
        rest = &rest[literal..];
    }
    out
}

fn push_number(out: &mut Vec<u8>, number: &u64) {
    push_uleb(out, *number);
}

/// A change has at most 16,384 values in a column.
fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Adds the bytes of a value; gives its length and type.
fn push_cell(raw: &mut Vec<u8>, cell: &Cell) -> u64 {
    let from = raw.len();
    let kind = match cell {
        Cell::Null => 0,
        Cell::Bool(false) => 1,
        Cell::Bool(true) => 2,
        Cell::Int(number) => {
            push_sleb(raw, *number);
            4
        }
        Cell::Str(text) => {
            raw.extend_from_slice(text.as_bytes());
            6
        }
    };
    ((raw.len() - from) as u64) << 4 | kind
}

fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_uleb(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
