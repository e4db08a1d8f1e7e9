//! How large a roster may become: never larger than what reads back.

use crdt_model::id::LogId;

use super::net::{member, network_key, roster_of};
use crate::replica::commit::Head;
use crate::replica::limits::{FOLLOWS_MAX, MEMBERS_MAX};
use crate::replica::roster::{Member, Roster, RosterError};

fn heads(count: usize) -> Vec<Head> {
    let log = |at: usize| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(at as u64).to_be_bytes());
        LogId::from_bytes(id)
    };
    (0..count).map(|at| Head { log: log(at), seq: u64::MAX, hash: [7; 32] }).collect()
}

#[test]
fn a_roster_never_outgrows_what_can_be_read() {
    let mut roster = roster_of(2);
    let node = member(0).node;
    let many = roster.clone().revoke(node, heads(FOLLOWS_MAX + 1), &network_key());
    assert!(matches!(many, Err(RosterError::Invalid(_))), "{many:?}");
    let mut refused = None;
    for round in 0..200 {
        let longer = roster.revoke(node, heads(FOLLOWS_MAX), &network_key());
        if let Err(error) = longer.and_then(|()| roster.admit(member(0), &network_key())) {
            refused = Some(error);
            break;
        }
        // Near its bound a roster takes a while to read.
        let is_read = round % 40 > 0 || Roster::decode(&roster.encode()).is_ok();
        assert!(is_read, "at height {}", roster.height());
    }
    assert!(refused.is_some_and(|error| error.to_string().starts_with("the roster is full")));
    assert!(Roster::decode(&roster.encode()).is_ok());
    let mut addresses = member(1);
    addresses.addresses = vec!["b.example:7400".to_owned(); 17];
    assert!(roster_of(2).admit(addresses, &network_key()).is_err());
}

#[test]
fn a_member_of_a_full_network_may_move() {
    let mut roster = Roster::found("test", &network_key()).unwrap();
    let nth = |at: usize| {
        let mut node = [0; 32];
        node[..8].copy_from_slice(&(at as u64).to_be_bytes());
        Member {
            node: crate::replica::node_id::NodeId::from_bytes(node),
            name: format!("n-{at}"),
            region: "EMEA".parse().unwrap(),
            addresses: vec!["old.example:7400".to_owned()],
        }
    };
    for at in 0..MEMBERS_MAX {
        roster.admit(nth(at), &network_key()).unwrap();
    }
    assert!(roster.admit(nth(MEMBERS_MAX), &network_key()).is_err());
    let moved = Member { addresses: vec!["new.example:7400".to_owned()], ..nth(3) };
    roster.admit(moved.clone(), &network_key()).unwrap();
    assert_eq!(roster.members().get(&moved.node), Some(&&moved));
    // A name that another member has is taken, also by a member.
    let taken = Member { name: "n-4".to_owned(), ..moved.clone() };
    assert!(roster.admit(taken, &network_key()).is_err());
    roster.revoke(moved.node, Vec::new(), &network_key()).unwrap();
    assert!(!roster.is_member(&moved.node) && roster.keys().len() == MEMBERS_MAX - 1);
    assert_eq!(roster.members_ever().get(&moved.node), Some(&&moved));
    roster.admit(nth(MEMBERS_MAX), &network_key()).unwrap();
    let read = Roster::decode(&roster.encode()).unwrap();
    assert_eq!(read, roster);
}
