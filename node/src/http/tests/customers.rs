//! Creating, reading and changing customers.

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use super::node::{Client, READER, start};

const DAY: &str = "2026-03-01";

async fn created(client: &Client, tree: Value) -> (String, String) {
    let answer = client.post(&tree, &[("concord-source", "erp-emea")]).await.ok(201);
    (answer["id"].as_str().unwrap().to_owned(), answer["version"].as_str().unwrap().to_owned())
}

fn acme() -> Value {
    json!({
        "name": {"legal": "Acme GmbH"},
        "address": {"main": {"street": "Hauptstraße", "city": "Berlin", "country": "de"}},
        "credit": {"1000": {"limit": {"amount": "2500.00", "currency": "EUR"}}},
    })
}

#[tokio::test]
async fn a_customer_is_created_and_read_back() {
    let (client, _) = start(false);
    let answer = client.post(&acme(), &[("concord-source", "erp-emea")]).await;
    let (location, tag) = (answer.header("location").to_owned(), answer.header("etag").to_owned());
    let written = answer.ok(201);
    assert_eq!(written["created"], true);
    assert_eq!(written["commit"].as_str().unwrap().split(':').nth(1), Some("1"));
    assert_eq!(tag, format!("\"{}\"", written["version"].as_str().unwrap()));
    for field in written["fields"].as_array().unwrap() {
        assert_eq!(field["effect"], "took-effect", "{field}");
    }
    let read = client.get(&location).await;
    assert_eq!(read.header("etag"), tag);
    let read = read.ok(200);
    assert_eq!(read["id"], written["id"]);
    assert_eq!(read["customer"]["name"]["legal"], "Acme GmbH");
    assert_eq!(read["customer"]["address"]["main"]["country"], "DE");
    let held = [("if-none-match", tag.as_str())];
    let again = client.ask(Method::GET, &location, READER, &held, Body::empty()).await;
    assert!(again.status == 304 && again.body.is_empty() && again.header("etag") == tag);
    let head = client.ask(Method::HEAD, &location, READER, &[], Body::empty()).await;
    assert!(head.status == 200 && head.body.is_empty() && head.header("etag") == tag);
}

#[tokio::test]
async fn an_id_is_taken_once() {
    let (client, _) = start(false);
    let id = "018f4e1e-7b7a-7000-8000-0000000000aa";
    let tree = json!({"id": id, "name": {"legal": "Acme GmbH"}});
    assert_eq!(client.post(&tree, &[]).await.ok(201)["id"], id);
    client.post(&tree, &[]).await.problem(409, "customer-exists");
}

#[tokio::test]
async fn every_fault_is_named_with_its_place() {
    let (client, _) = start(false);
    let tree = json!({"name": {"legall": "Acme"}, "bank": {"DE00370400440532013000": {}}});
    let problem = client.post(&tree, &[]).await.problem(422, "customer-invalid");
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!(errors[0]["pointer"], "/name/legall");
    assert_eq!(errors[0]["code"], "attribute-unknown");
    assert!(errors[0]["text"].as_str().unwrap().contains("legal"), "{errors:?}");
}

#[tokio::test]
async fn a_write_sent_again_with_its_key_is_done_once() {
    let (client, _) = start(false);
    let key = [("idempotency-key", "order-4711")];
    let first = client.post(&acme(), &key).await.ok(201);
    let again = client.post(&acme(), &key).await;
    assert!(again.header("location").ends_with(first["id"].as_str().unwrap()));
    assert_eq!(again.ok(201), first);
    // The same key for something else is another write, and never gets the old answer.
    let other = client.post(&json!({"name": {"legal": "Other"}}), &key).await.ok(201);
    assert_ne!(other["id"], first["id"]);
    let id = first["id"].as_str().unwrap();
    let tag = format!("\"{}\"", first["version"].as_str().unwrap());
    let headers = [("idempotency-key", "order-4712"), ("if-match", tag.as_str())];
    let patch = json!({"name": {"legal": "Acme SE"}});
    let first = client.patch(id, &patch, &headers).await.ok(200);
    assert_eq!(client.patch(id, &patch, &headers).await.ok(200), first);
}

#[tokio::test]
async fn members_of_a_group_that_a_patch_does_not_name_stay() {
    let (client, _) = start(false);
    let (id, version) = created(&client, acme()).await;
    let patch = json!({"address": {"main": {"city": "Hamburg"}}});
    let answer = client.patch(&id, &patch, &[]).await.ok(200);
    assert_eq!(answer["fields"][0]["path"], "address/main");
    let read = client.get(&format!("/v1/customers/{id}?explain=true")).await.ok(200);
    let address = &read["customer"]["address"]["main"];
    // The clerk's claim states the whole address; which claim shows is the rule's matter.
    let explained = &read["explanations"]["address/main"];
    let mut candidates = vec![&explained["winner"]];
    candidates.extend(explained["losers"].as_array().unwrap());
    let manual = candidates.iter().find(|c| c["source"] == "manual-emea").unwrap();
    assert_eq!(
        manual["value"],
        json!({"street": "Hauptstraße", "city": "Hamburg", "country": "DE"})
    );
    assert_eq!(manual["who"], json!({"principal": "admin", "node": "emea-1"}));
    assert!(address.is_object());
    let loser = &explained["losers"][0];
    assert!(loser["sentence"].as_str().unwrap().len() > 20 && loser["reason"].is_string());
    // As of the first version nobody but the source had spoken.
    let page = format!("/v1/customers/{id}?version={version}");
    assert_eq!(client.get(&page).await.ok(200)["customer"]["address"]["main"]["city"], "Berlin");
    let nowhere = "00".repeat(32);
    let page = format!("/v1/customers/{id}?version={nowhere}");
    client.get(&page).await.problem(404, "version-unknown");
}

#[tokio::test]
async fn a_currency_is_not_changed_without_its_amount() {
    let (client, _) = start(false);
    let (id, _) = created(&client, acme()).await;
    let patch = json!({"credit": {"1000": {"limit": {"currency": "JPY"}}}});
    let problem = client.patch(&id, &patch, &[]).await.problem(422, "customer-invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/credit/1000/limit/amount");
}

#[tokio::test]
async fn a_patch_on_an_old_version_is_refused_with_the_difference_or_merged() {
    let (client, _) = start(false);
    let (id, version) = created(&client, json!({"name": {"legal": "Acme GmbH"}})).await;
    let tag = format!("\"{version}\"");
    let erp = ("concord-source", "erp-emea");
    let seen = ("if-match", tag.as_str());
    let patch = json!({"name": {"legal": "Acme SE"}});
    client.patch(&id, &patch, &[erp, seen]).await.ok(200);
    let late = json!({"name": {"legal": "Acme AG"}});
    let problem = client.patch(&id, &late, &[erp, seen]).await.problem(412, "version-mismatch");
    let expected = json!([{"path": "name/legal", "yours_saw": "Acme GmbH", "now": "Acme SE"}]);
    assert_eq!(problem["difference"], expected);
    let answer = client.patch(&id, &late, &[erp, seen, ("prefer", "handling=merge")]).await;
    assert_eq!(answer.header("preference-applied"), "handling=merge");
    answer.ok(200);
    let claims = client.get(&format!("/v1/customers/{id}?view=claims")).await.ok(200);
    let said: Vec<&str> =
        claims["claims"].as_array().unwrap().iter().map(|c| c["value"].as_str().unwrap()).collect();
    assert!(said.contains(&"Acme SE") && said.contains(&"Acme AG"), "{said:?}");
    client.patch(&id, &late, &[("prefer", "handling=merge")]).await.problem(400, "header-invalid");
    client.patch(&id, &late, &[("if-match", "abc")]).await.problem(400, "header-invalid");
    client.patch(&id, &late, &[("if-match", "*")]).await.ok(200);
    let nowhere = format!("\"{}\"", "00".repeat(32));
    client.patch(&id, &late, &[("if-match", &nowhere)]).await.problem(412, "version-mismatch");
}

#[tokio::test]
async fn null_removes_the_claim_of_this_source_alone() {
    let (client, _) = start(false);
    let (id, _) = created(&client, json!({"general": {"website": "https://acme.example"}})).await;
    let page = format!("/v1/customers/{id}");
    let patch = json!({"general": {"website": null}});
    client.patch(&id, &patch, &[]).await.ok(200);
    let read = client.get(&page).await.ok(200);
    assert!(read["customer"]["general"]["website"].is_string(), "{read}");
    client.patch(&id, &patch, &[("concord-source", "erp-emea")]).await.ok(200);
    assert_eq!(client.get(&page).await.ok(200)["customer"], json!({}));
    let problem = client.patch(&id, &json!({"general": null}), &[]).await;
    let problem = problem.problem(422, "customer-invalid");
    assert_eq!(problem["errors"][0]["code"], "removal-too-wide");
    let nobody = "018f4e1e-7b7a-7000-8000-000000000000";
    client.patch(nobody, &patch, &[]).await.problem(404, "customer-unknown");
}

#[tokio::test]
async fn a_release_lifts_a_block() {
    let (client, _) = start(false);
    let (id, _) = created(&client, json!({"credit": {"1000": {"block": "fraud"}}})).await;
    let blocked = || async {
        let page = client.get("/v1/customers?blocked=true").await.ok(200);
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(blocked().await, 1);
    let patch = json!({"credit": {"1000": {"block": {"release": "settled"}}}});
    client.patch(&id, &patch, &[]).await.ok(200);
    assert_eq!(blocked().await, 0);
}

#[tokio::test]
async fn a_dated_value_shows_on_its_day_and_is_not_held_by_a_tag() {
    let (client, _) = start(false);
    let dated = json!({"value": "https://acme.example", "valid_from": DAY});
    let (id, version) = created(&client, json!({"general": {"website": dated}})).await;
    let page = format!("/v1/customers/{id}");
    let on = |day: &str| {
        let (client, page) = (client.clone(), format!("{page}?as_of={day}"));
        async move { client.get(&page).await.ok(200)["customer"].clone() }
    };
    assert_eq!(on("2026-02-28").await, json!({}));
    assert!(on(DAY).await["general"]["website"].is_string());
    let tag = format!("\"{version}\"");
    let held = [("if-none-match", tag.as_str())];
    let answer = client.ask(Method::GET, &page, READER, &held, Body::empty()).await;
    assert_eq!(answer.status, 200);
    let page = format!("{page}?as_of={DAY}");
    let answer = client.ask(Method::GET, &page, READER, &held, Body::empty()).await;
    assert_eq!(answer.status, 304);
}
