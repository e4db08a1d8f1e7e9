//! Stores damaged behind the program's back: it says so, serves nothing wrong, and `concord repair`
//! makes the store anew; what is missing comes back from the peers.

use std::path::Path;
use std::time::{Duration, Instant};

use node::cli::{Method, Request};
use serde_json::{Value as Json, json};

use crate::process::{Process, Processes, concord_json};

/// The kinds of entries that are damaged (docs/storage.md).
const DOCUMENT: u8 = b'd';
const COMMIT: u8 = b'c';

/// Customers that each node writes.
const CUSTOMERS: usize = 5;

/// Two nodes that agree, stopped.
fn scene() -> Processes {
    let mut network = Processes::set_up(&["EMEA", "AMER"]);
    network.start();
    for number in 0..CUSTOMERS {
        for node in &network.nodes {
            let body = json!({"name": {"legal": format!("Customer {number} AG")}});
            node.client.ask(&Request::new(Method::POST, "/v1/customers").json(&body)).unwrap();
        }
    }
    network.converge();
    network.nodes.iter_mut().for_each(Process::kill);
    network
}

/// Opens the files of a stopped node's store without the store.
fn raw(dir: &Path, change: impl FnOnce(&sled::Db)) {
    let db = sled::Config::new().path(dir.join("store/sled")).open().unwrap();
    change(&db);
    db.flush().unwrap();
}

/// Flips a bit in every entry of a kind, up to so many.
fn damage(node: &Process, kind: u8, entries: usize) {
    raw(&node.dir, |db| {
        let found: Vec<_> = db.scan_prefix([kind]).take(entries).map(Result::unwrap).collect();
        assert_eq!(found.len(), entries);
        for (key, value) in found {
            let mut value = value.to_vec();
            let last = value.len() - 1;
            value[last] ^= 1;
            db.insert(key, value).unwrap();
        }
    });
}

fn repair(code: i32, node: &Process) -> Json {
    concord_json(code, &["repair", "--dir", node.dir.to_str().unwrap()])
}

fn problems(code: i32, node: &Process) -> Vec<String> {
    let said = concord_json(code, &["verify", "--dir", node.dir.to_str().unwrap()]);
    serde_json::from_value(said["problems"].clone()).unwrap()
}

#[test]
fn a_damaged_record_is_named_and_is_served_again_from_its_commits() {
    let mut network = scene();
    damage(&network.nodes[0], DOCUMENT, 1);
    let said = problems(1, &network.nodes[0]);
    assert!(said.iter().any(|text| text.starts_with("customer ")), "{said:?}");
    // The node starts: the document is a cache.
    network.nodes[0].start();
    let shown = network.nodes[0].client.ask(&Request::get("/v1/customers")).unwrap();
    assert_eq!(shown["items"].as_array().unwrap().len(), 2 * CUSTOMERS);
    network.nodes[0].kill();
    // Nothing that counts was damaged, so nothing is missing afterwards.
    let said = repair(0, &network.nodes[0]);
    assert_eq!((&said["lost"], &said["whole"]), (&json!(0), &json!(true)));
    assert!(Path::new(said["kept"].as_str().unwrap()).is_dir());
    assert_eq!(problems(0, &network.nodes[0]), [""; 0]);
    network.start();
    network.converge();
}

#[test]
fn damaged_commits_are_left_out_and_come_back_from_the_peer() {
    let mut network = scene();
    damage(&network.nodes[0], COMMIT, 3);
    assert!(!problems(1, &network.nodes[0]).is_empty());
    let said = repair(1, &network.nodes[0]);
    assert_eq!(said["whole"], json!(false));
    assert!(said["lost"].as_u64() >= Some(3), "{said}");
    let found = problems(1, &network.nodes[0]);
    assert!(found.iter().all(|text| text.contains("has lost data")), "{found:?}");
    // Alone it serves nothing; with its peer it has everything again.
    network.nodes[0].spawn();
    let client = network.nodes[0].client.clone();
    let deadline = Instant::now() + Duration::from_secs(60);
    let refused = loop {
        match client.ask(&Request::get("/v1/customers")) {
            Err(node::cli::CliError::Problem(problem)) => break problem,
            Ok(answer) => panic!("served {answer}"),
            Err(_) => assert!(Instant::now() < deadline, "{}", network.nodes[0].log()),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(refused.code(), "not-ready");
    network.nodes[1].start();
    while client.ask(&Request::get("/v1/customers")).is_err() {
        assert!(Instant::now() < deadline, "{}", network.nodes[0].log());
        std::thread::sleep(Duration::from_millis(50));
    }
    network.converge();
    network.nodes.iter_mut().for_each(Process::kill);
    assert_eq!(problems(0, &network.nodes[0]), [""; 0]);
}

#[test]
fn a_store_that_cannot_be_opened_is_moved_aside_and_fetched_anew() {
    let mut network = scene();
    // What says how much the store holds.
    raw(&network.nodes[0].dir, |db| {
        let totals = db.scan_prefix([0xff]).map(Result::unwrap).map(|(key, _)| key);
        for key in totals.collect::<Vec<_>>() {
            db.remove(key).unwrap();
        }
    });
    let dir = network.nodes[0].dir.to_str().unwrap().to_owned();
    for command in ["run", "verify"] {
        let said = concord_json(4, &[command, "--dir", &dir]);
        assert!(said.to_string().contains("store"), "{said}");
    }
    let said = repair(1, &network.nodes[0]);
    assert_eq!(said["commits"], json!(0));
    // It answers only once its peer is there.
    network.nodes[0].spawn();
    network.nodes[1].start();
    let deadline = Instant::now() + Duration::from_secs(60);
    while network.nodes[0].client.ask(&Request::get("/v1/customers")).is_err() {
        assert!(Instant::now() < deadline, "{}", network.nodes[0].log());
        std::thread::sleep(Duration::from_millis(50));
    }
    network.converge();
    let shown = network.nodes[0].client.ask(&Request::get("/v1/customers")).unwrap();
    assert_eq!(shown["items"].as_array().unwrap().len(), 2 * CUSTOMERS);
}
