//! Nodes with real stores over real QUIC.

use std::time::Duration;

use crdt_model::id::RecordId;
use serde_json::json;

use crate::support::{Network, golden_text, until, until_converged, write};

fn record(number: u8) -> RecordId {
    RecordId::derive("test", &number.to_string())
}

/// Three in a line: the ends never meet, the one between passes everything on, in both directions.
#[tokio::test(flavor = "multi_thread")]
async fn three_in_a_line_converge_though_the_ends_never_meet() {
    let network = Network::found(3).in_a_line();
    let (a, b, c) = (network.start(0).await, network.start(1).await, network.start(2).await);
    write(&a, record(1), "erp-emea", json!({"name": {"legal": "Alpha GmbH"}})).await;
    write(&c, record(2), "erp-apac", json!({"name": {"legal": "Gamma Pty Ltd"}})).await;
    until_converged(&[&a, &b, &c], 2).await;
    let seen = golden_text(&c.handle.records(), &record(1), "name/legal");
    assert_eq!(seen.as_deref(), Some("Alpha GmbH"));
    let met = a.handle.status();
    let far = met.peers.iter().find(|peer| peer.name == network.sites[2].name).unwrap();
    assert!(!far.connected, "the ends of the line must not have met");
    for node in [a, b, c] {
        node.stop().await;
    }
}

/// A restart opens a new log that names the end of the old one, and the node goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_a_long_absent_and_a_new_node_catch_up() {
    let network = Network::found(3);
    let (a, b) = (network.start(0).await, network.start(1).await);
    for number in 0..20 {
        write(&a, record(number), "erp-emea", json!({"name": {"legal": format!("C{number}")}}))
            .await;
    }
    until_converged(&[&a, &b], 20).await;
    b.stop().await;
    for number in 0..20 {
        write(&a, record(number), "crm-emea", json!({"general": {"language": "de"}})).await;
    }
    let b = network.start(1).await;
    write(&b, record(3), "erp-amer", json!({"company": {"2000": {"payment_terms": "NT30"}}})).await;
    let c = network.start(2).await;
    until_converged(&[&a, &b, &c], 41).await;
    assert_eq!(a.handle.status().alarms, Vec::<String>::new());
    for node in [a, b, c] {
        node.stop().await;
    }
}

/// When nothing changed, a reconnect costs two hellos: at most 400 bytes both ways together.
#[tokio::test(flavor = "multi_thread")]
async fn a_reconnect_without_changes_costs_at_most_400_bytes() {
    let network = Network::found(2);
    let (a, b) = (network.start(0).await, network.start(1).await);
    for number in 0..10 {
        write(&a, record(number), "erp-emea", json!({"name": {"legal": format!("C{number}")}}))
            .await;
    }
    until_converged(&[&a, &b], 10).await;
    b.stop().await;
    until("the link is gone", &[&a], |status| !status.peers[0].connected).await;
    let b = network.start(1).await;
    until("linked again", &[&a, &b], |status| status.peers[0].connected).await;
    let (seen_by_a, seen_by_b) = (a.handle.status(), b.handle.status());
    // The second node has just started: what it counts is of this meeting alone.
    let (to_b, to_a) = (seen_by_b.peers[0].bytes_received, seen_by_b.peers[0].bytes_sent);
    assert!(to_a + to_b <= 400, "{to_a} + {to_b} bytes");
    assert!(seen_by_a.peers[0].equal_history && seen_by_b.peers[0].equal_history);
    tokio::time::sleep(Duration::from_millis(50)).await;
    for node in [a, b] {
        node.stop().await;
    }
}
