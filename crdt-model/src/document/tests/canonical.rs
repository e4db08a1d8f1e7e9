//! The canonical form is the one of Automerge's own encoder, byte by byte.

use std::num::NonZeroU64;

use automerge::legacy::{Key, ObjectId, Op, OpId as LegacyOpId, OpType};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ScalarValue};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::change::OpId;
use super::*;

/// What Automerge makes of the same content.
fn by_automerge(content: &Content) -> Vec<u8> {
    let expanded = ExpandedChange {
        operations: content.puts.iter().map(operation).collect(),
        actor_id: ActorId::from(content.log.as_bytes()),
        hash: None,
        seq: content.sequence,
        start_op: NonZeroU64::new(content.start).unwrap(),
        time: content.time,
        message: Some(content.message.clone()),
        deps: content.dependencies.iter().copied().map(ChangeHash).collect(),
        extra_bytes: Vec::new(),
        author: None,
    };
    Change::from(expanded).raw_bytes().to_vec()
}

fn operation(put: &Put) -> Op {
    let replaces = put.replaces.iter();
    Op {
        action: OpType::Put(match put.said.cell() {
            Cell::Null => ScalarValue::Null,
            Cell::Bool(flag) => ScalarValue::Boolean(*flag),
            Cell::Int(number) => ScalarValue::Int(*number),
            Cell::Str(text) => ScalarValue::Str(text.as_str().into()),
        }),
        obj: ObjectId::Root,
        key: Key::from(put.key.to_string()),
        pred: replaces.map(|op| LegacyOpId(op.counter, ActorId::from(op.log.as_bytes()))).collect(),
        insert: false,
    }
}

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        Just(Cell::Null),
        any::<bool>().prop_map(Cell::Bool),
        prop_oneof![any::<i64>(), -70..70_i64].prop_map(Cell::Int),
        prop_oneof!["[a-cé]{0,3}", "\\PC{0,200}"].prop_map(Cell::Str),
    ]
}

/// Few logs and values, so that runs of equal ones are as frequent as others.
fn content() -> impl Strategy<Value = Content> {
    let id = (1..40_u64, 0..4_u8).prop_map(|(counter, number)| OpId { counter, log: log(number) });
    let replaces = prop_oneof![3 => Just(BTreeSet::new()), 2 => btree_set(id, 0..4)];
    let key = (0..200_u16).prop_map(|number| key(&format!("x/k{number}@crm")));
    let puts = btree_map(key, (cell(), replaces), 1..40);
    let head = (vec(any::<[u8; 32]>(), 0..4), 0..4_u8, 1..1_000_u64, 1..100_000_u64);
    (head, any::<i64>(), "[A-Z]{2,4} [0-9]{1,5}", puts, any::<bool>()).prop_map(
        |((mut dependencies, own, sequence, start), time, message, puts, reverse)| {
            dependencies.sort_unstable();
            let put = |(key, (cell, replaces)): (ClaimKey, (Cell, BTreeSet<OpId>))| Put {
                key,
                said: cell.into(),
                replaces: replaces.into_iter().collect(),
            };
            let mut puts: Vec<Put> = puts.into_iter().map(put).collect();
            if reverse {
                puts.reverse();
            }
            Content { dependencies, log: log(own), sequence, start, time, message, puts }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn ours_is_automerges_and_reads_back(content in content()) {
        let bytes = content.encode();
        prop_assert_eq!(&bytes, &by_automerge(&content));
        prop_assert_eq!(Content::decode(&bytes), Ok(content));
    }

    /// Taken apart and put together it is what it was; what is not in canonical form stays whole.
    #[test]
    fn parts_make_the_change_that_they_are_of(content in content(), at: Index, byte: u8) {
        let mut bytes = content.encode();
        let parts = Parts::of(&bytes).unwrap();
        prop_assert_eq!(parts.puts.len(), content.puts.len());
        let keys = content.puts.iter().map(|put| put.key.to_string());
        prop_assert!(keys.eq(parts.puts.iter().map(|put| String::from_utf8_lossy(put.key))));
        prop_assert_eq!(parts.change(), bytes.clone());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Some(parts) = Parts::of(&bytes) {
            prop_assert_eq!(parts.change(), bytes);
        }
    }
}
