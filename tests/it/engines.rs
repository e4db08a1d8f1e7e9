//! A node whose store moves from one engine to the other, by the commands that an operator gives.

use node::cli::{Method, Request};
use serde_json::json;

use crate::process::{Processes, concord_json};

#[test]
fn a_node_moves_its_store_to_redb_and_goes_on() {
    if std::env::var_os("CONCORD_STORE_ENGINE").is_some() {
        // It wins over the configuration that this test is about.
        return;
    }
    let mut network = Processes::set_up(&["EMEA"]);
    network.start();
    let node = &mut network.nodes[0];
    let dir = node.dir.to_str().unwrap().to_owned();
    let body = json!({"name": {"legal": "Muster AG"}});
    let written = node.client.ask(&Request::new(Method::POST, "/v1/customers").json(&body));
    written.unwrap();
    let digests = node.digests();
    // Not while it runs.
    let said = concord_json(4, &["store", "migrate", "--to", "redb", "--dir", &dir]);
    assert!(said.to_string().contains("in use by another node"), "{said}");
    node.kill();

    let said = concord_json(0, &["store", "migrate", "--to", "redb", "--dir", &dir]);
    assert_eq!((&said["moved"], &said["configured"]), (&json!(true), &json!(true)), "{said}");
    let path = node.dir.join("concord.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    assert!(config.contains("\nengine = \"redb\"\n"), "{config}");
    let said = concord_json(0, &["store", "migrate", "--to", "redb", "--dir", &dir]);
    assert_eq!((&said["moved"], &said["configured"]), (&json!(false), &json!(false)), "{said}");
    let said = concord_json(0, &["store", "verify", "--dir", &dir]);
    assert_eq!((&said["engine"], &said["problems"]), (&json!("redb"), &json!([])), "{said}");
    let said = concord_json(0, &["verify", "--dir", &dir]);
    assert_eq!(said["problems"], json!([]), "{said}");
    node.start();
    assert_eq!(node.digests(), digests);
    node.kill();
    let said = concord_json(0, &["store", "compact", "--dir", &dir]);
    assert!(said["bytes_before"].as_u64() >= said["bytes_after"].as_u64(), "{said}");

    // As after a power cut between files and line.
    std::fs::write(&path, config.replace("engine = \"redb\"", "engine = \"sled\"")).unwrap();
    let said = concord_json(3, &["run", "--dir", &dir]).to_string();
    assert!(said.contains("redb") && said.contains("concord store migrate --to sled"), "{said}");
    let said = concord_json(0, &["store", "migrate", "--to", "redb", "--dir", &dir]);
    assert_eq!((&said["moved"], &said["configured"]), (&json!(false), &json!(true)), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), config);
    node.start();
    assert_eq!(node.digests(), digests);
}
