//! Writes that wait for other nodes, and what an answer says about its own freshness.

use std::time::{Duration, Instant};

use crdt_model::id::RecordId;
use node::cli::Request;
use serde_json::{Value as Json, json};

use crate::process::{Processes, concord_json};
use crate::support::{Network, write};

/// Sets the name of a new customer at a node, with the exit code that is expected.
fn create(processes: &Processes, at: usize, code: i32, wish: &[&str]) -> Json {
    let dir = processes.nodes[at].dir.to_str().unwrap();
    let words = ["set", "--dir", dir, "--create", "name/legal=Marlin"];
    concord_json(code, &[&words[..], wish].concat())
}

#[test]
fn a_write_waits_for_as_many_nodes_as_wanted_and_says_how_many_hold_it() {
    let mut processes = Processes::set_up(&["EMEA", "APAC", "AMER"]);
    processes.start();
    let both = create(&processes, 0, 0, &["--durability", "sites:2"]);
    assert_eq!(both["durability"], "sites:2");
    assert!(create(&processes, 0, 0, &["--durability", "local"])["durability"].is_null());
    // What the answer promised is true: the two others alone still have it.
    processes.nodes[0].kill();
    let id = both["id"].as_str().unwrap();
    for node in &processes.nodes[1..] {
        node.client.ask(&Request::get(format!("/v1/customers/{id}"))).unwrap();
    }
    let begun = Instant::now();
    let one = create(&processes, 1, 1, &["--durability", "sites:2", "--wait", "1"]);
    assert_eq!(one["durability"], "sites:1; wanted=2");
    assert!(begun.elapsed() >= Duration::from_secs(1), "nobody waited");
    // The write is not taken back, and goes on by itself.
    let late = one["id"].as_str().unwrap();
    processes.nodes[0].start();
    let page = Request::get(format!("/v1/customers/{late}"));
    let deadline = Instant::now() + Duration::from_secs(30);
    while processes.nodes[0].client.ask(&page).is_err() {
        assert!(Instant::now() < deadline, "it did not go on");
        std::thread::sleep(Duration::from_millis(20));
    }
    // A wish that cannot come true is refused before anything is written.
    let count = |at: usize| status(&processes, at)["commits"].as_u64().unwrap();
    let before = count(1);
    let refused = create(&processes, 1, 3, &["--durability", "sites:3"]);
    assert_eq!(refused["code"], "sites-too-many");
    assert_eq!(create(&processes, 1, 3, &["--durability", "all"])["code"], "header-invalid");
    assert_eq!(count(1), before);
}

fn status(processes: &Processes, at: usize) -> Json {
    processes.nodes[at].client.ask(&Request::get("/v1/status")).unwrap()
}

/// What an answer of a node says of a region.
fn complete(processes: &Processes, at: usize, region: &str) -> String {
    let client = &processes.nodes[at].client;
    let (_, header) = client.ask_with(&Request::get("/v1/customers"), "Concord-Complete").unwrap();
    let header = header.unwrap();
    let prefix = format!("{region}=");
    header.split(", ").find_map(|part| part.strip_prefix(&prefix)).unwrap().to_owned()
}

#[test]
fn an_answer_says_up_to_when_it_is_complete_for_each_region() {
    let mut processes = Processes::set_up(&["EMEA", "APAC"]);
    processes.nodes[0].start();
    assert_eq!(complete(&processes, 0, "APAC"), "unknown");
    processes.nodes[1].start();
    create(&processes, 1, 0, &["--durability", "sites:1"]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while status(&processes, 0)["agreement"]["equal"] != 1 {
        assert!(Instant::now() < deadline, "{}", status(&processes, 0));
        std::thread::sleep(Duration::from_millis(20));
    }
    let sentence = &status(&processes, 0)["agreement"]["sentence"];
    assert_eq!(sentence, "equal with 1 of 1, history and golden");
    processes.nodes[1].kill();
    std::thread::sleep(Duration::from_millis(300));
    let stood = complete(&processes, 0, "APAC");
    let own = complete(&processes, 0, "EMEA");
    // Times in RFC 3339 with milliseconds sort as they are.
    assert!(stood < own, "{stood} {own}");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(complete(&processes, 0, "APAC"), stood);
}

/// Questions, acknowledgements and clocks write nothing. However many come, a write after them is heard.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_asked_many_times_without_a_write_still_hears_one() {
    let network = Network::found(1);
    let node = network.start(0).await;
    for _ in 0..600 {
        let asked = node.handle.await_sites(0, Duration::from_secs(30));
        tokio::time::timeout(Duration::from_secs(60), asked).await.expect("the node hears nobody");
    }
    let record = RecordId::derive("durability", "1");
    let written = write(&node, record, "erp-emea", json!({"name": {"legal": "Marlin"}}));
    tokio::time::timeout(Duration::from_secs(60), written).await.expect("the node hears nobody");
    node.stop().await;
}
