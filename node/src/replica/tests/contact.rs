//! Links: who is heard, who is turned away, and how long a node waits before it calls again.

use super::net::{NAMES, Net, record};
use crate::replica::block;
use crate::replica::codec::Reader;
use crate::replica::event::{Event, LinkId};
use crate::replica::frame::{Digests, Frame, Heartbeat, Hello, PROTOCOL_MAX, PROTOCOL_MIN};
use crate::replica::limits::{
    BACKOFF_MS_MAX, BACKOFF_MS_MIN, BLOCK_BYTES_MAX, COURTESY_MS, HEARTBEAT_MS, ROSTER_FRAME_BYTES,
    STALL_MS, VECTOR_ENTRIES_MAX,
};
use crate::replica::roster::Signer;

fn digests() -> Digests {
    Digests { roster_height: 1, control: [1; 32], history: [2; 32], golden: [3; 32], rules: [4; 8] }
}

fn hello(net: &Net) -> Hello {
    Hello {
        version_min: PROTOCOL_MIN,
        version_max: PROTOCOL_MAX,
        network: *net.roster.network_id().as_bytes(),
        clock_ms: net.now_ms,
        digests: digests(),
    }
}

/// Node b gets these bytes as the first thing on a link from a.
fn first_said(bytes: Vec<u8>) -> (Net, Vec<String>) {
    let mut net = Net::new(2);
    net.set(1, record(1), &[("x/name", "A")]);
    let held = net.held(1);
    let link = net.join(0, 1);
    net.lose();
    let actions = net.inject(link, 1, bytes);
    assert_eq!(net.held(1), held, "something was stored");
    (net, actions)
}

fn assert_turned_away(bytes: Vec<u8>, reason: &str) {
    let (mut net, actions) = first_said(bytes);
    assert_eq!(actions, [format!("close a: {reason}")]);
    let status = net.nodes[1].replica.status(net.now_ms);
    assert_eq!(status.refused, 1);
    assert!(!status.peers[0].connected);
    assert_eq!(status.peers[0].last_error.as_deref(), Some(reason));
    // What the driver reports afterwards changes nothing.
    let gone = Event::LinkDown { link: LinkId(1), reason: "closed".to_owned() };
    assert_eq!(net.event(1, gone), [""; 0]);
    assert_eq!(net.nodes[1].replica.status(net.now_ms).refused, 1);
    // The next call is after a pause; b has the higher key, so it also lets a call first.
    assert_eq!(net.event(1, Event::Tick), [""; 0]);
    net.now_ms += BACKOFF_MS_MIN + COURTESY_MS;
    assert!(net.event(1, Event::Tick).contains(&"dial a at a.example:7400".to_owned()));
}

#[test]
fn another_network_is_turned_away() {
    let hello = Hello { network: [9; 32], ..hello(&Net::new(1)) };
    assert_turned_away(Frame::Hello(hello).encode(), "it belongs to another network");
}

#[test]
fn a_peer_without_a_common_version_is_turned_away() {
    let hello = Hello { version_min: 8, version_max: 9, ..hello(&Net::new(1)) };
    let reason = "no common protocol version: it speaks 8 to 9, this node 1 to 2";
    assert_turned_away(Frame::Hello(hello).encode(), reason);
}

#[test]
fn a_peer_of_an_older_release_gets_blocks_that_it_can_read() {
    for (version, form) in [(PROTOCOL_MIN, block::PACKED), (PROTOCOL_MAX, block::COLUMNS)] {
        let mut net = Net::new(2);
        for number in 0..30 {
            net.set(0, record(number), &[("x/name", "Acme")]);
        }
        let link = net.join(1, 0);
        net.lose();
        let hello = Hello { version_max: version, ..hello(&net) };
        net.inject(link, 0, Frame::Hello(hello).encode());
        net.inject(link, 0, Frame::Vector(Vec::new()).encode());
        let commits = |frame: &[u8]| matches!(Frame::decode(frame), Ok(Frame::Commits(_)));
        let frames: Vec<&[u8]> = net.frames().filter(|frame| commits(frame)).collect();
        let mut longest = Reader::new(&frames.iter().max_by_key(|it| it.len()).unwrap()[1..]);
        longest.number().unwrap();
        assert_eq!(longest.byte(), Ok(form), "version {version}");
    }
}

#[test]
fn nothing_is_taken_before_the_hello() {
    let beat = Heartbeat { clock_ms: 1, digests: digests(), newest: None };
    let frames = [
        Frame::Heartbeat(beat),
        Frame::Vector(Vec::new()),
        Frame::Ack(Vec::new()),
        Frame::Commits(Vec::new()),
        Frame::Roster { from: 0, entries: vec![0] },
    ];
    for frame in frames {
        assert_turned_away(frame.encode(), "a frame came before the hello");
    }
}

#[test]
fn what_is_not_a_frame_is_turned_away() {
    let garbled = |what: &str| format!("a frame cannot be decoded: {what}");
    let number = |value: usize| {
        let mut out = crate::replica::codec::Writer::new();
        out.length(value);
        out.into_bytes()
    };
    let whole = Frame::Hello(hello(&Net::new(1))).encode();
    let over = "a length is over its bound";
    let cases = [
        (Vec::new(), "the bytes end too early"),
        (vec![77], "an unknown version, kind or flag"),
        (b"GET / HTTP/1.1".to_vec(), "an unknown version, kind or flag"),
        (whole[..40].to_vec(), "the bytes end too early"),
        ([whole.as_slice(), &[0]].concat(), "there are bytes after the end"),
        ([&[2, 0], number(ROSTER_FRAME_BYTES + 1).as_slice()].concat(), over),
        ([&[3], number(VECTOR_ENTRIES_MAX + 1).as_slice()].concat(), over),
        ([&[4], number(BLOCK_BYTES_MAX + 1).as_slice(), &[0]].concat(), over),
        ([&[5], number(VECTOR_ENTRIES_MAX + 1).as_slice()].concat(), over),
        // A block that unpacks to more than it says.
        (bomb(), "an unknown version, kind or flag"),
    ];
    for (bytes, what) in cases {
        assert_turned_away(bytes, &garbled(what));
    }
}

fn bomb() -> Vec<u8> {
    let mut block = vec![4, 100, 1];
    block.extend(zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap());
    block
}

#[test]
fn of_two_links_both_keep_the_call_of_the_lower_key() {
    // Whatever the order in which each end hears of them.
    for (first_at_a, first_at_b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut net = Net::new(2);
        let calls = [net.new_link(0, 1), net.new_link(1, 0)];
        for (at, first) in [(0, first_at_a), (1, first_at_b)] {
            net.up(calls[first], at);
            net.up(calls[1 - first], at);
            let kept: Vec<LinkId> = net.nodes[at].replica.links.keys().copied().collect();
            assert_eq!(kept, [calls[0]], "{} with {first} first", NAMES[at]);
        }
        net.settle();
        net.set(0, record(1), &[("x/name", "A")]);
        net.settle();
        net.assert_equal();
    }
}

#[test]
fn a_second_call_of_one_side_replaces_the_first() {
    for caller in [0, 1] {
        let mut net = Net::new(2);
        net.meet(caller, 1 - caller);
        let again = net.new_link(caller, 1 - caller);
        let reason = format!("close {}: a second link of one pair", NAMES[1 - caller]);
        let greeting = format!("to {}: hello", NAMES[1 - caller]);
        assert_eq!(net.up(again, caller), [reason, greeting]);
    }
}

#[test]
fn the_pause_between_calls_doubles_up_to_a_cap() {
    let mut net = Net::new(2);
    assert_eq!(net.event(0, Event::Tick), ["dial b at b.example:7400"]);
    let peer = net.nodes[1].key.key();
    let mut longest = BACKOFF_MS_MIN;
    for attempt in 0..20 {
        let failed = Event::DialFailed { peer, reason: "no route".to_owned() };
        assert_eq!(net.event(0, failed), [""; 0]);
        let failed_ms = net.now_ms;
        loop {
            net.now_ms = net.nodes[0].replica.next_deadline().max(net.now_ms);
            if !net.event(0, Event::Tick).is_empty() {
                break;
            }
        }
        let pause = net.now_ms - failed_ms;
        assert!(pause > longest / 2 && pause <= longest, "attempt {attempt}: {pause} of {longest}");
        longest = (longest * 2).min(BACKOFF_MS_MAX);
    }
    let status = net.nodes[0].replica.status(net.now_ms);
    assert_eq!(status.peers[0].last_error.as_deref(), Some("no route"));
    // A link that lasts a heartbeat ends the waiting.
    let link = net.meet(0, 1);
    net.wait(1);
    net.cut(link);
    net.now_ms += BACKOFF_MS_MIN;
    assert!(net.event(0, Event::Tick).contains(&"dial b at b.example:7400".to_owned()));
}

#[test]
fn a_peer_that_says_hello_and_then_misbehaves_is_called_ever_more_seldom() {
    let mut net = Net::new(2);
    for _ in 0..12 {
        let link = net.join(0, 1);
        net.settle();
        assert!(net.inject(link, 0, vec![99])[0].starts_with("close b: a frame cannot be"));
        net.cut(link);
    }
    let due = net.nodes[0].replica.peers.values().map(|peer| peer.dial_at_ms).max().unwrap();
    assert!(due - net.now_ms > BACKOFF_MS_MAX / 2);
}

#[test]
fn a_clock_that_is_set_back_by_an_hour_stops_no_timer() {
    let mut net = Net::new(2);
    let peer = net.nodes[1].key.key();
    net.event(0, Event::Tick);
    net.event(0, Event::DialFailed { peer, reason: "no route".to_owned() });
    net.now_ms -= 3_600_000;
    net.event(0, Event::Tick);
    net.now_ms += BACKOFF_MS_MAX;
    assert!(net.event(0, Event::Tick).contains(&"dial b at b.example:7400".to_owned()));
    // With a link: heartbeats, and vectors when nothing moves.
    let link = net.meet(0, 1);
    net.now_ms -= 3_600_000;
    net.event(0, Event::Tick);
    net.now_ms += HEARTBEAT_MS;
    assert!(net.event(0, Event::Tick).contains(&"to b: heartbeat".to_owned()));
    net.settle();
    net.now_ms += STALL_MS;
    let digests = Digests { history: [2; 32], ..net.nodes[0].replica.digests() };
    let beat = Heartbeat { clock_ms: net.now_ms, digests, newest: None };
    let said = net.inject(link, 0, Frame::Heartbeat(beat).encode());
    assert!(said.iter().any(|said| said.starts_with("to b: vector")), "{said:?}");
    // The peer's clock did not step: what it said before is still right.
    let offset = net.nodes[0].replica.peers[&peer].clock_offset_ms;
    assert!(offset.abs() < 10_000, "{offset}");
}

#[test]
fn two_alarms_that_take_turns_are_told_once_each() {
    let mut net = Net::new(2);
    let link = net.meet(0, 1);
    let ours = net.nodes[0].replica.digests();
    let golden = Digests { golden: [0; 32], ..ours };
    let control = Digests { control: [0; 32], ..ours };
    let mut told = Vec::new();
    for digests in [golden, control, golden, control] {
        let beat = Heartbeat { clock_ms: net.now_ms, digests, newest: None };
        told.extend(net.inject(link, 0, Frame::Heartbeat(beat).encode()));
    }
    told.retain(|said| said.starts_with("alarm"));
    assert_eq!(told.len(), 2, "{told:?}");
}
