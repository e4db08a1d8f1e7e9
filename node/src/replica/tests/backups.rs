//! Segments of a backup: what they hold, that they fit together, and that a store filled from them is the
//! one that they were read from.

use super::net::{Net, network_key, record, request};
use crate::kv::{Memory, Op, View};
use crate::replica::backup::{
    Break, Chain, HEAD_BYTES, MAGIC, Part, Place, Source, Tip, forks, read_head,
};
use crate::replica::event::WriteRequest;
use crate::replica::layout;
use crate::replica::numbers;
use crate::replica::rebuild::{Rebuild, Taken};
use crate::replica::roster::Signer as _;

/// The parts of a segment that is read while `meanwhile` happens to the net.
fn segment_while(
    net: &mut Net,
    at: usize,
    after: Option<Place>,
    meanwhile: impl FnOnce(&mut Net),
) -> Vec<Part> {
    let node = net.nodes[at].replica.node();
    let store = &net.nodes[at].store;
    let mut source = Source::open(store, node, net.now_ms, after).unwrap().unwrap();
    let mut bytes = source.next(store).unwrap().unwrap();
    meanwhile(net);
    while let Some(part) = source.next(&net.nodes[at].store).unwrap() {
        bytes.extend(part);
    }
    parts(&bytes)
}

pub(super) fn segment(net: &mut Net, at: usize, after: Option<Place>) -> Vec<Part> {
    segment_while(net, at, after, |_| ())
}

/// What the bytes of a segment say.
fn parts(bytes: &[u8]) -> Vec<Part> {
    let mut rest = bytes.strip_prefix(&MAGIC).unwrap();
    let mut parts = Vec::new();
    while let Some((head, body)) = rest.split_first_chunk::<HEAD_BYTES>() {
        let (kind, length) = read_head(*head).unwrap();
        parts.push(Part::decode(kind, &body[..length]).unwrap());
        rest = &body[length..];
    }
    assert!(rest.is_empty());
    parts
}

pub(super) fn end(parts: &[Part]) -> (u64, Option<Place>) {
    match parts.last() {
        Some(Part::End(end)) => (end.commits, end.last),
        last => panic!("no end: {last:?}"),
    }
}

fn check(chain: &mut Chain, parts: Vec<Part>) -> Result<(), Break> {
    parts.into_iter().try_for_each(|part| chain.take(part))
}

/// A store filled from segments, as `concord restore` fills it.
pub(super) fn restored(now_ms: u64, segments: Vec<Vec<Part>>) -> (Memory, Rebuild) {
    let newest = segments.last().unwrap();
    let roster = newest.iter().find_map(|part| match part {
        Part::Roster(roster) => Some(roster.clone()),
        Part::Begin(_) | Part::Commits(_) | Part::Kept(_) | Part::End(_) => None,
    });
    let kept: Vec<_> = newest
        .iter()
        .filter_map(|part| match part {
            Part::Kept(pairs) => Some(pairs.clone()),
            Part::Begin(_) | Part::Commits(_) | Part::Roster(_) | Part::End(_) => None,
        })
        .flatten()
        .collect();
    let mut store = Memory::new();
    let (mut rebuild, first) = Rebuild::begin(roster.unwrap(), now_ms, &store).unwrap();
    store.apply(&first);
    for proof in forks(&kept) {
        let ops = rebuild.end_log(&proof, &store).unwrap();
        store.apply(&ops);
    }
    for part in segments.into_iter().flatten() {
        let Part::Commits(commits) = part else { continue };
        for commit in &commits {
            match rebuild.take(commit, &store).unwrap() {
                Taken::Next(ops) => store.apply(&ops),
                Taken::Known => {}
                Taken::Misplaced(place) => panic!("{:?}: {place:?}", commit.signed.header.commit()),
            }
        }
    }
    let kept = kept.into_iter().map(|(key, value)| Op::Put(key, value));
    store.apply(&kept.collect::<Vec<_>>());
    (store, rebuild)
}

/// A node over the restored store holds and shows what the node did from which the backup is.
pub(super) fn assert_restores(net: &mut Net, at: usize, segments: Vec<Vec<Part>>) {
    let before = net.nodes[at].replica.status(net.now_ms);
    let (store, rebuild) = restored(net.now_ms, segments);
    assert_eq!(rebuild.history().vector.commits(), before.commits);
    net.restart_over(at, store);
    let after = net.nodes[at].replica.status(net.now_ms);
    assert_eq!(after.history_digest, before.history_digest);
    assert_eq!(after.golden_digest, before.golden_digest);
    net.tick(0);
    net.assert_sound(at);
}

fn named(at: usize, number: u64, id: &str) -> WriteRequest {
    let mut request = request(at, record(number), &[("x/name", id)]);
    request.provenance.request = id.to_owned();
    request
}

/// Two nodes that wrote, apart and together.
fn scene() -> Net {
    let mut net = Net::new(2);
    net.set(0, record(1), &[("x/name", "A"), ("name/legal", "Alpha")]);
    net.set(1, record(1), &[("x/name", "B")]);
    net.meet(0, 1);
    net.set(0, record(2), &[("x/name", "C")]);
    net.settle();
    net
}

#[test]
fn what_was_written_between_two_segments_is_in_the_second_one() {
    let mut net = scene();
    let first = segment(&mut net, 0, None);
    let (commits, last) = end(&first);
    assert_eq!(commits, 3);
    net.restart(0);
    net.set(0, record(3), &[("x/name", "D")]);
    let second = segment(&mut net, 0, last);
    assert_eq!(end(&second).0, 1);
    let third = segment(&mut net, 0, end(&second).1);
    assert_eq!((end(&third).0, end(&third).1), (0, end(&second).1));
    assert_restores(&mut net, 0, vec![first, second, third]);
    assert_eq!(net.shown(0, &record(3)), ["x/name=D"]);
}

#[test]
fn what_is_written_while_a_segment_is_read_is_left_for_the_next_one() {
    let mut net = scene();
    net.write(0, named(0, 5, "before")).unwrap();
    let first = segment_while(&mut net, 0, None, |net| {
        net.write(0, named(0, 6, "meanwhile")).unwrap();
    });
    assert_eq!(end(&first).0, 4);
    // An answer that speaks of a commit which is not there would acknowledge what is lost.
    let answers = |parts: &[Part]| {
        let kept = parts.iter().map(|part| match part {
            Part::Kept(pairs) => pairs.iter().filter(|(key, _)| key[0] == layout::REQUEST).count(),
            Part::Begin(_) | Part::Commits(_) | Part::Roster(_) | Part::End(_) => 0,
        });
        kept.sum::<usize>()
    };
    assert_eq!(answers(&first), 1);
    let second = segment(&mut net, 0, end(&first).1);
    assert_eq!((end(&second).0, answers(&second)), (1, 2));
    assert_restores(&mut net, 0, vec![first, second]);
    // A request that is sent again gets the answer of then.
    let again = net.write(0, named(0, 6, "meanwhile")).unwrap();
    assert!(again.commit.is_some());
    assert_eq!(net.nodes[0].replica.commits_held(), 5);
}

#[test]
fn a_store_in_another_order_is_backed_up_anew() {
    let mut net = scene();
    let first = segment(&mut net, 0, None);
    // The same commits, fetched from the peer.
    net.restart_over(0, Memory::new());
    net.meet(0, 1);
    net.set(1, record(4), &[("x/name", "E")]);
    net.settle();
    let (_, last) = end(&first);
    let moved = last.map(|last| Place { position: last.position + 7, ..last });
    let alone = segment(&mut net, 0, moved);
    assert_eq!(end(&alone).0, 4);
    let mut chain = Chain::default();
    check(&mut chain, alone).unwrap();
    let mut earlier = Chain::default();
    check(&mut earlier, first).unwrap();
    assert_eq!((chain.lacks(earlier.tips()), earlier.lacks(chain.tips())), (0, 1));
}

#[test]
fn segments_that_do_not_fit_are_refused() {
    let mut net = scene();
    let first = segment(&mut net, 0, None);
    let at_first = end(&first).1;
    let mut chain = Chain::default();
    check(&mut chain, first).unwrap();
    assert_eq!(chain.commits(), 3);
    let tips = chain.tips().clone();
    net.set(0, record(3), &[("x/name", "D")]);
    let second = segment(&mut net, 0, at_first);
    net.set(0, record(3), &[("x/name", "E")]);
    let third = segment(&mut net, 0, end(&second).1);
    // One between the two is missing.
    let found = check(&mut Chain::after(tips.clone()), third);
    assert!(matches!(found, Err(Break::Gap(at)) if at.seq == 4), "{found:?}");
    // The log is said to be of somebody who did not sign it.
    let stranger = network_key().key();
    let strange = tips.into_iter().map(|(log, tip)| (log, Tip { node: stranger, ..tip }));
    let found = check(&mut Chain::after(strange.collect()), second);
    assert!(matches!(found, Err(Break::Unauthentic(_))), "{found:?}");
    // Parts are missing.
    let without = |drop: fn(&Part) -> bool| {
        let parts = segment(&mut scene(), 0, None);
        check(&mut Chain::default(), parts.into_iter().filter(|part| !drop(part)).collect())
    };
    let found = without(|part| matches!(part, Part::Commits(_)));
    assert_eq!(found, Err(Break::Count { found: 0, expected: 3 }));
    assert_eq!(without(|part| matches!(part, Part::Roster(_))), Err(Break::Order));
    assert_eq!(without(|part| matches!(part, Part::Begin(_))), Err(Break::Order));
}

#[test]
fn what_follows_from_no_commit_is_kept() {
    let mut net = scene();
    let lane = layout::lane_key("1", 7);
    let marks = [Op::Put(lane.clone(), vec![0; 8]), Op::Put(numbers::LOST.to_vec(), Vec::new())];
    net.nodes[0].store.apply(&marks);
    let parts = segment(&mut net, 0, None);
    let (store, _) = restored(net.now_ms, vec![parts]);
    assert_eq!(store.get(&lane).unwrap(), Some(vec![0; 8]));
    assert_eq!(store.get(numbers::LOST).unwrap(), Some(Vec::new()));
}

#[test]
fn malformed_parts_are_refused() {
    let mut net = scene();
    net.write(0, named(0, 5, "before")).unwrap();
    let node = net.nodes[0].replica.node();
    let store = &net.nodes[0].store;
    let mut source = Source::open(store, node, net.now_ms, None).unwrap().unwrap();
    let mut bytes = source.next(store).unwrap().unwrap().split_off(MAGIC.len());
    loop {
        let (head, body) = bytes.split_first_chunk::<HEAD_BYTES>().unwrap();
        let (kind, _) = read_head(*head).unwrap();
        assert!(Part::decode(kind, body).is_ok());
        assert!(Part::decode(b'x', body).is_err());
        assert!(Part::decode(kind, &body[..body.len() - 1]).is_err(), "{}", char::from(kind));
        match source.next(store).unwrap() {
            Some(next) => bytes = next,
            None => break,
        }
    }
    assert!(read_head([b'C', 0xff, 0, 0, 0]).is_err());
    // A backup puts nothing else into a store than what backups hold.
    let plain = [&[1_u8][..], b"d", &[1], b"x"].concat();
    let body = [&[u8::try_from(plain.len()).unwrap(), 0][..], &plain].concat();
    assert!(Part::decode(b'K', &body).is_err());
    let plain = [&[1_u8][..], b"z", &[1], b"x"].concat();
    let body = [&[u8::try_from(plain.len()).unwrap(), 0][..], &plain].concat();
    assert!(Part::decode(b'K', &body).is_ok());
}
