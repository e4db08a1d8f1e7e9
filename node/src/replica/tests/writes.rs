//! What becomes of a client's write.

use super::net::{Net, START_MS, record, request, source, stated};
use crate::kv::{Op, View};
use crate::replica::event::LinkId;
use crate::replica::event::{Effect, Precondition, WriteRefusal, WriteRequest};
use crate::replica::frame::{Frame, Heartbeat};
use crate::replica::layout;
use crate::replica::limits::HEARTBEAT_MS;

fn with(precondition: Precondition, mut request: WriteRequest) -> WriteRequest {
    request.records[0].precondition = precondition;
    request
}

#[test]
fn the_same_request_gets_the_same_answer_today_and_tomorrow() {
    let mut net = Net::new(1);
    let mut once = request(0, record(1), &[("x/name", "A")]);
    once.provenance.request = "order-1".to_owned();
    let first = net.write(0, once.clone()).unwrap();
    net.set(0, record(1), &[("x/name", "B")]);
    assert_eq!(net.write(0, once.clone()).unwrap(), first);
    // A restart does not forget, nor does the next day.
    net.restart(0);
    net.now_ms += 24 * 3_600_000;
    net.tick(1);
    assert_eq!(net.write(0, once.clone()).unwrap(), first);
    assert_eq!(net.shown(0, &record(1)), ["x/name=B"]);
    // The day after, it is a new request.
    net.now_ms += 24 * 3_600_000;
    net.tick(1);
    assert_ne!(net.write(0, once).unwrap(), first);
    assert_eq!(net.shown(0, &record(1)), ["x/name=A"]);
}

#[test]
fn preconditions_are_kept() {
    let mut net = Net::new(1);
    let write = |edits: &[(&str, &str)]| request(0, record(1), edits);
    let name = [("x/name", "A")];
    let record = record(1);
    let held = net.held(0);
    let missing = Err(WriteRefusal::Unknown { record });
    assert_eq!(net.write(0, with(Precondition::Exists, write(&name))), missing);
    let nothing = crdt_model::document::CustomerDocument::empty().version();
    assert_eq!(net.write(0, with(Precondition::IsAt(nothing.clone()), write(&name))), missing);
    assert_eq!(net.write(0, with(Precondition::AsOf(nothing), write(&name))), missing);
    assert_eq!(net.held(0), held);
    let first = net.write(0, with(Precondition::IsNew, write(&name))).unwrap();
    assert!(first.records[0].created);
    let held = net.held(0);
    let exists = Err(WriteRefusal::Exists { record });
    assert_eq!(net.write(0, with(Precondition::IsNew, write(&name))), exists);
    assert_eq!(net.held(0), held);
    let seen = first.records[0].version.clone();
    let second = [("x/name", "B")];
    let at_seen = with(Precondition::IsAt(seen.clone()), write(&second));
    let actual = net.write(0, at_seen.clone()).unwrap().records[0].version.clone();
    let changed = WriteRefusal::VersionMismatch { record, expected: seen, actual };
    assert_eq!(net.write(0, at_seen), Err(changed));
    net.write(0, with(Precondition::Exists, write(&[("x/phone", "7")]))).unwrap();
    assert_eq!(net.shown(0, &record), ["x/name=B", "x/phone=7"]);
    net.assert_sound(0);
}

#[test]
fn a_write_as_of_an_older_version_stands_beside_what_came_since() {
    let mut net = Net::new(2);
    net.meet(0, 1);
    let first = net.write(0, request(0, record(1), &[("x/name", "A")])).unwrap();
    net.settle();
    net.write(0, request(0, record(1), &[("x/name", "B")])).unwrap();
    net.settle();
    let seen = first.records[0].version.clone();
    let older = with(Precondition::AsOf(seen), request(0, record(1), &[("x/name", "C")]));
    net.write(0, older).unwrap();
    net.settle();
    net.assert_equal();
    assert_eq!(net.shown(1, &record(1)), ["x/name=C !"]);
    assert_eq!(net.nodes[1].replica.status(net.now_ms).conflicted_records, 1);
    // Who has seen both decides.
    net.set(0, record(1), &[("x/name", "D")]);
    net.settle();
    net.assert_equal();
    assert_eq!(net.shown(1, &record(1)), ["x/name=D"]);
    assert_eq!(net.nodes[1].replica.status(net.now_ms).conflicted_records, 0);
}

#[test]
fn the_answer_says_what_took_effect_and_what_is_kept_as_a_claim() {
    let mut net = Net::new(1);
    let write = |source: &str, text: &str| {
        let mut request = request(0, record(1), &[("name/legal", text)]);
        request.source = source.parse().unwrap();
        request
    };
    let receipt = net.write(0, write("manual-emea", "Acme AG")).unwrap();
    assert_eq!(receipt.records[0].fields[0].effect, Effect::TookEffect);
    let receipt = net.write(0, write("crm", "ACME")).unwrap();
    let field = &receipt.records[0].fields[0];
    assert_eq!(field.effect, Effect::KeptAsClaim);
    let winner = field.resolution.as_ref().unwrap().winner.as_ref().unwrap();
    assert_eq!(winner.source.as_str(), "manual-emea");
    let receipt = net.write(0, write("crm", "ACME")).unwrap();
    assert_eq!(receipt.commit, None);
    assert_eq!(receipt.records[0].fields[0].effect, Effect::Unchanged);
}

#[test]
fn a_write_of_many_records_is_one_commit_or_none() {
    let mut net = Net::new(2);
    net.meet(0, 1);
    let mut many = request(0, record(0), &[("x/name", "A")]);
    let one = many.records[0].clone();
    for number in 1..100 {
        let mut other = one.clone();
        other.record = record(number);
        many.records.push(other);
    }
    let receipt = net.write(0, many.clone()).unwrap();
    assert_eq!((receipt.records.len(), receipt.commit.unwrap().seq), (100, 1));
    net.settle();
    net.assert_equal();
    // The last one is refused, so nothing of the write is done.
    let held = net.held(0);
    let edits: Vec<_> = vec![("x/name".parse().unwrap(), stated("B"))];
    many.records.iter_mut().for_each(|write| write.edits.clone_from(&edits));
    many.records[99].precondition = Precondition::IsNew;
    assert!(matches!(net.write(0, many.clone()), Err(WriteRefusal::Exists { .. })));
    many.records[99].precondition = Precondition::None;
    many.records.push(one);
    assert!(matches!(net.write(0, many.clone()), Err(WriteRefusal::Malformed { .. })));
    many.records[100].record = record(100);
    assert!(matches!(net.write(0, many), Err(WriteRefusal::TooLarge { .. })));
    let mut huge = request(0, record(1), &[]);
    huge.records[0].edits = (0..5)
        .map(|at| (format!("x/text/{at}").parse().unwrap(), stated(&"x".repeat(60_000))))
        .collect();
    assert!(matches!(net.write(0, huge), Err(WriteRefusal::TooLarge { .. })));
    assert_eq!(net.held(0), held);
}

#[test]
fn a_clock_that_two_peers_call_wrong_refuses_writes() {
    let mut net = Net::new(3);
    net.meet(0, 1);
    net.meet(0, 2);
    // Node a lives six minutes ahead of both.
    net.now_ms = START_MS + HEARTBEAT_MS;
    for at in [1, 2] {
        let said = net.event(at, crate::replica::event::Event::Tick);
        assert!(said.contains(&"to a: heartbeat".to_owned()), "{said:?}");
    }
    net.now_ms += 6 * 60_000;
    net.settle();
    let refused = net.write(0, request(0, record(1), &[("x/name", "A")]));
    assert_eq!(refused, Err(WriteRefusal::ClockSkew { offset_s: 360 }));
    assert_eq!(net.nodes[0].replica.status(net.now_ms).clock_offset_s, Some(360));
    // One peer alone proves nothing, and what was heard over an hour ago does not count.
    net.now_ms += 61 * 60_000;
    assert!(net.write(0, request(0, record(1), &[("x/name", "A")])).is_ok());
}

#[test]
fn a_clock_that_is_wrong_the_other_way_refuses_writes_too() {
    let mut net = Net::new(3);
    net.now_ms += 6 * 60_000;
    net.join(1, 0);
    net.join(2, 0);
    net.now_ms = START_MS;
    net.settle();
    let refused = net.write(0, request(0, record(1), &[("x/name", "A")]));
    assert_eq!(refused, Err(WriteRefusal::ClockSkew { offset_s: -360 }));
}

#[test]
fn one_wrong_clock_in_a_network_of_three_stops_nobody_else() {
    for wrong in [u64::MAX, 0, START_MS + 3_600_000] {
        let mut net = Net::new(3);
        net.meet(0, 1);
        let link = net.meet(0, 2);
        let digests = net.nodes[2].replica.digests();
        let beat = Heartbeat { clock_ms: wrong, digests, newest: None };
        net.inject(link, 0, Frame::Heartbeat(beat).encode());
        let written = net.write(0, request(0, record(1), &[("x/name", "A")]));
        assert!(written.is_ok(), "{wrong}: {written:?}");
    }
}

#[test]
fn a_clock_counts_as_long_as_there_is_a_link() {
    let mut net = Net::new(3);
    net.meet(0, 1);
    let link = net.meet(0, 2);
    net.now_ms += 6 * 60_000;
    net.join(1, 2);
    net.now_ms -= 6 * 60_000;
    for (at, link) in [(1, LinkId(1)), (2, link)] {
        let beat = Heartbeat {
            clock_ms: net.now_ms + 6 * 60_000,
            digests: net.nodes[at].replica.digests(),
            newest: None,
        };
        net.inject(link, 0, Frame::Heartbeat(beat).encode());
    }
    let refused = net.write(0, request(0, record(1), &[("x/name", "A")]));
    assert_eq!(refused, Err(WriteRefusal::ClockSkew { offset_s: -360 }));
    net.cut(link);
    assert!(net.write(0, request(0, record(1), &[("x/name", "A")])).is_ok());
}

#[test]
fn times_of_one_log_rise_though_the_clock_falls_back() {
    let mut net = Net::new(1);
    net.set(0, record(1), &[("x/name", "A")]);
    // The clock was an hour ahead, and is set right.
    net.now_ms -= 3_600_000;
    net.set(0, record(1), &[("x/name", "B")]);
    net.set(0, record(1), &[("x/name", "C")]);
    let records = crate::replica::records::Records::new(&net.nodes[0].store);
    let commits = records.history(&record(1), 0, 10).unwrap();
    let times: Vec<_> =
        commits.iter().map(|(_, at)| records.header(at).unwrap().unwrap().header.time).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
}

#[test]
fn a_node_that_is_no_member_and_a_source_of_another_region() {
    let mut net = Net::with_roster(super::net::roster_of(1), 2);
    let refused = net.write(1, request(1, record(1), &[("x/name", "A")]));
    assert_eq!(refused, Err(WriteRefusal::NotAMember));
    // Any source may write at any node: the token names it, and the claim says where it was made.
    let mut foreign = request(0, record(1), &[("x/name", "A")]);
    foreign.source = source(1);
    assert!(net.write(0, foreign).is_ok());
}

#[test]
fn a_record_that_is_written_often_does_not_age() {
    let mut net = Net::new(1);
    let said = |letter: usize| {
        let letter = char::from(b'a' + u8::try_from(letter % 26).unwrap()).to_string();
        letter.repeat(60 << 10)
    };
    let mut refused = None;
    for times in 0..80 {
        match net.write(0, request(0, record(1), &[("x/name", &said(times))])) {
            Ok(_) => assert!(times < 70, "{times}"),
            Err(refusal) => {
                refused = Some(refusal);
                break;
            }
        }
    }
    let Some(WriteRefusal::RecordFull { what, .. }) = refused else { panic!("{refused:?}") };
    assert!(what.starts_with("its history has"), "{what}");
    // What it says counts by itself.
    let texts: Vec<(String, String)> = (0..5).map(|n| (format!("x/n{n}"), said(n))).collect();
    let mut last = None;
    for (path, text) in &texts {
        last = Some(net.write(0, request(0, record(2), &[(path, text)])));
    }
    let Some(Err(WriteRefusal::RecordFull { what, .. })) = last else { panic!("{last:?}") };
    assert!(what.starts_with("what its sources say"), "{what}");
}

#[test]
fn input_that_breaks_a_rule_is_not_called_too_large() {
    let mut net = Net::new(1);
    let long = "y".repeat(65 << 10);
    let twice = request(0, record(1), &[("x/name", "A"), ("x/name", "B")]);
    let long = request(0, record(1), &[("x/name", &long)]);
    let mut named_twice = request(0, record(1), &[("x/name", "A")]);
    named_twice.records.push(named_twice.records[0].clone());
    for wrong in [twice, long, named_twice] {
        let refused = net.write(0, wrong);
        assert!(matches!(refused, Err(WriteRefusal::Malformed { .. })), "{refused:?}");
    }
}

#[test]
fn answers_of_a_busy_day_are_forgotten_in_time() {
    let mut net = Net::new(1);
    let day = super::super::day(net.now_ms);
    let answer = |day: u32, number: u32| {
        Op::Put(layout::request_key(day, &number.to_string()), b"{}".to_vec())
    };
    let old = (0..2_500).map(|number| answer(day - 2, number));
    let kept = (0..50).flat_map(|number| [answer(day - 1, number), answer(day, number)]);
    let all: Vec<Op> = old.chain(kept).collect();
    net.nodes[0].store.apply(&all);
    let answers = |net: &Net| {
        let view: &dyn View = &net.nodes[0].store;
        view.scan(&[layout::REQUEST], &[layout::REQUEST], 10_000).unwrap().len()
    };
    net.tick(HEARTBEAT_MS);
    assert_eq!(answers(&net), 1_600);
    net.wait(3);
    assert_eq!(answers(&net), 100);
    // Nothing is read and nothing is written when none is old.
    assert_eq!(net.tick(HEARTBEAT_MS), [""; 0]);
}
