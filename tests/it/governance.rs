//! Governance across regions: the policy from a governor's file to every node.

use std::time::{Duration, Instant};

use node::cli::{Client, Method, Request};
use serde_json::{Value as Json, json};

use crate::process::{Processes, concord, concord_json};

fn patch(client: &Client, id: &str, source: &str, body: &Json) -> Json {
    let request = Request::new(Method::PATCH, format!("/v1/customers/{id}"))
        .header("Concord-Source", source)
        .body("application/merge-patch+json", body.to_string().into_bytes());
    client.ask(&request).unwrap()
}

fn create(client: &Client, source: &str, body: &Json) -> String {
    let request =
        Request::new(Method::POST, "/v1/customers").header("Concord-Source", source).json(body);
    client.ask(&request).unwrap()["id"].as_str().unwrap().to_owned()
}

/// Asks until the answer is as it should be.
fn wait_for(client: &Client, page: &str, is_so: impl Fn(&Json) -> bool) -> Json {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = client.ask(&Request::get(page)).unwrap();
        if is_so(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{page} stays {answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A policy under which the ERP knows the website better than the CRM, and two governors sign.
fn policy_text(version: u32, kinds: &str, governors: &[(&str, &str)]) -> String {
    let keys: String =
        governors.iter().map(|(name, key)| format!("{name} = \"{key}\"\n")).collect();
    format!(
        "version = {version}\nsource_kinds = [{kinds}]\n\n[rules]\n\
         \"general/website\" = \"source-priority\"\n\n\
         [governors]\nneeded = 2\n\n[governors.keys]\n{keys}"
    )
}

#[test]
fn a_policy_goes_from_the_file_of_a_governor_to_every_node_and_changes_what_simulate_said() {
    let mut network = Processes::set_up(&["EMEA", "AMER"]);
    network.start();
    let [emea, amer] = &network.nodes[..] else { panic!("two nodes") };
    let website = |host: &str| json!({"general": {"website": format!("https://{host}.example/")}});
    let contested = create(&emea.client, "crm-emea", &website("crm"));
    patch(&emea.client, &contested, "erp-emea", &website("erp"));
    let agreed = create(&emea.client, "crm-emea", &website("one"));
    network.converge();

    // Two governors make their keys, and write them into the policy.
    let keys: Vec<String> = ["ann", "ben"]
        .iter()
        .map(|name| {
            let made = concord_json(0, &["policy", "key", &network.path(name)]);
            made["key"].as_str().unwrap().to_owned()
        })
        .collect();
    let governors = [("ann", keys[0].as_str()), ("ben", keys[1].as_str())];
    let file = network.path("policy.toml");
    std::fs::write(&file, policy_text(2, "\"crm\", \"erp\"", &governors)).unwrap();
    assert_eq!(concord_json(0, &["policy", "lint", &file])["faults"], json!([]));

    // What simulate lists is what changes.
    let (url, token) = (emea.client.url(), emea.secret.as_str());
    let node = ["--url", url, "--token", token];
    let diff = concord_json(1, &[&["policy", "diff", &file][..], &node].concat());
    let at: Vec<&str> =
        diff["differences"].as_array().unwrap().iter().filter_map(|it| it["at"].as_str()).collect();
    assert!(at.contains(&"rules.\"general/website\"") && at.contains(&"version"), "{at:?}");
    let said = concord_json(1, &[&["policy", "simulate", &file][..], &node].concat());
    assert_eq!((&said["customers"], &said["changed"]), (&json!(2), &json!(1)));
    assert_eq!(said["changes"][0]["id"], json!(contested));
    let position = emea.client.ask(&Request::get("/v1/status")).unwrap()["feed_position"].clone();

    let dir = network.path("network");
    let to = ["--dir", &dir, "--to", url, "--token", token];
    concord(&[&["policy", "activate", &file][..], &to].concat());
    for node in [emea, amer] {
        wait_for(&node.client, "/v1/policy", |shown| {
            shown["version"] == json!(2) && shown["resolving"] == json!(false)
        });
        let shown = node.client.ask(&Request::get(format!("/v1/customers/{contested}"))).unwrap();
        assert_eq!(shown["customer"]["general"]["website"], json!("https://crm.example/"));
        let shown = node.client.ask(&Request::get(format!("/v1/customers/{agreed}"))).unwrap();
        assert_eq!(shown["customer"]["general"]["website"], json!("https://one.example/"));
    }
    network.converge();
    let page = format!("/v1/changes?since={position}");
    let changes = emea.client.ask(&Request::get(page)).unwrap();
    let by_policy: Vec<&Json> = changes["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["policy"] == json!(2))
        .flat_map(|item| item["records"].as_array().unwrap())
        .collect();
    assert_eq!(by_policy, said["changes"].as_array().unwrap().iter().collect::<Vec<_>>());

    // From now on two governors must sign.
    std::fs::write(&file, policy_text(3, "\"erp\", \"crm\"", &governors)).unwrap();
    let refused = concord_json(3, &[&["policy", "activate", &file][..], &to].concat());
    assert!(refused["detail"].as_str().unwrap().contains("0 valid signatures"), "{refused}");
    let (roster, signed) = (network.path("network/roster"), network.path("signed"));
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1)).to_string();
    let time = ["--at", soon.as_str()];
    let sign = |file: &str, key: &str, time: &[&str]| {
        let key = network.path(key);
        let command =
            ["policy", "sign", file, "--key", &key, "--roster", &roster, "--out", &signed];
        concord(&[&command[..], time].concat());
    };
    sign(&file, "ann", &time);
    let refused = concord_json(3, &[&["policy", "activate", &signed][..], &to].concat());
    assert!(refused["detail"].as_str().unwrap().contains("1 valid signatures"), "{refused}");
    sign(&signed, "ben", &[]);
    concord(&[&["policy", "activate", &signed][..], &to].concat());
    for node in [emea, amer] {
        let shown = wait_for(&node.client, "/v1/policy", |shown| shown["version"] == json!(3));
        assert_eq!(shown["versions"][1]["signed_by"].as_array().unwrap().len(), 2);
        wait_for(&node.client, &format!("/v1/customers/{contested}"), |shown| {
            shown["customer"]["general"]["website"] == json!("https://erp.example/")
        });
    }
    network.converge();
    for node in &mut network.nodes {
        node.kill();
        node.verify();
    }
}
