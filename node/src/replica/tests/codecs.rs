//! Bytes in and out: what is written reads back, and no bytes at all bring a node down.

use crdt_model::id::{CommitRef, LogId};
use proptest::prelude::*;

use super::net::{Forger, Net, block, heads, member, network_key, record, roster_of};
use crate::replica::commit::{Commit, Head};
use crate::replica::frame::{Digests, Frame, Heartbeat, Hello};
use crate::replica::node_id::NodeId;
use crate::replica::roster::{Roster, Signer};
use crate::replica::vector::{LogState, ToldLog};

fn head() -> impl Strategy<Value = Head> {
    let fields = (any::<[u8; 16]>(), 1..u64::MAX, any::<[u8; 32]>());
    fields.prop_map(|(log, seq, hash)| Head { log: LogId::from_bytes(log), seq, hash })
}

fn digests() -> impl Strategy<Value = Digests> {
    let fields =
        (any::<u64>(), any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 8]>());
    fields.prop_map(|(roster_height, control, history, golden, rules)| Digests {
        roster_height,
        control,
        history,
        golden,
        rules,
    })
}

fn told() -> impl Strategy<Value = ToldLog> {
    let fields =
        (any::<[u8; 16]>(), any::<[u8; 8]>(), any::<u64>(), any::<u64>(), any::<[u8; 8]>());
    fields.prop_map(|(log, author, incarnation, seq, hash)| ToldLog {
        log: LogId::from_bytes(log),
        author,
        incarnation,
        seq,
        hash,
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let hello = (any::<(u8, u8)>(), any::<[u8; 32]>(), any::<u64>(), digests());
    let ack = prop::collection::vec((any::<[u8; 16]>(), any::<u64>()), 0..5);
    prop_oneof![
        hello.prop_map(|(versions, network, clock_ms, digests)| {
            let (version_min, version_max) = versions;
            Frame::Hello(Hello { version_min, version_max, network, clock_ms, digests })
        }),
        (any::<u64>(), digests(), any::<Option<([u8; 16], u64)>>()).prop_map(
            |(clock_ms, digests, newest)| {
                let newest =
                    newest.map(|(log, seq)| CommitRef { log: LogId::from_bytes(log), seq });
                Frame::Heartbeat(Heartbeat { clock_ms, digests, newest })
            }
        ),
        prop::collection::vec(any::<[u8; 8]>(), 0..5).prop_map(Frame::Linked),
        prop::collection::vec(told(), 0..5).prop_map(|mut told| {
            told.sort_by_key(|entry| entry.log);
            told.dedup_by_key(|entry| entry.log);
            Frame::Vector(told)
        }),
        ack.prop_map(|entries| {
            let entries = entries.into_iter().map(|(log, seq)| (LogId::from_bytes(log), seq));
            Frame::Ack(entries.collect())
        }),
        (any::<u64>(), prop::collection::vec(any::<u8>(), 0..50))
            .prop_map(|(from, entries)| Frame::Roster { from, entries }),
        prop::collection::vec(commit(), 0..4).prop_map(Frame::Commits),
    ]
}

/// A commit with anything in it, signed by a member.
fn commit() -> impl Strategy<Value = Commit> {
    let items =
        prop::collection::btree_map(0..1_000_u64, prop::collection::vec(any::<u8>(), 0..80), 0..5);
    let follows = prop::collection::btree_map(any::<[u8; 16]>(), head(), 0..4);
    (items, follows, prop::option::of(head()), prop::option::of(head()), "[a-z ]{0,20}").prop_map(
        |(items, follows, last, predecessor, reason)| {
            let mut forger = Forger::new(0, &roster_of(1));
            forger.opening.predecessor = predecessor;
            forger.last = last.filter(|head| head.seq < u64::MAX - 1);
            let items = items.into_iter().map(|(number, change)| (record(number), change));
            let follows: Vec<Head> = follows
                .into_iter()
                .map(|(log, head)| Head { log: LogId::from_bytes(log), ..head })
                .collect();
            let mut draft = forger.draft(&follows, items.collect());
            draft.note.provenance.reason = reason;
            forger.sign(draft)
        },
    )
}

/// Edits of some bytes: where, and what.
fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 1..4)
}

fn mutate(bytes: &mut Vec<u8>, edits: &[(prop::sample::Index, u8, u8)]) {
    for (at, kind, byte) in edits {
        let at = at.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        match kind {
            0 if !bytes.is_empty() => bytes[at] = *byte,
            1 if !bytes.is_empty() => bytes[at] ^= 1 << (byte % 8),
            2 if !bytes.is_empty() => bytes.truncate(at),
            _ => bytes.insert(at.min(bytes.len()), *byte),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn frames_read_back(frame in frame()) {
        prop_assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
    }

    #[test]
    fn commits_read_back(commit in commit()) {
        let bytes = commit.encode();
        let (read, rest) = Commit::decode_first(&bytes).unwrap();
        prop_assert_eq!(rest, b"");
        prop_assert_eq!(read.signed.hash(), commit.signed.hash());
        prop_assert_eq!(read, commit);
    }

    #[test]
    fn mutants_of_frames_decode_to_something_or_nothing(frame in frame(), edits in edits()) {
        let mut bytes = frame.encode();
        mutate(&mut bytes, &edits);
        if let Ok(read) = Frame::decode(&bytes) {
            // Whatever it is, it is a frame: it has a form of its own that reads back.
            prop_assert_eq!(Frame::decode(&read.encode()), Ok(read));
        }
    }

    #[test]
    fn mutants_of_commits_are_refused(commit in commit(), edits in edits()) {
        let whole = commit.encode();
        let mut bytes = whole.clone();
        mutate(&mut bytes, &edits);
        if let Ok((read, rest)) = Commit::decode_first(&bytes) {
            // What decodes is canonical, and another one, or not signed, or longer.
            prop_assert_eq!([read.encode().as_slice(), rest].concat(), bytes.clone());
            let network = roster_of(1).network_id();
            let author = member(0).node;
            let intact = bytes.starts_with(&whole);
            prop_assert!(intact || !read.signed.is_signed_by(&author, &network));
        }
    }

    #[test]
    fn log_states_read_back(
        fields in (any::<[u8; 32]>(), any::<u64>(), any::<u64>(), any::<[u8; 32]>()),
        predecessor in prop::option::of(head()),
        sealed_at in prop::option::of(1..u64::MAX),
        edits in edits(),
    ) {
        let (node, incarnation, seq, hash) = fields;
        let node = NodeId::from_bytes(node);
        let state = LogState { node, incarnation, seq, hash, predecessor, sealed_at };
        let mut bytes = state.encode();
        prop_assert_eq!(LogState::decode(&bytes), Ok(state));
        mutate(&mut bytes, &edits);
        let _any = LogState::decode(&bytes);
    }

    #[test]
    fn rosters_read_back_and_mutants_are_refused(
        members in 0..4_usize,
        last in prop::collection::vec(head(), 0..3),
        edits in edits(),
    ) {
        let mut roster = roster_of(members);
        if members > 0 {
            roster.revoke(member(0).node, last, &network_key()).unwrap();
        }
        let whole = roster.encode();
        prop_assert_eq!(&Roster::decode(&whole).unwrap(), &roster);
        let mut bytes = whole.clone();
        mutate(&mut bytes, &edits);
        if bytes != whole {
            prop_assert!(Roster::decode(&bytes).is_err());
        }
    }
}

/// A frame with the roster's entries from a height on.
fn roster_frame(height: u64) -> Vec<u8> {
    let (from, entries) = roster_of(4).parts_from(height).remove(0);
    Frame::Roster { from, entries }.encode()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Frames of a real exchange, mutated, reach a node; whatever they say, nothing false is stored.
    #[test]
    fn no_mutant_of_an_exchange_brings_a_node_down(which in 0..6_usize, edits in edits()) {
        let mut net = Net::with_roster(roster_of(3), 2);
        net.set(1, record(2), &[("x/name", "B")]);
        let link = net.meet(0, 1);
        let mut forger = Forger::new(2, &net.roster);
        let first = forger.commit(&heads(&net, 1), Vec::new());
        let told: Vec<ToldLog> = net.nodes[0].replica.history().vector.told();
        let digests = Digests { roster_height: 9, control: [0; 32], history: [0; 32], golden: [0; 32], rules: [0; 8] };
        let beat = Heartbeat { clock_ms: 5, digests, newest: None };
        let frames = [
            block(&[first]),
            Frame::Vector(told).encode(),
            Frame::Ack(vec![(forger.log, 1)]).encode(),
            Frame::Heartbeat(beat).encode(),
            roster_frame(1),
            roster_frame(4),
        ];
        let mut bytes = frames[which].clone();
        mutate(&mut bytes, &edits);
        net.inject(link, 1, bytes);
        net.settle();
        net.tick(2_000);
        net.settle();
        net.assert_sound(1);
        prop_assert_eq!(net.nodes[1].key.key(), net.nodes[1].replica.node());
    }
}
