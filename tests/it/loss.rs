//! Stores that come back empty: the node notices, serves nothing, and fetches everything back.

use std::time::{Duration, Instant};

use node::cli::{Method, Request};
use serde_json::json;

use crate::process::Processes;

fn create(network: &Processes, at: usize, name: &str) {
    let body = json!({"name": {"legal": name}});
    let request = Request::new(Method::POST, "/v1/customers").json(&body);
    network.nodes[at].client.ask(&request).unwrap();
}

fn await_equal(network: &Processes) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while network.nodes[0].digests() != network.nodes[1].digests() {
        assert!(Instant::now() < deadline, "no convergence: {}", network.nodes[0].log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_node_whose_store_is_gone_serves_nothing_until_a_peer_gave_it_back() {
    let mut network = Processes::set_up(&["EMEA", "AMER"]);
    network.nodes.iter_mut().for_each(|node| node.start());
    create(&network, 0, "Alpha GmbH");
    create(&network, 1, "Beta Inc");
    await_equal(&network);
    network.nodes.iter_mut().for_each(|node| node.kill());
    std::fs::remove_dir_all(network.nodes[0].dir.join("store")).unwrap();

    // Alone it must not answer as if there had never been a customer.
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
    let write = Request::new(Method::POST, "/v1/customers").json(&json!({"name": {"legal": "X"}}));
    assert!(
        matches!(client.ask(&write), Err(node::cli::CliError::Problem(p)) if p.code() == "not-ready")
    );

    // With its peer it gets everything back, and goes on in a new log.
    network.nodes[1].start();
    while client.ask(&Request::get("/v1/customers")).is_err() {
        assert!(Instant::now() < deadline, "{}", network.nodes[0].log());
        std::thread::sleep(Duration::from_millis(50));
    }
    create(&network, 0, "Gamma Ltd");
    await_equal(&network);
    let held = client.ask(&Request::get("/v1/customers")).unwrap();
    assert_eq!(held["items"].as_array().unwrap().len(), 3);
    for node in &mut network.nodes {
        node.kill();
        node.verify();
    }
}
