//! Nodes killed in the middle of an import and of a catch-up: no acknowledged write is missing, no
//! commit is half there, and the audit is clean.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use node::cli::{Client, Method, Request};
use serde_json::{Value as Json, json};

use crate::process::Processes;

/// Kills of the importing node, and of the node that catches up.
const KILLS: [u32; 2] = [12, 8];
/// Records in one request: one commit.
const RECORDS: u32 = 40;

/// One request: forty customers that say which request made them.
fn request(number: u32) -> Vec<u8> {
    let line = |at: u32| {
        json!({
            "key": {"system": "kill", "value": format!("{number}-{at}")},
            "customer": {
                "name": {"legal": format!("Customer {number}-{at}")},
                "general": {"language": "de"},
            },
        })
        .to_string()
    };
    (0..RECORDS).map(line).collect::<Vec<_>>().join("\n").into_bytes()
}

/// Sends requests until the node is gone; gives the numbers of those that were acknowledged.
fn import_until_gone(client: &Client, next: &mut u32) -> Vec<u32> {
    let mut acknowledged = Vec::new();
    loop {
        let number = *next;
        *next += 1;
        let bulk = Request::new(Method::POST, "/v1/bulk")
            .header("Concord-Source", "erp-emea")
            .body("application/x-ndjson", request(number));
        match client.ask_bytes(&bulk) {
            Ok(answer) => {
                let lines = String::from_utf8(answer).unwrap();
                let written = lines.lines().filter(|line| line.contains("\"id\"")).count();
                assert_eq!(written, RECORDS as usize, "{lines}");
                acknowledged.push(number);
            }
            Err(_) => return acknowledged,
        }
    }
}

/// A time between two bounds in milliseconds, another one at every run.
fn pause(from_ms: u32, to_ms: u32) -> Duration {
    let random = getrandom::u32().unwrap() % (to_ms - from_ms);
    Duration::from_millis((from_ms + random).into())
}

/// How many customers of each request a node holds.
fn held(client: &Client) -> BTreeMap<u32, u32> {
    let export = client.ask_bytes(&Request::get("/v1/export")).unwrap();
    let mut held = BTreeMap::new();
    for line in String::from_utf8(export).unwrap().lines() {
        let customer: Json = serde_json::from_str(line).unwrap();
        let name = customer["customer"]["name"]["legal"].as_str().unwrap().to_owned();
        let number = name.trim_start_matches("Customer ").split('-').next().unwrap();
        *held.entry(number.parse().unwrap()).or_default() += 1;
    }
    held
}

#[test]
fn a_killed_node_misses_nothing_that_it_acknowledged() {
    let mut network = Processes::set_up(&["EMEA", "AMER"]);
    let mut acknowledged = Vec::new();
    let mut next = 0;
    for kill in 0..KILLS[0] {
        let emea = &mut network.nodes[0];
        emea.start();
        let client = emea.client.clone();
        let numbers = std::thread::scope(|scope| {
            let importer = scope.spawn(|| import_until_gone(&client, &mut next));
            std::thread::sleep(pause(0, 400));
            emea.kill();
            importer.join().unwrap()
        });
        acknowledged.extend(numbers);
        emea.start();
        let held = held(&emea.client);
        let missing = acknowledged.iter().find(|number| held.get(number) != Some(&RECORDS));
        assert_eq!(missing, None, "acknowledged and not whole after kill {kill}");
        let half = held.iter().find(|(_, count)| **count != RECORDS);
        assert_eq!(half, None, "half a commit after kill {kill}");
        emea.kill();
        emea.verify();
    }
    assert!(!acknowledged.is_empty(), "no request was ever acknowledged");

    network.nodes[0].start();
    for _ in 0..KILLS[1] {
        let amer = &mut network.nodes[1];
        amer.spawn();
        std::thread::sleep(pause(100, 700));
        amer.kill();
        amer.verify();
    }
    network.nodes[1].start();
    let deadline = Instant::now() + Duration::from_secs(60);
    while network.nodes[0].digests() != network.nodes[1].digests() {
        assert!(Instant::now() < deadline, "no convergence: {}", network.nodes[1].log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(held(&network.nodes[0].client), held(&network.nodes[1].client));
    for node in &mut network.nodes {
        node.kill();
        node.verify();
    }
}
