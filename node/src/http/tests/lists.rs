//! Lists, history, feed, bulk and export.

use serde_json::{Value, json};

use super::node::{Client, start};

fn line(key: &str, customer: &Value) -> String {
    json!({"key": {"system": "crm-number", "value": key}, "customer": customer}).to_string()
}

async fn fill(client: &Client, count: usize) {
    let lines: Vec<String> = (0..count)
        .map(|number| {
            let country = if number % 2 == 0 { "DE" } else { "FR" };
            let tree = json!({
                "name": {"legal": format!("Kunde Nummer{number} GmbH")},
                "identity": {"customer_number": {format!("K{number}"): true}},
                "address": {"main": {"city": "X", "country": country}},
            });
            line(&number.to_string(), &tree)
        })
        .collect();
    let answer = client.bulk("", &lines.join("\n")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for (number, answer) in (1..).zip(answer.lines()) {
        assert_eq!(answer["line"], number);
        assert_eq!(
            (&answer["created"], &answer["written"]),
            (&json!(true), &json!(true)),
            "{answer}"
        );
    }
}

async fn walk(client: &Client, page: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut next = String::new();
    loop {
        let answer = client.get(&format!("{page}&cursor={next}")).await.ok(200);
        items.extend(answer["items"].as_array().unwrap().iter().cloned());
        match answer["next"].as_str() {
            Some(cursor) => next = cursor.to_owned(),
            None => return items,
        }
    }
}

#[tokio::test]
async fn customers_are_listed_page_by_page_and_found() {
    let (client, _) = start(false);
    fill(&client, 25).await;
    let all = walk(&client, "/v1/customers?limit=10").await;
    assert_eq!(all.len(), 25);
    assert!(all.is_sorted_by_key(|item| item["id"].as_str().unwrap().to_owned()));
    let one = walk(&client, "/v1/customers?number=K7").await;
    assert_eq!(one[0]["customer"]["name"]["legal"], "Kunde Nummer7 GmbH");
    assert_eq!(one.len(), 1);
    assert_eq!(walk(&client, "/v1/customers?name=kunde%20nummer1&limit=3").await.len(), 11);
    assert_eq!(walk(&client, "/v1/customers?country=fr&limit=5").await.len(), 12);
    assert_eq!(walk(&client, "/v1/customers?name=nummer1&country=DE").await.len(), 5);
    assert_eq!(walk(&client, "/v1/customers?iban=DE89370400440532013000").await.len(), 0);
    assert_eq!(walk(&client, "/v1/customers?blocked=false&limit=500").await.len(), 25);
    client.get("/v1/customers?name=%2F").await.problem(400, "query-invalid");
}

#[tokio::test]
async fn the_history_says_who_did_what_and_why() {
    let (client, _) = start(false);
    let headers = [("concord-source", "erp-emea"), ("concord-reason", "Gr%C3%BCndung")];
    let tree = json!({"name": {"legal": "Acme GmbH"}, "general": {"language": "de"}});
    let id = client.post(&tree, &headers).await.ok(201)["id"].as_str().unwrap().to_owned();
    let patch = json!({"general": {"language": null}});
    let last = client.patch(&id, &patch, &[("concord-source", "erp-emea")]).await.ok(200);
    let history = walk(&client, &format!("/v1/customers/{id}/history?limit=1")).await;
    let [first, second] = &history[..] else { panic!("{history:?}") };
    assert_eq!(first["reason"], "Gründung");
    assert_eq!((&first["principal"], &first["node"]), (&json!("admin"), &json!("emea-1")));
    assert_eq!((&first["region"], &first["source"]), (&json!("EMEA"), &json!("erp-emea")));
    let legal = json!({"path": "name/legal", "source": "erp-emea", "value": "Acme GmbH"});
    assert!(first["changes"].as_array().unwrap().contains(&legal), "{first}");
    let gone = json!([{"path": "general/language", "source": "erp-emea", "tombstone": true}]);
    assert_eq!(second["changes"], gone);
    assert_eq!((&second["version"], &second["commit"]), (&last["version"], &last["commit"]));
}

#[tokio::test]
async fn the_feed_is_gapless_and_goes_on_where_a_client_stopped() {
    let (client, _) = start(false);
    let id = client.post(&json!({"name": {"legal": "Acme"}}), &[]).await.ok(201)["id"].clone();
    let page = client.get("/v1/changes?limit=1").await.ok(200);
    assert_eq!(page["items"][0]["position"], 1);
    assert_eq!(page["items"][0]["records"][0]["id"], id);
    assert_eq!(page["items"][0]["records"][0]["created"], true);
    assert_eq!(page["next"], Value::Null);
    client.patch(id.as_str().unwrap(), &json!({"name": {"legal": "Acme SE"}}), &[]).await.ok(200);
    let page = client.get("/v1/changes?since=1").await.ok(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["records"][0]["fields"][0]["path"], "name/legal");
    let page = client.get("/v1/changes?limit=1").await.ok(200);
    assert_eq!(page["next"], 1);
}

#[tokio::test]
async fn lists_for_stewards_are_empty_when_all_is_well() {
    let (client, _) = start(false);
    fill(&client, 3).await;
    assert_eq!(client.get("/v1/conflicts").await.ok(200), json!({"items": [], "next": null}));
    assert_eq!(client.get("/v1/quarantine").await.ok(200), json!({"items": []}));
    assert_eq!(client.get("/v1/peers").await.ok(200), json!({"peers": []}));
    assert_eq!(client.get("/v1/status").await.ok(200)["name"], "emea-1");
    let table = client.get("/v1/attributes").await.ok(200);
    let limit = table["attributes"].as_array().unwrap().iter();
    let limit = limit.clone().find(|row| row["path"] == "credit/{segment}/limit").unwrap();
    assert_eq!((&limit["type"], &limit["class"]), (&json!("group"), &json!("money")));
    assert!(limit["rule"].is_string() && limit["members"][0]["required"] == true);
}

#[tokio::test]
async fn a_wrong_line_is_answered_and_does_not_stop_the_others() {
    let (client, _) = start(false);
    let good = json!({"name": {"legal": "Acme GmbH"}, "phone": {"030 901820": {}}});
    let long = json!({"general": {"note": {"a": "x".repeat(20_000)}}});
    let id = "018f4e1e-7b7a-7000-8000-0000000000aa";
    let german = json!({"id": id, "customer": good, "default_country": "DE"}).to_string();
    let lines = [
        german.as_str(),
        "{",
        "",
        r#"{"customer":{"name":{"legal":"A"}}}"#,
        &line("2", &json!({"name": {"legall": "A"}})),
        &line("3", &long),
        &line("4", &json!({"name": {"legal": "Last"}})),
        r#"{"id":"018f4e1e-7b7a-7000-8000-0000000000aa","customer":{},"extra":1}"#,
    ];
    let answers = client.bulk("", &lines.join("\r\n")).await.lines();
    let summary: Vec<(u64, String)> = answers
        .iter()
        .map(|answer| {
            let code = answer["errors"][0]["code"].as_str().unwrap_or("written").to_owned();
            (answer["line"].as_u64().unwrap(), code)
        })
        .collect();
    let expected = [
        (1, "written"),
        (2, "body-malformed"),
        (4, "body-malformed"),
        (5, "attribute-unknown"),
        (6, "text-too-long"),
        (7, "written"),
        (8, "body-malformed"),
    ];
    assert_eq!(summary, expected.map(|(line, code)| (line, code.to_owned())));
    assert_eq!(answers[3]["errors"][0]["pointer"], "/name/legall");
    let read = client.get(&format!("/v1/customers/{id}")).await.ok(200);
    assert!(read["customer"]["phone"]["+4930901820"].is_object(), "{read}");
}

#[tokio::test]
async fn lines_of_one_record_are_written_in_their_order() {
    let (client, _) = start(false);
    let lines: Vec<String> =
        (0..5).map(|n| line("1", &json!({"name": {"legal": format!("Name {n}")}}))).collect();
    let answers = client.bulk("", &lines.join("\n")).await.lines();
    let created: Vec<bool> = answers.iter().map(|a| a["created"].as_bool().unwrap()).collect();
    assert_eq!(created, [true, false, false, false, false]);
    let id = answers[0]["id"].as_str().unwrap();
    let read = client.get(&format!("/v1/customers/{id}")).await.ok(200);
    assert_eq!(read["customer"]["name"]["legal"], "Name 4");
    assert_eq!(read["version"], answers[4]["version"]);
    // Said again, nothing is written.
    let again = client.bulk("", &lines[4]).await.lines();
    assert_eq!((&again[0]["written"], &again[0]["version"]), (&json!(false), &read["version"]));
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let (client, _) = start(false);
    let lines = [line("1", &json!({"name": {"legal": "A"}})), line("2", &json!({"nam": {}}))];
    let answers = client.bulk("?dry_run=true", &lines.join("\n")).await.lines();
    assert_eq!((&answers[0]["created"], &answers[0]["written"]), (&json!(true), &json!(false)));
    assert!(answers[1]["errors"].is_array());
    assert_eq!(client.get("/v1/customers").await.ok(200)["items"], json!([]));
}

#[tokio::test]
async fn a_body_over_the_limit_of_bulk_is_refused() {
    let (client, _) = start(false);
    let large = " ".repeat((8 << 20) + 1);
    client.bulk("", &large).await.problem(413, "body-too-large");
    let many = "{}\n".repeat(20_001);
    client.bulk("", &many).await.problem(413, "body-too-large");
    // More than other pages take, and within the limit of this one.
    assert_eq!(client.bulk("", &" ".repeat(2 << 20)).await.status, 200);
}

#[tokio::test]
async fn the_export_holds_every_customer_and_goes_on_after_one() {
    let (client, _) = start(false);
    fill(&client, 230).await;
    let export = client.get("/v1/export").await;
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let lines = export.lines();
    assert_eq!(lines.len(), 230);
    let after = lines[199]["id"].as_str().unwrap();
    let rest = client.get(&format!("/v1/export?after={after}")).await.lines();
    assert_eq!(rest, lines[200..]);
    let listed = walk(&client, "/v1/customers?limit=100").await;
    assert_eq!(listed, lines);
}
