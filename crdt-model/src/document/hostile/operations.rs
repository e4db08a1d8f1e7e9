//! Attacks on the content: well-formed changes that say what an honest author never says.

use std::num::NonZeroU64;

use automerge::legacy::{ElementId, Key, MarkData, ObjectId, Op, OpId as LegacyOpId, OpType};
use automerge::{ActorId, ChangeHash, ExpandedChange, ObjType, ScalarValue};

use super::{HostileChange, Scene, attack};
use crate::document::QuarantineCode as Code;
use crate::document::change::OpId;
use crate::version::Version;

pub(super) const ATTACKS: &[HostileChange] = &[
    // Who and when.
    attack("another log's actor", Code::WrongLog, |scene| {
        scene.expanded(|change| {
            change.actor_id = ActorId::from([0xee; 16]);
            Some(())
        })
    }),
    attack("another time", Code::WrongTime, |scene| {
        scene.expanded(|change| {
            change.time += 1;
            Some(())
        })
    }),
    attack("negative time", Code::WrongTime, |scene| {
        scene.expanded(|change| {
            change.time = i64::MIN;
            Some(())
        })
    }),
    attack("no message", Code::WrongMessage, |scene| with_message(scene, None)),
    attack("another region", Code::WrongMessage, |scene| {
        with_message(scene, Some(format!("MARS {}", scene.author.commit.seq)))
    }),
    attack("another commit", Code::WrongMessage, |scene| {
        with_message(scene, Some(format!("{} 9999999", scene.author.region)))
    }),
    attack("made as of a version that nobody knows", Code::UnknownVersion, |scene| {
        let unknown = Version::new(vec![[7; 32]]);
        with_message(
            scene,
            Some(format!("{} {} {unknown}", scene.author.region, scene.author.commit.seq)),
        )
    }),
    attack("leading zero in the message", Code::WrongMessage, |scene| {
        with_message(scene, Some(format!("{} 0{}", scene.author.region, scene.author.commit.seq)))
    }),
    // The place in the history.
    attack("gap in the sequence", Code::WrongSequence, |scene| {
        scene.expanded(|change| {
            change.seq += 1;
            Some(())
        })
    }),
    attack("sequence repeated", Code::WrongSequence, |scene| {
        scene.expanded(|change| {
            change.seq -= 1;
            Some(())
        })
    }),
    attack("sequence near 2^64", Code::WrongSequence, |scene| {
        scene.expanded(|change| {
            change.seq = u64::MAX;
            Some(())
        })
    }),
    attack("dependency that nobody has", Code::MissingDependency, |scene| {
        scene.expanded(|change| {
            change.deps.push(ChangeHash([0xab; 32]));
            Some(())
        })
    }),
    attack("counter 2^32 - 1", Code::CounterTooLarge, |scene| with_start(scene, u32::MAX.into())),
    attack("counter 2^31", Code::CounterTooLarge, |scene| with_start(scene, 1 << 31)),
    attack("counter beyond 2^32", Code::CounterTooLarge, |scene| with_start(scene, 1 << 40)),
    attack("counter at the limit", Code::WrongStartOperation, |scene| with_start(scene, 999_999)),
    attack("counter not above its dependencies", Code::WrongStartOperation, |scene| {
        with_start(scene, 1)
    }),
    attack("counter one too high", Code::WrongStartOperation, |scene| {
        scene.expanded(|change| {
            change.start_op = change.start_op.checked_add(1)?;
            Some(())
        })
    }),
    attack("dependencies dropped, counter kept", Code::WrongStartOperation, |scene| {
        scene.expanded(|change| {
            change.deps.clear();
            Some(())
        })
    }),
    // What is replaced.
    attack("replaces a value that does not exist", Code::UnknownPredecessor, |scene| {
        replacing(scene, |_, victim| Some(LegacyOpId(victim.0 + 700_000, victim.1)))
    }),
    attack("replaces a value beyond 2^32", Code::UnknownPredecessor, |scene| {
        replacing(scene, |_, victim| Some(LegacyOpId(victim.0 + (1 << 32), victim.1)))
    }),
    attack("replaces a value of an unknown actor", Code::UnknownPredecessor, |scene| {
        replacing(scene, |_, victim| Some(LegacyOpId(victim.0, ActorId::from([0xee; 16]))))
    }),
    attack("replaces a value of an actor with a short id", Code::UnknownPredecessor, |scene| {
        replacing(scene, |_, victim| Some(LegacyOpId(victim.0, ActorId::from([0xee; 3]))))
    }),
    attack("replaces itself", Code::UnknownPredecessor, |scene| {
        replacing(scene, |change, _| {
            Some(LegacyOpId(change.start_op.get(), change.actor_id.clone()))
        })
    }),
    attack("replaces its own later operation", Code::UnknownPredecessor, |scene| {
        replacing(scene, |change, _| {
            Some(LegacyOpId(change.start_op.get() + 1, change.actor_id.clone()))
        })
    }),
    attack("replaces a value outside its causal past", Code::UnknownPredecessor, |scene| {
        let victim = some_operation(scene)?;
        scene.expanded(|change| {
            change.deps.clear();
            change.start_op = NonZeroU64::MIN;
            change.operations[0].pred = [legacy(victim)].into_iter().collect();
            Some(())
        })
    }),
    attack("replaces a value of another key", Code::PredecessorOfAnotherKey, |scene| {
        replacing(scene, |_, victim| Some(victim))
    }),
    // What is done.
    attack("no operations", Code::NoOperations, |scene| {
        scene.expanded(|change| {
            change.operations.clear();
            Some(())
        })
    }),
    attack("no operations at a low counter", Code::NoOperations, |scene| {
        scene.expanded(|change| {
            change.operations.clear();
            change.start_op = NonZeroU64::MIN;
            Some(())
        })
    }),
    attack("deletion of nothing", Code::OperationKind, |scene| acting(scene, OpType::Delete)),
    attack("deletion of a claim", Code::OperationKind, |scene| {
        let victim = some_operation(scene)?;
        let (key, _) = some_register(scene)?;
        scene.expanded(|change| {
            change.operations[0].action = OpType::Delete;
            change.operations[0].key = Key::from(&key);
            change.operations[0].pred = [legacy(victim)].into_iter().collect();
            Some(())
        })
    }),
    attack("increment", Code::OperationKind, |scene| acting(scene, OpType::Increment(1))),
    attack("increment of a text", Code::OperationKind, |scene| {
        let (key, victim) = some_register(scene)?;
        scene.expanded(|change| {
            change.operations[0].action = OpType::Increment(i64::MAX);
            change.operations[0].key = Key::from(&key);
            change.operations[0].pred = [legacy(victim)].into_iter().collect();
            Some(())
        })
    }),
    attack("new map", Code::OperationKind, |scene| acting(scene, OpType::Make(ObjType::Map))),
    attack("new list", Code::OperationKind, |scene| acting(scene, OpType::Make(ObjType::List))),
    attack("new text object", Code::OperationKind, |scene| {
        acting(scene, OpType::Make(ObjType::Text))
    }),
    attack("mark", Code::OperationKind, |scene| {
        let mark =
            MarkData { name: "bold".into(), value: ScalarValue::Boolean(true), expand: true };
        acting(scene, OpType::MarkBegin(mark))
    }),
    attack("end of a mark", Code::OperationKind, |scene| acting(scene, OpType::MarkEnd(true))),
    // Where it is done.
    attack("operation on an object that does not exist", Code::NotRootMap, |scene| {
        inside(scene, |victim| LegacyOpId(victim.0 + 700_000, victim.1))
    }),
    attack("operation on an object of an unknown actor", Code::NotRootMap, |scene| {
        inside(scene, |victim| LegacyOpId(victim.0, ActorId::from([0xee; 16])))
    }),
    attack("operation inside a plain value", Code::NotRootMap, |scene| inside(scene, |id| id)),
    attack("key in a list made in the same change", Code::NotRootMap, |scene| {
        scene.expanded(|change| {
            let list = LegacyOpId(change.start_op.get(), change.actor_id.clone());
            change.operations[0].action = OpType::Make(ObjType::List);
            change.operations[1].obj = ObjectId::Id(list);
            Some(())
        })
    }),
    attack("objects nested a thousand deep", Code::NotRootMap, |scene| {
        scene.expanded(|change| {
            let start = change.start_op.get();
            let template = change.operations.first()?.clone();
            change.operations = (0..1000)
                .map(|depth| Op {
                    action: OpType::Make(ObjType::Map),
                    obj: match depth {
                        0 => ObjectId::Root,
                        _ => ObjectId::Id(LegacyOpId(start + depth - 1, change.actor_id.clone())),
                    },
                    ..template.clone()
                })
                .collect();
            Some(())
        })
    }),
    attack("insertion at the head of the root map", Code::NotRootMap, |scene| {
        scene.expanded(|change| {
            change.operations[0].key = Key::Seq(ElementId::Head);
            change.operations[0].insert = true;
            Some(())
        })
    }),
    attack("insertion after an element that does not exist", Code::NotRootMap, |scene| {
        let victim = some_operation(scene)?;
        scene.expanded(|change| {
            let element = LegacyOpId(victim.counter + 700_000, ActorId::from([0xee; 16]));
            change.operations[0].key = Key::Seq(ElementId::Id(element));
            change.operations[0].insert = true;
            Some(())
        })
    }),
    // What is set.
    attack("key without a source", Code::ClaimKey, |scene| with_key(scene, "name/legal")),
    attack("empty key", Code::ClaimKey, |scene| with_key(scene, "")),
    attack("key that is not canonical", Code::ClaimKey, |scene| {
        with_key(scene, "name/%6cegal@erp-emea")
    }),
    attack("key with two sources", Code::ClaimKey, |scene| with_key(scene, "name/legal@erp@crm")),
    attack("key that is too long", Code::ClaimKey, |scene| {
        with_key(scene, &format!("x/{}@erp-emea", "k".repeat(400)))
    }),
    attack("key set twice", Code::DuplicateKey, |scene| {
        scene.expanded(|change| {
            change.operations[1].key = change.operations[0].key.clone();
            Some(())
        })
    }),
    attack("bytes", Code::ValueType, |scene| putting(scene, ScalarValue::Bytes(vec![1, 2]))),
    attack("unsigned number", Code::ValueType, |scene| putting(scene, ScalarValue::Uint(7))),
    attack("floating-point number", Code::ValueType, |scene| putting(scene, ScalarValue::F64(0.1))),
    attack("counter", Code::ValueType, |scene| putting(scene, ScalarValue::counter(i64::MAX))),
    attack("timestamp", Code::ValueType, |scene| putting(scene, ScalarValue::Timestamp(1))),
    attack("value of an unknown type", Code::ValueType, |scene| {
        putting(scene, ScalarValue::Unknown { type_code: 13, bytes: vec![1] })
    }),
    attack("text that is too long", Code::TextTooLong, |scene| {
        putting(scene, ScalarValue::Str("t".repeat(64 * 1024 + 1).into()))
    }),
    attack("one key more than allowed", Code::TooManyOperations, |scene| {
        scene.expanded(|change| {
            let template = change.operations.first()?.clone();
            let keys = (0..1025).map(|index| Key::from(format!("x/hostile/{index}@manual")));
            change.operations = keys.map(|key| Op { key, ..template.clone() }).collect();
            Some(())
        })
    }),
];

fn with_message(scene: &Scene<'_>, message: Option<String>) -> Option<Vec<u8>> {
    scene.expanded(|change| {
        change.message = message;
        Some(())
    })
}

fn with_start(scene: &Scene<'_>, start: u64) -> Option<Vec<u8>> {
    scene.expanded(|change| {
        change.start_op = NonZeroU64::new(start)?;
        Some(())
    })
}

fn with_key(scene: &Scene<'_>, key: &str) -> Option<Vec<u8>> {
    scene.expanded(|change| {
        change.operations[0].key = Key::from(key);
        Some(())
    })
}

fn putting(scene: &Scene<'_>, value: ScalarValue) -> Option<Vec<u8>> {
    acting(scene, OpType::Put(value))
}

fn acting(scene: &Scene<'_>, action: OpType) -> Option<Vec<u8>> {
    scene.expanded(|change| {
        change.operations[0].action = action;
        Some(())
    })
}

fn inside(scene: &Scene<'_>, object: impl Fn(LegacyOpId) -> LegacyOpId) -> Option<Vec<u8>> {
    let victim = some_operation(scene)?;
    scene.expanded(|change| {
        change.operations[0].obj = ObjectId::Id(object(legacy(victim)));
        Some(())
    })
}

/// The first operation replaces what `choose` makes of a visible value of another key.
fn replacing(
    scene: &Scene<'_>,
    choose: impl Fn(&ExpandedChange, LegacyOpId) -> Option<LegacyOpId>,
) -> Option<Vec<u8>> {
    let victim = some_operation(scene)?;
    scene.expanded(|change| {
        let chosen = choose(change, legacy(victim))?;
        change.operations[0].pred = [chosen].into_iter().collect();
        Some(())
    })
}

/// A visible operation of the document.
pub(super) fn some_operation(scene: &Scene<'_>) -> Option<OpId> {
    some_register(scene).map(|(_, id)| id)
}

fn some_register(scene: &Scene<'_>) -> Option<(String, OpId)> {
    let (key, visible) = scene.document.registers.iter().next()?;
    Some((key.to_string(), visible.first()?.0))
}

fn legacy(id: OpId) -> LegacyOpId {
    LegacyOpId(id.counter, ActorId::from(id.log.as_bytes()))
}
