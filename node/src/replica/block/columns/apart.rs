//! Taking a block apart.

use std::collections::{BTreeMap, BTreeSet};

use crdt_model::document::{Parts, RawPut};
use zstd::stream::raw::{Encoder, InBuffer, Operation as _, OutBuffer};

use super::{ANEW, AS_BEFORE, END, ESCAPE, FIXED, WHOLE};
use crate::replica::codec::{CodecError, Reader, Writer};
use crate::replica::limits::{
    COMMIT_ITEMS_MAX, HEADER_BYTES_MAX, ITEM_BYTES_MAX, PROVENANCE_BYTES_MAX,
};

/// Changes of a block that are looked at to see which keys vary.
const SAMPLE: usize = 64;
/// Bytes after which a stream gets statistics of its own.
const FLUSHED_AFTER: usize = 1 << 10;

/// The streams of a block, the directory of the others first; none when the bytes are not commits.
pub(in crate::replica) fn of(commits: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let apart = commits.iter().map(|bytes| Apart::of(bytes).ok());
    let commits: Vec<Apart<'_>> = apart.collect::<Option<_>>()?;
    let changes: Vec<&Parts<'_>> = commits.iter().flat_map(Apart::changes).collect();
    let mut streams = Streams { varying: Varying::of(&changes), ..Streams::default() };
    commits.iter().for_each(|commit| streams.push(commit));
    Some(streams.into_all())
}

/// Packs streams into one zstd frame, in which the longer ones have statistics of their own; none where
/// the frame would be longer than they are.
pub(in crate::replica) fn pack(streams: &[Vec<u8>], level: i32) -> Option<Vec<u8>> {
    let length: usize = streams.iter().map(Vec::len).sum();
    let mut packed = Vec::with_capacity(length);
    let mut out = OutBuffer::around(&mut packed);
    let mut encoder = Encoder::new(level).ok()?;
    encoder.set_pledged_src_size(Some(length as u64)).ok()?;
    let mut since_flush = 0;
    for stream in streams {
        if since_flush > 0 && since_flush + stream.len() >= FLUSHED_AFTER {
            // What does not fit is left with the packer.
            (encoder.flush(&mut out).ok()? == 0).then_some(())?;
            since_flush = 0;
        }
        let mut rest = InBuffer::around(stream);
        encoder.run(&mut rest, &mut out).ok()?;
        (rest.pos() == stream.len()).then_some(())?;
        since_flush += stream.len();
    }
    let is_whole = encoder.finish(&mut out, true).ok()? == 0;
    is_whole.then_some(packed)
}

/// A commit as it travels, its changes taken apart where they can be.
struct Apart<'a> {
    stem: &'a [u8],
    signature: [u8; 64],
    note: &'a [u8],
    items: Vec<Item<'a>>,
}

struct Item<'a> {
    bytes: &'a [u8],
    /// The record, and its change if that can be taken apart.
    change: Option<(&'a [u8], Parts<'a>)>,
}

impl<'a> Apart<'a> {
    fn of(commit: &'a [u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(commit);
        let stem = reader.bytes(HEADER_BYTES_MAX)?;
        let signature = reader.array()?;
        let note = reader.bytes(PROVENANCE_BYTES_MAX)?;
        let count = reader.length(COMMIT_ITEMS_MAX)?;
        let items = (0..count).map(|_| reader.bytes(ITEM_BYTES_MAX).map(Item::of));
        let items = items.collect::<Result<_, CodecError>>()?;
        reader.finish()?;
        Ok(Self { stem, signature, note, items })
    }

    fn changes(&self) -> impl Iterator<Item = &Parts<'a>> {
        self.items.iter().filter_map(|item| item.change.as_ref().map(|(_, parts)| parts))
    }
}

impl<'a> Item<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let split = bytes.split_at_checked(16);
        let change = split.and_then(|(record, change)| Some((record, Parts::of(change)?)));
        Self { bytes, change: change.filter(|(_, parts)| is_bounded(parts, bytes.len())) }
    }
}

/// Whether a change keeps to the bounds of whoever puts it together. One of ours does; in quarantine there
/// may be one whose equal keys take no room.
fn is_bounded(change: &Parts<'_>, bytes: usize) -> bool {
    let texts: usize = change.puts.iter().map(|put| put.key.len() + put.value.len()).sum();
    texts <= ITEM_BYTES_MAX && change.puts.len() <= bytes
}

/// The beginnings of keys whose last segment is another one in most changes: what is keyed by an account,
/// a tax id, a name.
#[derive(Default)]
struct Varying(BTreeSet<Vec<u8>>);

impl Varying {
    fn of(changes: &[&Parts<'_>]) -> Self {
        let mut seen: BTreeMap<&[u8], (usize, BTreeSet<&[u8]>)> = BTreeMap::new();
        for change in changes.iter().step_by(changes.len() / SAMPLE + 1) {
            for put in &change.puts {
                let Some((before, segment, _)) = split_key(put.key) else { continue };
                let (count, segments) = seen.entry(before).or_default();
                *count += 1;
                segments.insert(segment);
            }
        }
        let varies = |(count, segments): &(usize, BTreeSet<_>)| segments.len() * 2 > *count;
        let varying = seen.into_iter().filter(|(_, counts)| varies(counts));
        Self(varying.map(|(before, _)| before.to_vec()).collect())
    }
}

/// A key before its last segment, that segment, and what follows from the source on.
fn split_key(key: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let end = key.iter().position(|byte| *byte == b'@')?;
    let start = key[..end].iter().rposition(|byte| *byte == b'/')? + 1;
    Some((&key[..start], &key[start..end], &key[end..]))
}

/// What is written so far.
#[derive(Default)]
struct Streams<'a> {
    varying: Varying,
    commits: Writer,
    items: Writer,
    records: Writer,
    heads: Writer,
    patterns: Writer,
    shapes: Writer,
    whole: Writer,
    columns: Vec<Vec<u8>>,
    /// The number of each pattern, and of the first of its columns.
    pattern_numbers: BTreeMap<Vec<u8>, (usize, usize)>,
    shape_numbers: BTreeMap<Vec<usize>, usize>,
    head_before: Option<(&'a [u8], [&'a [u8]; 3])>,
}

impl<'a> Streams<'a> {
    fn push(&mut self, commit: &Apart<'a>) {
        self.commits.bytes(commit.stem).raw(&commit.signature).bytes(commit.note);
        self.commits.length(commit.items.len());
        for item in &commit.items {
            match &item.change {
                Some((record, change)) => {
                    self.records.raw(record);
                    self.push_head(change);
                    let shape = change.puts.iter().map(|put| self.push_put(put)).collect();
                    let number = self.shape_number(shape);
                    self.items.length(number);
                }
                None => {
                    self.items.length(WHOLE);
                    self.whole.bytes(item.bytes);
                }
            }
        }
    }

    /// What a change begins with and what it replaces; in most, as in the one before.
    fn push_head(&mut self, change: &Parts<'a>) {
        let head = (change.head, change.replaces);
        if self.head_before == Some(head) {
            self.heads.byte(AS_BEFORE);
            return;
        }
        self.heads.byte(ANEW).bytes(change.head);
        change.replaces.iter().for_each(|column| {
            self.heads.bytes(column);
        });
        self.head_before = Some(head);
    }

    fn shape_number(&mut self, shape: Vec<usize>) -> usize {
        if let Some(number) = self.shape_numbers.get(&shape) {
            return *number;
        }
        self.shapes.length(shape.len());
        shape.iter().for_each(|pattern| {
            self.shapes.length(*pattern);
        });
        let number = self.shape_numbers.len() + 1;
        self.shape_numbers.insert(shape, number);
        number
    }

    /// Adds the fields of an operation to their columns; gives the number of its pattern.
    fn push_put(&mut self, put: &RawPut<'a>) -> usize {
        let cut = Cut::of(put, &self.varying);
        let (number, first) = self.pattern_number(cut.pattern, cut.fields.len());
        for (column, field) in self.columns[first..].iter_mut().zip(&cut.fields) {
            push_escaped(column, field);
            column.push(END);
        }
        number
    }

    fn pattern_number(&mut self, pattern: Vec<u8>, holes: usize) -> (usize, usize) {
        if let Some(known) = self.pattern_numbers.get(&pattern) {
            return *known;
        }
        let new = (self.pattern_numbers.len(), self.columns.len());
        self.columns.resize_with(new.1 + holes, Vec::new);
        self.patterns.raw(&pattern);
        self.pattern_numbers.insert(pattern, new);
        new
    }

    /// The directory, the fixed streams, the columns.
    fn into_all(self) -> Vec<Vec<u8>> {
        let Self { commits, items, records, heads, patterns, shapes, whole, columns, .. } = self;
        let fixed: [Writer; FIXED] = [commits, items, records, heads, patterns, shapes, whole];
        let mut all = vec![Vec::new()];
        all.extend(fixed.into_iter().map(Writer::into_bytes));
        let mut directory = Writer::new();
        directory.length(columns.len());
        all[1..].iter().for_each(|stream| {
            directory.length(stream.len());
        });
        for fields in columns {
            let column = Column::of(&fields);
            directory.bytes(column.prefix).bytes(column.suffix).length(column.width);
            let stream = column.stream();
            directory.length(stream.len());
            all.push(stream);
        }
        all[0] = directory.into_bytes();
        all
    }
}

/// What the fields of a column have in common.
struct Column<'a> {
    fields: Vec<&'a [u8]>,
    prefix: &'a [u8],
    suffix: &'a [u8],
    /// How many bytes each has between the two, and one more; 0 when they differ.
    width: usize,
}

impl<'a> Column<'a> {
    /// The column of fields that each have an [`END`].
    fn of(fields: &'a [u8]) -> Self {
        // An escape is not cut in two.
        let is_plain = !fields.contains(&ESCAPE);
        let mut fields: Vec<&[u8]> = fields.split(|byte| *byte == END).collect();
        fields.pop();
        let first = fields.first().copied().unwrap_or_default();
        let common = |most: usize, field: &&[u8]| equal(field.iter(), first[..most].iter());
        let prefix = if is_plain { fields.iter().fold(first.len(), common) } else { 0 };
        let most = |field: &&[u8]| field.len() - prefix;
        let most = if is_plain { fields.iter().map(most).min().unwrap_or(0) } else { 0 };
        let common = |most: usize, field: &&[u8]| {
            equal(field.iter().rev(), first[first.len() - most..].iter().rev())
        };
        let suffix = fields.iter().fold(most, common);
        let (prefix, suffix) = (&first[..prefix], &first[first.len() - suffix..]);
        let is_wide = fields.windows(2).all(|pair| pair[0].len() == pair[1].len());
        let width = if is_wide { first.len() - prefix.len() - suffix.len() + 1 } else { 0 };
        Self { fields, prefix, suffix, width }
    }

    /// What is left of the fields.
    fn stream(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.fields.iter().map(|field| field.len() + 1).sum());
        for field in &self.fields {
            out.extend_from_slice(&field[self.prefix.len()..field.len() - self.suffix.len()]);
            if self.width == 0 {
                out.push(END);
            }
        }
        out
    }
}

/// How many of the first bytes of both are equal.
fn equal<'a>(one: impl Iterator<Item = &'a u8>, other: impl Iterator<Item = &'a u8>) -> usize {
    one.zip(other).take_while(|(one, other)| one == other).count()
}

/// An operation as a pattern and what stands in its holes.
struct Cut<'a> {
    /// Type of the value; the key and the value, each with its length.
    pattern: Vec<u8>,
    fields: Vec<&'a [u8]>,
}

impl<'a> Cut<'a> {
    fn of(put: &RawPut<'a>, varying: &Varying) -> Self {
        let (mut key, mut value, mut fields) = (Vec::new(), Vec::new(), Vec::new());
        match split_key(put.key) {
            Some((before, segment, after)) if varying.0.contains(before) => {
                push_escaped(&mut key, before);
                key.push(END);
                push_escaped(&mut key, after);
                fields.push(segment);
            }
            Some(_) | None => push_escaped(&mut key, put.key),
        }
        cut_value(put, &mut value, &mut fields);
        let mut pattern = Writer::with_room(key.len() + value.len() + 5);
        pattern.byte(put.kind).bytes(&key).bytes(&value);
        Self { pattern: pattern.into_bytes(), fields }
    }
}

/// Adds the pattern of a value: an object keeps the names of its members, of anything else nothing is
/// left.
fn cut_value<'a>(put: &RawPut<'a>, pattern: &mut Vec<u8>, fields: &mut Vec<&'a [u8]>) {
    if put.kind != RawPut::TEXT || put.value.first() != Some(&b'{') {
        if !put.value.is_empty() {
            pattern.push(END);
            fields.push(put.value);
        }
        return;
    }
    let mut rest = put.value;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\":") {
        let is_text = rest.get(at + 2) == Some(&b'"');
        let (name, value) = rest.split_at(at + 2 + usize::from(is_text));
        let length = if is_text { quoted(value) } else { digits(value) };
        push_escaped(pattern, name);
        if length > 0 {
            pattern.push(END);
            fields.push(&value[..length]);
        }
        rest = &value[length..];
    }
    push_escaped(pattern, rest);
}

/// How long the number is with which a text begins.
fn digits(text: &[u8]) -> usize {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'-';
    text.iter().position(|byte| !is_digit(byte)).unwrap_or(text.len())
}

/// How far it is to the quote that ends a text.
fn quoted(text: &[u8]) -> usize {
    let mut at = 0;
    while at < text.len() && text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at.min(text.len())
}

/// Adds bytes so that there is no [`END`] among them.
fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    // Texts have nothing to escape.
    if bytes.iter().all(|byte| *byte < ESCAPE) {
        out.extend_from_slice(bytes);
        return;
    }
    for byte in bytes {
        if *byte < ESCAPE {
            out.push(*byte);
        } else {
            out.extend([ESCAPE, byte - ESCAPE]);
        }
    }
}
