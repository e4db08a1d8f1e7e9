//! The one thing to do about a peer that is slow, stuck or not there.

use super::peers::{Link, Peer};
use super::roster::Member;
use super::status::PeerStatus;

/// How long something may take before anybody has to do anything about it, in milliseconds: more than
/// the longest pause between attempts to connect.
const PATIENCE_MS: u64 = 60_000;

/// What an operator should do about a peer; none while all is well or mends itself.
pub(super) fn advice(
    status: &PeerStatus,
    member: &Member,
    peer: &Peer,
    link: Option<&Link>,
    now_ms: u64,
) -> Option<String> {
    let lasts = |since_ms: u64| now_ms.saturating_sub(since_ms) > PATIENCE_MS;
    let name = &member.name;
    let Some(link) = link.filter(|_| status.connected) else {
        return lasts(peer.since_ms).then(|| unreached(status, member));
    };
    if status.equal_history {
        return (!status.equal_golden && lasts(link.progress_ms)).then(|| {
            "Run `concord status` on both: they show other golden records. When releases and policies are equal, run `concord verify` on both.".to_owned()
        });
    }
    if status.behind > 0 && link.in_flight > 0 && lasts(status.behind_since_ms) {
        return Some(format!(
            "Wait, or give the path to {name} more bandwidth: it is being sent what it lacks, {} bytes are under way.",
            link.in_flight
        ));
    }
    if status.behind > 0 && lasts(status.behind_since_ms) && lasts(link.progress_ms) {
        return Some(format!(
            "Look at `concord status` and the log of {name}: it is sent everything and takes nothing, as a node does whose disk is full or whose store is damaged."
        ));
    }
    None
}

/// About a peer without a link.
fn unreached(status: &PeerStatus, member: &Member) -> String {
    let name = &member.name;
    match (member.addresses.first(), &status.last_error) {
        (None, _) => format!(
            "See that {name} runs and reaches this node: it has no address, so only it can call."
        ),
        (Some(address), None) => format!(
            "See that {name} runs, and that UDP to {address} is let through; or change its address with `concord network admit`."
        ),
        (Some(address), Some(error)) => {
            format!(
                "See that {name} runs and answers at {address} by UDP: the last attempt ended with: {error}."
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::node_id::NodeId;

    const NOW_MS: u64 = 1_000_000;

    fn member(addresses: &[&str]) -> Member {
        let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
        let (node, name) = (NodeId::from_bytes([7; 32]), "cape-town".to_owned());
        Member { node, name, region: "EMEA".parse().unwrap(), addresses }
    }

    fn status(connected: bool, behind: u64) -> PeerStatus {
        PeerStatus {
            connected,
            behind,
            behind_since_ms: 1,
            equal_history: behind == 0,
            equal_golden: behind == 0,
            node: NodeId::from_bytes([7; 32]),
            name: "cape-town".to_owned(),
            region: "EMEA".to_owned(),
            since_ms: 1,
            ahead: 0,
            heard_ms: 1,
            bytes_sent: 0,
            bytes_received: 0,
            last_error: None,
            advice: None,
        }
    }

    fn said(status: &PeerStatus, member: &Member, link: Option<&Link>) -> String {
        let peer = Peer { since_ms: 1, ..Peer::default() };
        advice(status, member, &peer, link, NOW_MS).unwrap_or_default()
    }

    #[test]
    fn a_peer_that_is_well_or_was_lost_just_now_needs_nothing() {
        let link = Link::new(NodeId::from_bytes([7; 32]), true, 1);
        let member = member(&["ct:7400"]);
        assert_eq!(said(&status(true, 0), &member, Some(&link)), "");
        let peer = Peer { since_ms: NOW_MS - PATIENCE_MS, ..Peer::default() };
        assert_eq!(advice(&status(false, 3), &member, &peer, None, NOW_MS), None);
    }

    #[test]
    fn each_trouble_has_its_one_thing_to_do() {
        let mut link = Link::new(NodeId::from_bytes([7; 32]), true, 1);
        let member_with = member(&["ct:7400"]);
        let behind = status(true, 212);
        assert!(said(&behind, &member_with, Some(&link)).contains("the log of cape-town"));
        link.in_flight = 900;
        assert!(said(&behind, &member_with, Some(&link)).contains("900 bytes are under way"));
        let other = PeerStatus { equal_golden: false, ..status(true, 0) };
        assert!(said(&other, &member_with, Some(&link)).contains("`concord verify` on both"));
        assert!(said(&status(false, 1), &member_with, None).contains("UDP to ct:7400"));
        assert!(said(&status(false, 1), &member(&[]), None).contains("only it can call"));
        let error = Some("timed out".to_owned());
        let failed = PeerStatus { last_error: error, ..status(false, 1) };
        assert!(said(&failed, &member_with, None).contains("ended with: timed out."));
    }
}
