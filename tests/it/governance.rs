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

    two_governors_sign_the_next(&network, &file, &governors, &contested);
    for node in &mut network.nodes {
        node.kill();
        node.verify();
    }
}

/// From the second policy on two governors must sign.
fn two_governors_sign_the_next(
    network: &Processes,
    file: &str,
    governors: &[(&str, &str)],
    contested: &str,
) {
    let first = &network.nodes[0];
    let dir = network.path("network");
    let to = ["--dir", &dir, "--to", first.client.url(), "--token", &first.secret];
    std::fs::write(file, policy_text(3, "\"erp\", \"crm\"", governors)).unwrap();
    let refused = concord_json(3, &[&["policy", "activate", file][..], &to].concat());
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
    sign(file, "ann", &time);
    let refused = concord_json(3, &[&["policy", "activate", &signed][..], &to].concat());
    assert!(refused["detail"].as_str().unwrap().contains("1 valid signatures"), "{refused}");
    sign(&signed, "ben", &[]);
    concord(&[&["policy", "activate", &signed][..], &to].concat());
    for node in &network.nodes {
        let shown = wait_for(&node.client, "/v1/policy", |shown| shown["version"] == json!(3));
        assert_eq!(shown["versions"][1]["signed_by"].as_array().unwrap().len(), 2);
        wait_for(&node.client, &format!("/v1/customers/{contested}"), |shown| {
            shown["customer"]["general"]["website"] == json!("https://erp.example/")
        });
    }
    network.converge();
}

/// Adds a token to a stopped node: a principal with a secret of its own.
fn add_principal(network: &Processes, at: usize, name: &str) -> Client {
    let node = &network.nodes[at];
    let file = node.dir.join("tokens.toml");
    let secret = format!("secret-of-{name}-0123456789abcdef0123456789");
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str(&format!(
        "\n[[tokens]]\nsecret = \"{secret}\"\nprincipal = \"{name}\"\nsource = \"manual-{}\"\n\
         any_source = true\nwrite = true\n",
        node.dir.file_name().unwrap().to_str().unwrap()
    ));
    std::fs::write(&file, text).unwrap();
    Client::new(node.client.url(), &secret).unwrap()
}

fn code_of(answer: Result<Json, node::cli::CliError>) -> (u16, String) {
    match answer {
        Err(node::cli::CliError::Problem(problem)) => (problem.status, problem.code().to_owned()),
        other => panic!("{other:?}"),
    }
}

/// Two other people must approve a bank account; one person, a code's change is anybody's.
const FOUR_EYES: &str = "version = 2\n\n[four_eyes.\"bank/{iban}\"]\napprovals = 2\n\n\
    [codes]\n\"company/{company_code}/payment_terms\" = \"payment-terms\"\n\
    \"company/{company_code}/recon_account\" = \"recon-accounts/{company_code}\"\n";

const IBAN: &str = "DE89370400440532013000";

/// Three nodes under a policy, with a person at each.
fn governed() -> (Processes, [Client; 3]) {
    let mut network = Processes::set_up(&["EMEA", "AMER", "APAC"]);
    let people = [(0, "eva"), (1, "amy"), (2, "ada")];
    let people = people.map(|(at, name)| add_principal(&network, at, name));
    network.start();
    let file = network.path("policy.toml");
    std::fs::write(&file, FOUR_EYES).unwrap();
    let (dir, first) = (network.path("network"), &network.nodes[0]);
    let to = ["--dir", &dir, "--to", first.client.url(), "--token", &first.secret];
    concord(&[&["policy", "activate", &file][..], &to].concat());
    for node in &network.nodes {
        wait_for(&node.client, "/v1/policy", |shown| shown["version"] == json!(2));
    }
    (network, people)
}

fn decide(client: &Client, id: &str, verdict: &str) -> Result<Json, node::cli::CliError> {
    client.ask(
        &Request::new(Method::POST, format!("/v1/requests/{id}/decision"))
            .json(&json!({"verdict": verdict})),
    )
}

#[test]
fn a_bank_change_approved_by_two_people_apart_takes_effect_once_everywhere_after_the_heal() {
    let (mut network, [eva, amy, ada]) = governed();
    let customer = create(&eva, "manual-emea", &json!({"name": {"legal": "Acme GmbH"}}));
    network.converge();
    let page = format!("/v1/customers/{customer}");
    let bank = json!({"bank": {IBAN: {"holder": "Acme GmbH"}}});
    let asked = patch(&eva, &customer, "manual-emea", &bank);
    let id = asked["request"].as_str().unwrap().to_owned();
    assert_eq!(asked["fields"][0]["effect"], json!("proposed"));
    for node in &network.nodes {
        wait_for(&node.client, &page, |shown| {
            shown["customer"]["bank"].is_null() && shown["customer"]["block"]["payment"].is_object()
        });
    }
    // One's own request is not one's to approve.
    assert_eq!(code_of(decide(&eva, &id, "approve")), (403, "four-eyes".to_owned()));
    // EMEA is cut off; the two others decide without each other, too.
    network.nodes[0].kill();
    decide(&amy, &id, "approve").unwrap();
    wait_for(&network.nodes[2].client, &format!("/v1/requests/{id}"), |shown| {
        shown["decisions"].as_array().unwrap().len() == 1
    });
    network.nodes[1].kill();
    assert_eq!(decide(&ada, &id, "approve").unwrap()["state"], json!("effective"));
    network.nodes[2].kill();
    network.start();
    network.converge();
    for node in &network.nodes {
        let shown = node.client.ask(&Request::get(page.clone())).unwrap();
        assert_eq!(shown["customer"]["bank"][IBAN]["holder"], json!("Acme GmbH"));
        assert!(shown["customer"]["block"].is_null(), "{shown}");
        let request = node.client.ask(&Request::get(format!("/v1/requests/{id}"))).unwrap();
        assert_eq!(request["state"], json!("effective"));
        let who: Vec<&str> = request["decisions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|decision| decision["principal"].as_str().unwrap())
            .collect();
        assert_eq!(who, ["amy", "ada"]);
        let history = node.client.ask(&Request::get(format!("{page}/history"))).unwrap();
        let said = history.to_string();
        assert!(["eva", "amy", "ada"].iter().all(|name| said.contains(name)), "{said}");
        let tasks = node.client.ask(&Request::get("/v1/tasks")).unwrap();
        assert_eq!(tasks["items"], json!([]));
    }
    for node in &mut network.nodes {
        node.kill();
        node.verify();
    }
}

#[test]
fn codes_are_judged_at_the_door_retire_and_heal() {
    let (network, [eva, _, ada]) = governed();
    let node = |at: usize| &network.nodes[at].client;
    // Before the list is there, a code is taken and is an issue.
    let terms = |code: &str| json!({"company": {"1000": {"payment_terms": code}}});
    let customer = create(&eva, "erp-emea", &terms("NT30"));
    let issues = format!("/v1/customers/{customer}/issues");
    let has = |code: &'static str| {
        move |shown: &Json| {
            shown["issues"].as_array().unwrap().iter().any(|issue| issue["code"] == json!(code))
        }
    };
    wait_for(node(0), &issues, has("code-unresolved"));
    let list = Request::new(Method::PATCH, "/v1/code-lists/payment-terms").json(&json!({
        "title": "Payment terms",
        "codes": {"NT30": {"title": "30 days net"}, "NT60": {"title": "60 days net"}},
        "maps": {"ERP_EU": {"NT30": "ZB30"}},
    }));
    ada.ask(&list).unwrap();
    // It heals everywhere when the list arrives.
    for at in 0..3 {
        wait_for(node(at), &issues, |shown| !has("code-unresolved")(shown));
    }
    let unknown = Request::new(Method::PATCH, format!("/v1/customers/{customer}"))
        .body("application/merge-patch+json", terms("NT03").to_string().into_bytes());
    let Err(node::cli::CliError::Problem(problem)) = eva.ask(&unknown) else { panic!() };
    assert_eq!(
        (problem.status, &problem.document["errors"][0]["code"]),
        (422, &json!("code-unknown"))
    );
    assert!(problem.document["detail"].as_str().unwrap().contains("NT30"), "{problem:?}");
    // A second code under one word of a system could not be translated back.
    let ambiguous = Request::new(Method::PATCH, "/v1/code-lists/payment-terms")
        .json(&json!({"maps": {"ERP_EU": {"NT60": "ZB30"}}}));
    assert_eq!(code_of(ada.ask(&ambiguous)), (422, "map-ambiguous".to_owned()));
    // A retired code is an issue of everyone who uses it.
    let retire = Request::new(Method::PATCH, "/v1/code-lists/payment-terms")
        .json(&json!({"codes": {"NT30": {"title": "30 days net", "valid_to": "2020-12-31"}}}));
    ada.ask(&retire).unwrap();
    for at in 0..3 {
        wait_for(node(at), &issues, has("code-not-valid"));
    }
    let impact = node(1).ask(&Request::get("/v1/impact").query("code", "payment-terms:NT30"));
    let impact = impact.unwrap();
    assert_eq!(impact["attributes"][0]["customers"], json!(1));
    // A vendor account is no reconciliation account of a customer.
    let chart = Request::new(Method::PATCH, "/v1/code-lists/recon-accounts/1000").json(&json!({
        "codes": {"140000": {"title": "Receivables", "type": "D"},
                  "160000": {"title": "Payables", "type": "K"}},
    }));
    eva.ask(&chart).unwrap();
    let account = |code: &str| {
        let body = json!({"company": {"1000": {"recon_account": code}}});
        eva.ask(
            &Request::new(Method::PATCH, format!("/v1/customers/{customer}"))
                .body("application/merge-patch+json", body.to_string().into_bytes()),
        )
    };
    let Err(node::cli::CliError::Problem(problem)) = account("160000") else { panic!() };
    assert_eq!(
        (problem.status, &problem.document["errors"][0]["code"]),
        (422, &json!("gl-wrong-type"))
    );
    account("140000").unwrap();
    let report = node(0).ask(&Request::get("/v1/reports/gl-consistency")).unwrap();
    assert_eq!(report["items"], json!([]));
    // Blocked by the ledger, it is on the report.
    let blocked = Request::new(Method::PATCH, "/v1/code-lists/recon-accounts/1000").json(
        &json!({"codes": {"140000": {"title": "Receivables", "type": "D", "blocked": true}}}),
    );
    eva.ask(&blocked).unwrap();
    wait_for(node(2), "/v1/reports/gl-consistency", |shown| {
        shown["items"][0]["code"] == json!("gl-blocked")
    });
    // Code lists are no customers.
    let listed = node(0).ask(&Request::get("/v1/customers")).unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    network.converge();
}

#[test]
fn credit_numbers_hierarchy_and_tokens_by_the_program() {
    let mut network = Processes::set_up(&["EMEA", "AMER"]);
    network.start();
    let [emea, amer] = &network.nodes[..] else { panic!("two nodes") };
    let file = network.path("policy.toml");
    let policy = "version = 2\n\n[owners]\n\"credit/EU01\" = \"EMEA\"\n\n\
        [numbers.EMEA]\nprefix = \"EU\"\nfrom = 1\nto = 99\n";
    std::fs::write(&file, policy).unwrap();
    let dir = network.path("network");
    let to = ["--dir", &dir, "--to", emea.client.url(), "--token", &emea.secret];
    concord(&[&["policy", "activate", &file][..], &to].concat());
    for node in [emea, amer] {
        wait_for(&node.client, "/v1/policy", |shown| shown["version"] == json!(2));
    }
    let euro = |amount: &str| json!({"amount": amount, "currency": "EUR"});
    let slices = json!({"EMEA": euro("600"), "AMER": euro("400")});
    let credit = json!({"EU01": {"limit": euro("1000"), "slice": slices}});
    let top = create(&emea.client, "erp-emea", &json!({"credit": credit}));
    let shown = emea.client.ask(&Request::get(format!("/v1/customers/{top}"))).unwrap();
    assert_eq!(
        shown["customer"]["identity"]["customer_number"],
        json!({"EU-00000001-59": true}),
        "{shown}"
    );
    let child = json!({"relation": {"parent": {"customer": top}}});
    let child = create(&amer.client, "erp-amer", &child);
    network.converge();

    let at = |node: &crate::process::Process| {
        [
            "--url".to_owned(),
            node.client.url().to_owned(),
            "--token".to_owned(),
            node.secret.clone(),
        ]
    };
    let run = |code: i32, words: &[&str], node: &[String]| {
        let node = node.iter().map(String::as_str);
        concord_json(code, &words.iter().copied().chain(node).collect::<Vec<_>>())
    };
    // Each region draws its own; beyond its slice it is told whom to ask, and asks.
    let (at_emea, at_amer) = (at(emea), at(amer));
    run(0, &["credit", "reserve", &top, "EU01", "400", "EUR"], &at_amer);
    let refused = run(3, &["credit", "reserve", &top, "EU01", "0.01", "EUR"], &at_amer);
    assert!(
        refused.to_string().contains("Ask another region to give some of its slice"),
        "{refused}"
    );
    run(0, &["credit", "transfer", &top, "EU01", "100", "EUR", "--to", "AMER"], &at_emea);
    network.converge();
    run(0, &["credit", "reserve", &top, "EU01", "100", "EUR"], &at_amer);
    let shown = run(0, &["credit", "show", &top], &at_amer);
    assert_eq!(shown["segments"]["EU01"]["slices"]["AMER"]["available"], json!("0.00"));
    let shown = run(0, &["hierarchy", &child], &at_emea);
    assert_eq!((&shown["ultimate_parent"], &shown["ends"]), (&json!(top), &json!("top")));

    a_token_serves_until_it_is_revoked(emea);
    network.converge();
    for node in &mut network.nodes {
        node.kill();
        node.verify();
    }
}

fn a_token_serves_until_it_is_revoked(node: &crate::process::Process) {
    let place = node.dir.to_str().unwrap();
    let made = ["token", "create", "anna", "--principal", "anna", "--dir", place];
    let made = concord_json(0, &made);
    let anna = Client::new(node.client.url(), made["secret"].as_str().unwrap()).unwrap();
    let wait = |is_so: &dyn Fn(bool) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_so(anna.ask(&Request::get("/v1/status")).is_ok()) {
            assert!(Instant::now() < deadline, "the node does not follow its token file");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    wait(&|served| served);
    concord(&["token", "revoke", "anna", "--dir", place]);
    wait(&|served| !served);
}
