//! New nodes filled from a peer by the real program: proved equal to two others, gone on with after a
//! kill, and not called proved when a peer is away.

use std::process::{Command, Stdio};
use std::time::Duration;

use node::cli::Request;
use node::cli::{Client, Method};
use serde_json::{Value as Json, json};

use crate::process::{CONCORD, Process, Processes, concord_json};

/// Records in one request.
const RECORDS: u32 = 40;

fn import(client: &Client, requests: u32) {
    for number in 0..requests {
        let line = |at: u32| {
            let name = format!("Customer {number}-{at}");
            let key = json!({"system": "new", "value": format!("{number}-{at}")});
            json!({"key": key, "customer": {"name": {"legal": name}}}).to_string()
        };
        let body: Vec<String> = (0..RECORDS).map(line).collect();
        let bulk = Request::new(Method::POST, "/v1/bulk")
            .header("Concord-Source", "erp-emea")
            .body("application/x-ndjson", body.join("\n").into_bytes());
        client.ask_bytes(&bulk).unwrap();
    }
}

fn bootstrap(code: i32, node: &Process, from: &str) -> Json {
    let dir = node.dir.to_str().unwrap();
    concord_json(code, &["bootstrap", "--from", from, "--dir", dir, "--patience", "8"])
}

fn names(peers: &Json) -> Vec<&str> {
    peers.as_array().unwrap().iter().map(|peer| peer["peer"].as_str().unwrap()).collect()
}

#[test]
fn a_new_node_is_filled_goes_on_after_kills_and_is_proved_equal_to_two_peers() {
    let mut network = Processes::set_up(&["EMEA", "AMER", "APAC"]);
    network.nodes[..2].iter_mut().for_each(Process::start);
    import(&network.nodes[0].client, 40);
    let digests = || [0, 1].map(|at: usize| network.nodes[at].digests());
    while digests()[0] != digests()[1] {
        std::thread::sleep(Duration::from_millis(50));
    }
    let new = &network.nodes[2];
    for pause in [300, 700] {
        let mut child = Command::new(CONCORD)
            .args(["bootstrap", "--from", "emea", "--dir", new.dir.to_str().unwrap()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let said = bootstrap(0, new, "emea");
    assert_eq!(names(&said["equal"]), ["amer", "emea"], "{said}");
    let (history, golden) = network.nodes[0].digests();
    for proof in said["equal"].as_array().unwrap() {
        let digests = (proof["history_digest"].as_str(), proof["golden_digest"].as_str());
        assert_eq!(digests, (Some(history.as_str()), Some(golden.as_str())));
    }
    assert_eq!(said["customers"], json!(40 * RECORDS));
    // Once more: nothing is to be done, and it is proved again.
    let said = bootstrap(0, new, "amer");
    assert_eq!(said["before"], said["commits"]);
    new.verify();
    network.nodes[2].start();
    network.converge();
}

#[test]
fn a_node_whose_peers_are_away_is_not_called_proved() {
    let mut network = Processes::set_up(&["EMEA", "AMER", "APAC"]);
    network.nodes[0].start();
    import(&network.nodes[0].client, 2);
    let said = bootstrap(1, &network.nodes[2], "emea");
    assert_eq!((names(&said["equal"]), names(&said["open"])), (vec!["emea"], vec!["amer"]));
    assert_eq!((&said["proved"], &said["wanted"]), (&json!(false), &json!(2)));
    let said = bootstrap(4, &network.nodes[2], "amer").to_string();
    assert!(said.contains("amer gave nothing for 8 seconds"), "{said}");
    let said = bootstrap(3, &network.nodes[2], "mars").to_string();
    assert!(said.contains("names no peer"), "{said}");
}

#[test]
fn with_one_other_member_one_proof_is_enough() {
    let mut network = Processes::set_up(&["EMEA", "AMER"]);
    network.nodes[0].start();
    import(&network.nodes[0].client, 2);
    let said = bootstrap(0, &network.nodes[1], "emea");
    assert_eq!((names(&said["equal"]), &said["wanted"]), (vec!["emea"], &json!(1)));
}
