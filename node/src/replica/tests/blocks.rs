//! What is packed comes out as it went in, and no bytes at all bring a node down.

use crdt_model::claim::ClaimEdit;
use crdt_model::document::{CustomerDocument, OPERATIONS_MAX, Parts, RawPut};
use crdt_model::value::{Assertion, Scalar, Statement, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::net::{Forger, record, roster_of};
use crate::replica::block::{COLUMNS, COLUMNS_SINCE, PACKED, columns, decode, encode};
use crate::replica::codec::{CodecError, Reader, Writer};
use crate::replica::commit::Commit;
use crate::replica::limits::BLOCK_BYTES_MAX;

/// What customers say: what repeats from one to the next, and what is another one in each.
fn said(number: u8, text: &str, whole: i64) -> Vec<ClaimEdit> {
    let group = |members: &[(&str, Scalar)]| {
        Value::Group(members.iter().map(|(name, it)| ((*name).to_owned(), it.clone())).collect())
    };
    let limit =
        group(&[("amount", Scalar::Int(whole)), ("currency", Scalar::Text("EUR".to_owned()))]);
    let address = group(&[
        ("city", Scalar::Text(text.to_owned())),
        ("is_main", Scalar::Bool(number.is_multiple_of(2))),
        ("street", Scalar::Text(format!("\"{text}\" street {number} \\"))),
    ]);
    let stated = |value| Assertion::Stated(Statement::plain(value));
    let edits = [
        ("name/legal".to_owned(), stated(Value::text(format!("{text} {number} GmbH")))),
        (format!("name/trading/{number}"), stated(Value::text(text))),
        (format!("tax_id/DE:VAT:DE{number}"), stated(group(&[]))),
        ("credit/1000/limit".to_owned(), stated(limit)),
        ("address/erp:main".to_owned(), stated(address)),
        ("x/n/whole".to_owned(), stated(Value::One(Scalar::Int(whole)))),
        ("x/n/flag".to_owned(), stated(Value::One(Scalar::Bool(number.is_multiple_of(3))))),
        ("x/n/none".to_owned(), Assertion::Tombstone),
        ("x/n/block".to_owned(), Assertion::Release { reason: text.to_owned() }),
    ];
    let edit = |(path, assertion): (String, Assertion)| {
        ClaimEdit::new(path.parse().unwrap(), "erp".parse().unwrap(), assertion)
    };
    // Not everybody says everything.
    let is_said = |(at, _): &(usize, (String, Assertion))| *at != usize::from(number) % 30;
    edits.into_iter().enumerate().filter(is_said).map(|(_, it)| edit(it)).collect()
}

/// Commits that make customers and edit them again, some with an item that is no change.
fn commits(customers: u8, text: &str, whole: i64, garbage: &[u8]) -> Vec<Vec<u8>> {
    let mut forger = Forger::new(0, &roster_of(1));
    let mut documents = vec![CustomerDocument::empty(); usize::from(customers)];
    let mut commits = Vec::new();
    for round in 0..2 {
        let mut items = vec![(record(u64::from(customers)), garbage.to_vec())];
        for (number, document) in (0..).zip(&mut documents) {
            let edits = said(number, &format!("{text}{round}"), whole.wrapping_add(round));
            let change = document.propose(&forger.next(), &edits, None).unwrap().unwrap();
            *document = document.admit(&forger.next(), &change).unwrap();
            items.push((record(u64::from(number)), change));
        }
        commits.push(forger.commit(&[], items).encode());
    }
    commits
}

/// The commits of a block, encoded again.
fn read(block: &[u8]) -> Vec<Vec<u8>> {
    decode(block).unwrap().iter().map(Commit::encode).collect()
}

/// The form of a block.
fn form(block: &[u8]) -> u8 {
    let mut reader = Reader::new(block);
    reader.number().unwrap();
    reader.byte().unwrap()
}

/// The streams of commits, one behind the other, and the length of the commits.
fn streams(commits: &[Vec<u8>]) -> (Vec<u8>, usize) {
    (columns::of(commits).unwrap().concat(), commits.concat().len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn columns_read_back(
        customers in 1..40_u8,
        text in "\\PC{0,12}",
        whole in -9_007_199_254_740_000..9_007_199_254_740_000_i64,
        garbage in vec(any::<u8>(), 0..60),
    ) {
        let commits = commits(customers, &text, whole, &garbage);
        let block = encode(&commits, COLUMNS_SINCE);
        prop_assert_eq!(form(&block), COLUMNS);
        prop_assert_eq!(&read(&block), &commits);
        let older = encode(&commits, COLUMNS_SINCE - 1);
        prop_assert_eq!(form(&older), PACKED);
        prop_assert_eq!(read(&older), commits);
    }

    #[test]
    fn mutants_of_columns_are_something_within_the_bound_or_nothing(
        customers in 1..12_u8,
        edits in vec((any::<Index>(), any::<u8>()), 1..4),
        is_short: bool,
    ) {
        let (mut bytes, length) = streams(&commits(customers, "Acme", -4_711, b"none"));
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let length = if is_short { length / 2 } else { length };
        // The exact length is asked of what was made; here it need only be bounded.
        if let Ok(joined) = columns::join(&bytes, length) {
            prop_assert!(joined.len() <= 2 * length + 1_000);
        }
    }
}

/// Bytes among which are all that mean something in columns.
fn odd_bytes() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop::sample::select(b"\xff\xfe\xfd\0\x01a1/@{}:,\"\\".to_vec());
    vec(odd, 0..9)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is in quarantine is passed on as it is.
    #[test]
    fn changes_that_nobody_accepts_read_back(
        changes in vec(vec((odd_bytes(), 0..16_u8, odd_bytes()), 1..6), 1..12),
    ) {
        let mut whole = commits(1, "Acme", 1, b"none");
        let change = |puts: &Vec<(Vec<u8>, u8, Vec<u8>)>| {
            let puts = puts.iter().map(|(key, kind, value)| RawPut { key, kind: *kind, value });
            odd_change(puts.collect())
        };
        let items = (0..).zip(&changes).map(|(number, puts)| (record(number), change(puts)));
        let mut forger = Forger::new(0, &roster_of(1));
        whole.push(forger.commit(&[], items.collect()).encode());
        whole.extend(commits(20, "Acme", 1, b"none"));
        let block = encode(&whole, COLUMNS_SINCE);
        prop_assert_eq!((form(&block), &read(&block)), (COLUMNS, &whole));
    }
}

/// A change with these operations and nothing before them that means anything.
fn odd_change(puts: Vec<RawPut<'_>>) -> Vec<u8> {
    let forger = Forger::new(0, &roster_of(1));
    let real = CustomerDocument::empty().propose(&forger.next(), &said(1, "Acme", 1), None);
    let real = real.unwrap().unwrap();
    let Parts { head, replaces, .. } = Parts::of(&real).unwrap();
    Parts { head, puts, replaces }.change()
}

#[test]
fn equal_keys_that_take_no_room_are_passed_on() {
    // In few bytes more operations than the block has, or keys of more bytes than an item may have.
    for (key, puts) in [(&b"x/y@z"[..], OPERATIONS_MAX), (&[b'k'; 380][..], OPERATIONS_MAX)] {
        let value = RawPut { key, kind: 0, value: b"" };
        let change = odd_change(vec![value; puts]);
        let items = (0..60).map(|number| (record(number), change.clone())).collect();
        let commits = [Forger::new(0, &roster_of(1)).commit(&[], items).encode()];
        assert_eq!(read(&encode(&commits, COLUMNS_SINCE)), commits);
    }
}

#[test]
fn what_fields_have_in_common_cuts_no_escape() {
    // Whichever is the first of its column.
    for values in
        [[&b"a\x01"[..], b"\xff"], [b"\xff", b"a\x01"], [b"a\0", b"\xfe"], [b"\xfe", b"a\0"]]
    {
        let put = |value| RawPut { key: b"x/y@z", kind: RawPut::TEXT, value };
        let values = values.into_iter().cycle().take(40);
        let items = (0..).map(record).zip(values.map(|value| odd_change(vec![put(value)])));
        let commits = [Forger::new(0, &roster_of(1)).commit(&[], items.collect()).encode()];
        let block = encode(&commits, COLUMNS_SINCE);
        assert_eq!((form(&block), read(&block)), (COLUMNS, commits.to_vec()));
    }
}

#[test]
fn a_long_text_of_escapes_is_passed_on() {
    let value = vec![0xff; 200_000];
    let long = odd_change(vec![RawPut { key: &[0xfe; 9_000], kind: 6, value: &value }]);
    let commits = [Forger::new(0, &roster_of(1)).commit(&[], vec![(record(1), long)]).encode()];
    assert_eq!(read(&encode(&commits, COLUMNS_SINCE)), commits);
}

#[test]
fn texts_of_any_bytes_read_back() {
    let odd = "\u{10ffff} \u{0}\u{7f} {\"a\":\"b\"} @x/y";
    let commits = commits(30, odd, i64::from(i32::MIN), &[0xff, 0xfe, 0xff]);
    let block = encode(&commits, COLUMNS_SINCE);
    assert_eq!((form(&block), read(&block)), (COLUMNS, commits));
}

#[test]
fn like_with_like_packs_into_less() {
    let commits = commits(40, "Acme", 4_711, b"none");
    let (columns, packed) = (encode(&commits, COLUMNS_SINCE), encode(&commits, COLUMNS_SINCE - 1));
    assert!(columns.len() * 4 < packed.len() * 3, "{} of {}", columns.len(), packed.len());
}

#[test]
fn a_few_bytes_do_not_make_many() {
    let (whole, length) = streams(&commits(3, "Acme", 1, b"none"));
    assert!(columns::join(&whole, length).is_ok());
    // Nothing but the bound says how much comes out.
    assert_eq!(columns::join(&whole, length / 2), Err(CodecError::TooLong));
    for cut in 0..whole.len() {
        assert!(columns::join(&whole[..cut], length).is_err());
    }
    assert!(columns::join(&[whole, vec![0]].concat(), length).is_err());
}

/// Streams of one commit with `items` items of one shape, which names one pattern `puts` times.
fn repeated(items: usize, puts: usize, key: &[u8]) -> Vec<u8> {
    let [mut commits, mut numbers, mut records, mut heads] = [(); 4].map(|()| Writer::new());
    commits.bytes(b"").raw(&[0; 64]).bytes(b"").length(items);
    let (mut patterns, mut shapes) = (Writer::new(), Writer::new());
    for _ in 0..items {
        numbers.length(1);
        records.raw(&[0; 16]);
        heads.raw(&[1, 0, 0, 0, 0]);
    }
    patterns.byte(0).bytes(key).bytes(b"");
    shapes.length(puts);
    (0..puts).for_each(|_| {
        shapes.length(0);
    });
    let streams = [commits, numbers, records, heads, patterns, shapes, Writer::new()];
    let streams = streams.map(Writer::into_bytes);
    let mut directory = Writer::new();
    directory.length(0);
    streams.iter().for_each(|stream| {
        directory.length(stream.len());
    });
    [directory.into_bytes(), streams.concat()].concat()
}

#[test]
fn a_shape_that_is_named_again_and_again_is_bounded() {
    assert!(columns::join(&repeated(2, 3, b"x/y@z"), BLOCK_BYTES_MAX).is_ok());
    // A long pattern, many times in one change: over the bytes of an item.
    let long = repeated(1, 1_000, &[b'x'; 1_000]);
    assert_eq!(columns::join(&long, BLOCK_BYTES_MAX), Err(CodecError::TooLong));
    // Many operations in many changes: equal keys take no room in a change, and time all the same.
    let many = repeated(100, 100_000, b"");
    assert_eq!(columns::join(&many, BLOCK_BYTES_MAX), Err(CodecError::TooLong));
}
