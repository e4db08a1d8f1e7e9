//! Attacks on the bytes: the chunk, the header, the columns and their run lengths.

use automerge::{Change, ScalarValue};

use super::raw::{chunk, run, sleb};
use super::{HostileChange, attack};
use crate::document::QuarantineCode as Code;
use crate::document::change::Content;
use crate::document::chunk::uleb;

const KEY: u64 = 0x15;
const INSERT: u64 = 0x34;
const ACTION: u64 = 0x42;
const VALUE_META: u64 = 0x56;
const VALUE: u64 = 0x57;
const REPLACES: u64 = 0x70;
const REPLACES_ACTOR: u64 = 0x71;
const REPLACES_COUNTER: u64 = 0x73;
const MILLION: i64 = 1_000_000;
const HUGE: u64 = 1 << 60;

pub(super) const ATTACKS: &[HostileChange] = &[
    attack("no bytes at all", Code::NotAChange, |_| Some(Vec::new())),
    attack("magic bytes only", Code::NotAChange, |_| Some(vec![0x85, 0x6f, 0x4a, 0x83])),
    attack("other magic bytes", Code::NotAChange, |scene| {
        let mut bytes = scene.honest()?;
        bytes[0] ^= 1;
        Some(bytes)
    }),
    attack("change cut short", Code::NotAChange, |scene| {
        let mut bytes = scene.honest()?;
        bytes.pop();
        Some(bytes)
    }),
    attack("length of 2^60", Code::NotAChange, |scene| {
        let bytes = scene.honest()?;
        Some([&bytes[..9], &uleb(HUGE), &bytes[10..]].concat())
    }),
    attack("wrong checksum", Code::ChecksumMismatch, |scene| {
        let mut bytes = scene.honest()?;
        bytes[4] ^= 1;
        Some(bytes)
    }),
    attack("content altered under its checksum", Code::ChecksumMismatch, |scene| {
        let mut bytes = scene.honest()?;
        *bytes.last_mut()? ^= 1;
        Some(bytes)
    }),
    attack("byte after the change", Code::TrailingBytes, |scene| {
        let mut bytes = scene.honest()?;
        bytes.push(0);
        Some(bytes)
    }),
    attack("two changes", Code::TrailingBytes, |scene| Some(scene.honest()?.repeat(2))),
    attack("document", Code::ChunkKind, |scene| {
        Some(scene.document.stored.automerge().ok()?.save())
    }),
    attack("document bomb", Code::ChunkKind, |_| {
        // Columns that inflate or expand: the kind is refused before anything is read.
        Some(chunk(0, &run(MILLION, &[1]).repeat(1000)))
    }),
    attack("compressed change", Code::ChunkKind, |scene| {
        scene
            .expanded(|change| {
                change.message = Some("x".repeat(100_000));
                Some(())
            })
            .and_then(|bytes| Some(Change::try_from(bytes.as_slice()).ok()?.bytes().to_vec()))
    }),
    attack("bundle", Code::ChunkKind, |scene| {
        let plain = scene.document.stored.automerge().ok()?;
        Some(plain.bundle(plain.get_heads()).ok()?.bytes().to_vec())
    }),
    attack("chunk of no known kind", Code::ChunkKind, |scene| {
        scene.raw(|raw| {
            raw.kind = 9;
            Some(())
        })
    }),
    attack("larger than allowed", Code::ChangeTooLarge, |scene| {
        scene.raw(|raw| {
            raw.extra = vec![0; 256 * 1024];
            Some(())
        })
    }),
    attack("actor of 1 MiB", Code::ChangeTooLarge, |scene| {
        scene.raw(|raw| {
            raw.actor = vec![7; 1024 * 1024];
            Some(())
        })
    }),
    attack("actor of 100 KiB", Code::WrongLog, |scene| {
        scene.raw(|raw| {
            raw.actor = vec![7; 100 * 1024];
            Some(())
        })
    }),
    attack("empty actor", Code::WrongLog, |scene| {
        scene.raw(|raw| {
            raw.actor.clear();
            Some(())
        })
    }),
    attack("actor derived as by transaction_at", Code::WrongLog, |scene| {
        scene.raw(|raw| {
            raw.actor = [&[0x13, 0xb2, 0x23, 0x09, 1], raw.actor.as_slice()].concat();
            Some(())
        })
    }),
    attack("bytes after the columns", Code::ExtraBytes, |scene| {
        scene.raw(|raw| {
            raw.extra = vec![0];
            Some(())
        })
    }),
    attack("author footer", Code::ExtraBytes, |scene| {
        scene.raw(|raw| {
            raw.extra = vec![1, 3, b'e', b'v', b'e'];
            Some(())
        })
    }),
    attack("author footer in a later change", Code::ExtraBytes, |scene| {
        scene.raw(|raw| {
            raw.sequence = uleb(2);
            raw.extra = vec![1, 3, b'e', b'v', b'e'];
            Some(())
        })
    }),
    attack("2^60 dependencies claimed", Code::Malformed, |scene| {
        scene.raw(|raw| {
            raw.dependency_count = Some(HUGE);
            Some(())
        })
    }),
    attack("message of 2^60 bytes claimed", Code::Malformed, |scene| {
        scene.raw(|raw| {
            raw.message_length = Some(HUGE);
            Some(())
        })
    }),
    attack("2^60 actors claimed", Code::UnknownPredecessor, |scene| {
        scene.raw(|raw| {
            raw.actor_count = Some(HUGE);
            Some(())
        })
    }),
    attack("2^60 columns claimed", Code::Malformed, |scene| {
        scene.raw(|raw| {
            raw.column_count = Some(HUGE);
            Some(())
        })
    }),
    attack("message that is not UTF-8", Code::Malformed, |scene| {
        scene.raw(|raw| {
            raw.message[0] = 0xff;
            Some(())
        })
    }),
    attack("dependencies out of order", Code::DependencyOrder, |scene| {
        scene.raw(|raw| {
            raw.dependencies = vec![[9; 32], [8; 32]];
            Some(())
        })
    }),
    attack("dependency named twice", Code::DependencyOrder, |scene| {
        scene.raw(|raw| {
            let first = *raw.dependencies.first()?;
            raw.dependencies.push(first);
            Some(())
        })
    }),
    attack("counter zero", Code::WrongStartOperation, |scene| {
        scene.raw(|raw| {
            raw.start = uleb(0);
            Some(())
        })
    }),
    attack("counter near 2^64", Code::CounterTooLarge, |scene| {
        scene.raw(|raw| {
            raw.start = uleb(u64::MAX);
            Some(())
        })
    }),
    attack("number in a longer form than needed", Code::NotCanonical, |scene| {
        scene.raw(|raw| {
            raw.sequence = vec![raw.sequence[0] | 0x80, 0];
            Some(())
        })
    }),
    attack("number of more than 64 bits", Code::Malformed, |scene| {
        scene.raw(|raw| {
            raw.sequence = vec![0xff; 10];
            Some(())
        })
    }),
    attack("a million operations in 3 bytes", Code::TooManyOperations, |scene| {
        scene.raw(|raw| {
            *raw.column(ACTION)? = run(MILLION, &[1]);
            Some(())
        })
    }),
    attack("a million operations in every column", Code::TooManyOperations, |scene| {
        scene.raw(|raw| {
            *raw.column(KEY)? = run(MILLION, b"\x0dx/a/b@manual0");
            *raw.column(INSERT)? = uleb(MILLION.unsigned_abs());
            *raw.column(ACTION)? = run(MILLION, &[1]);
            *raw.column(VALUE_META)? = run(MILLION, &[0]);
            *raw.column(REPLACES)? = run(MILLION, &[0]);
            Some(())
        })
    }),
    attack("one operation more than allowed", Code::TooManyOperations, |scene| {
        scene.raw(|raw| {
            *raw.column(ACTION)? = run(1025, &[1]);
            Some(())
        })
    }),
    attack("a run of 2^63 operations", Code::TooManyOperations, |scene| {
        scene.raw(|raw| {
            *raw.column(ACTION)? = run(i64::MIN, &[1]);
            Some(())
        })
    }),
    attack("a million keys", Code::TooManyOperations, |scene| {
        scene.raw(|raw| {
            *raw.column(KEY)? = run(MILLION, b"\x0cx/a/b@manual");
            Some(())
        })
    }),
    attack("a million values", Code::TooManyOperations, |scene| {
        scene.raw(|raw| {
            *raw.column(VALUE_META)? = run(MILLION, &[0]);
            Some(())
        })
    }),
    attack("2^60 replaced values", Code::TooManyPredecessors, |scene| {
        scene.raw(|raw| {
            *raw.column(REPLACES)? = run(2, &uleb(HUGE));
            Some(())
        })
    }),
    attack("a million replaced values", Code::TooManyPredecessors, |scene| {
        scene.raw(|raw| {
            *raw.column(REPLACES)? = run(2, &uleb(500_000));
            *raw.column(REPLACES_ACTOR)? = run(MILLION, &[0]);
            *raw.column(REPLACES_COUNTER)? = run(MILLION, &[1]);
            Some(())
        })
    }),
    attack("replaced value of an actor out of range", Code::UnknownPredecessor, |scene| {
        scene.raw(|raw| {
            *raw.column(REPLACES)? = run(2, &[1]);
            *raw.column(REPLACES_ACTOR)? = run(2, &[77]);
            *raw.column(REPLACES_COUNTER)? = run(2, &[1]);
            Some(())
        })
    }),
    attack("replaced value with a negative counter", Code::UnknownPredecessor, |scene| {
        scene.raw(|raw| {
            *raw.column(REPLACES)? = run(2, &[1]);
            *raw.column(REPLACES_ACTOR)? = run(2, &[0]);
            *raw.column(REPLACES_COUNTER)? = run(2, &sleb(-1));
            Some(())
        })
    }),
    attack("counters that overflow when summed", Code::Malformed, |scene| {
        scene.raw(|raw| {
            *raw.column(REPLACES)? = run(2, &[1]);
            *raw.column(REPLACES_ACTOR)? = run(2, &[0]);
            *raw.column(REPLACES_COUNTER)? = run(2, &sleb(i64::MAX));
            Some(())
        })
    }),
    attack("operations without keys", Code::Malformed, |scene| {
        scene.raw(|raw| {
            raw.columns.retain(|(name, _)| *name != KEY);
            Some(())
        })
    }),
    attack("operation with no key", Code::NotRootMap, |scene| {
        scene.raw(|raw| {
            *raw.column(KEY)? = vec![0, 2];
            Some(())
        })
    }),
    attack("key that is not UTF-8", Code::Malformed, |scene| {
        scene.raw(|raw| {
            *raw.column(KEY)?.last_mut()? = 0xff;
            Some(())
        })
    }),
    attack("text that is not UTF-8", Code::Malformed, |scene| {
        scene.raw(|raw| {
            raw.column(VALUE)?[0] = 0xff;
            Some(())
        })
    }),
    attack("value cut short", Code::Malformed, |scene| {
        scene.raw(|raw| raw.column(VALUE)?.pop().map(|_| ()))
    }),
    attack("value bytes that no operation reads", Code::Malformed, |scene| {
        scene.raw(|raw| {
            raw.column(VALUE)?.push(0);
            Some(())
        })
    }),
    attack("column cut short", Code::Malformed, |scene| {
        scene.raw(|raw| raw.column(KEY)?.pop().map(|_| ()))
    }),
    attack("empty run", Code::Malformed, |scene| {
        scene.raw(|raw| {
            raw.column(ACTION)?.splice(0..0, [0, 0]);
            Some(())
        })
    }),
    attack("column of no known name", Code::Malformed, |scene| {
        scene.raw(|raw| {
            *raw.column(0x105)? = vec![1];
            Some(())
        })
    }),
    attack("empty column", Code::Malformed, |scene| {
        scene.raw(|raw| {
            raw.column(REPLACES_ACTOR)?;
            Some(())
        })
    }),
    attack("column named twice", Code::Malformed, |scene| {
        scene.raw(|raw| {
            let first = raw.columns.first()?.clone();
            raw.columns.insert(0, first);
            Some(())
        })
    }),
    attack("compressed column", Code::Malformed, |scene| {
        scene.raw(|raw| {
            raw.columns.iter_mut().for_each(|(name, _)| *name |= 8);
            Some(())
        })
    }),
    attack("columns out of order", Code::NotCanonical, |scene| {
        scene.raw(|raw| {
            raw.columns.reverse();
            Some(())
        })
    }),
    attack("run written as single values", Code::NotCanonical, |scene| {
        scene.raw(|raw| {
            *raw.column(ACTION)? = [sleb(-2), vec![1, 1]].concat();
            Some(())
        })
    }),
    attack("insert column that is longer than the operations", Code::NotCanonical, |scene| {
        scene.raw(|raw| {
            *raw.column(INSERT)? = uleb(HUGE);
            Some(())
        })
    }),
    attack("actor that no operation names", Code::NotCanonical, |scene| {
        scene.raw(|raw| {
            raw.other_actors.push(vec![3; 16]);
            Some(())
        })
    }),
    attack("insert flag on a key", Code::InsertFlag, |scene| {
        scene.raw(|raw| {
            *raw.column(INSERT)? = vec![0, 2];
            Some(())
        })
    }),
    attack("whole number in more bytes than it has", Code::Malformed, |scene| {
        let bytes = scene.expanded(|change| {
            for operation in &mut change.operations {
                operation.action = automerge::legacy::OpType::Put(ScalarValue::Int(1));
            }
            Some(())
        })?;
        let mut raw = super::raw::RawChange::read(&bytes)?;
        *raw.column(VALUE_META)? = run(2, &uleb(2 << 4 | 4));
        *raw.column(VALUE)? = vec![1, 1, 1, 1];
        Some(raw.to_bytes())
    }),
    attack("null with bytes", Code::Malformed, |scene| {
        scene.raw(|raw| {
            *raw.column(VALUE_META)? = run(2, &uleb(8 << 4));
            Some(())
        })
    }),
    attack("replaced value named twice", Code::DuplicatePredecessor, |scene| {
        let mut content = Content::decode(&scene.honest()?).ok()?;
        let victim = super::operations::some_operation(scene)?;
        content.puts[0].replaces = vec![victim, victim];
        Some(content.encode())
    }),
];
