//! Credit, hierarchies and customer numbers as clients meet them.

use axum::http::Method;
use crdt_model::policy::{NumberRange, Policy};
use serde_json::{Value, json};

use super::node::{ADMIN, Client, start_under};

/// Under a policy by which EMEA owns the credit segment, and gives out numbers.
fn scene() -> Client {
    let mut policy = Policy::built_in();
    policy.owners.insert("credit/EU01".to_owned(), "EMEA".parse().unwrap());
    let range = |prefix: &str| NumberRange { prefix: prefix.to_owned(), from: 1, to: 5 };
    policy.numbers.insert("EMEA".parse().unwrap(), range("EU"));
    policy.numbers.insert("AMER".parse().unwrap(), range("US"));
    start_under(policy)
}

async fn ask(client: &Client, page: &str, body: Value) -> super::node::Answered {
    let headers = [("content-type", "application/json")];
    client.ask(Method::POST, page, ADMIN, &headers, body.to_string()).await
}

async fn created(client: &Client, tree: Value) -> String {
    client.post(&tree, &[]).await.ok(201)["id"].as_str().unwrap().to_owned()
}

fn euro(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

#[tokio::test]
async fn a_region_draws_up_to_its_slice_and_is_told_what_to_do_beyond() {
    let client = scene();
    let slices = json!({"EMEA": euro("600.00"), "AMER": euro("400.00")});
    let credit = json!({"EU01": {"limit": euro("1000.00"), "slice": slices}});
    let id = created(&client, json!({"name": {"legal": "Acme"}, "credit": credit})).await;
    let page = format!("/v1/customers/{id}/credit");
    let draw = |amount: &str| json!({"segment": "EU01", "amount": amount, "currency": "EUR"});
    let reserve = format!("{page}/reserve");
    ask(&client, &reserve, draw("450.50")).await.ok(200);
    ask(&client, &reserve, draw("100")).await.ok(200);
    let problem = ask(&client, &reserve, draw("49.51")).await.problem(422, "customer-invalid");
    assert_eq!(problem["errors"][0]["code"], "slice-exceeded");
    let text = problem["errors"][0]["text"].as_str().unwrap();
    assert!(text.contains("Ask another region to give some of its slice"), "{text}");
    // Nothing was written, and what is given back is free again.
    ask(&client, &reserve, draw("-50.50")).await.ok(200);
    let give = |amount: &str| json!({"segment": "EU01", "to": "AMER", "amount": amount, "currency": "EUR"});
    let transfer = format!("{page}/transfer");
    ask(&client, &transfer, give("60")).await.ok(200);
    let problem = ask(&client, &transfer, give("40.01")).await.problem(422, "customer-invalid");
    assert_eq!(problem["errors"][0]["code"], "transfer-uncovered");
    let problem =
        ask(&client, &reserve, json!({"segment": "EU01", "amount": "1", "currency": "USD"}))
            .await
            .problem(422, "customer-invalid");
    assert!(problem["detail"].as_str().unwrap().contains("not converted"), "{problem}");
    let shown = client.get(&page).await.ok(200);
    let segment = &shown["segments"]["EU01"];
    assert_eq!(segment["limit"], euro("1000.00"));
    assert_eq!((&segment["owner"], &segment["left"]), (&json!("EMEA"), &json!("500.00")));
    assert_eq!(segment["total"], json!({"EUR": "500.00"}));
    let expected = json!({"dealt": "600.00", "received": "0.00", "given": "60.00",
        "rights": "540.00", "drawn": "500.00", "available": "40.00"});
    assert_eq!(segment["slices"]["EMEA"], expected);
    assert_eq!(segment["slices"]["AMER"]["available"], "460.00");
    assert_eq!(segment["transfers"][0]["fault"], Value::Null);
    assert!(segment["headroom"].as_str().unwrap().contains("500.00 EUR of 1000.00 EUR are used"));
    // A slice cannot wait for others to approve.
    let body = json!({"customers": [id], "patch": {"credit": {"EU01": {"exposure":
        {"EMEA": euro("900")}}}}});
    let problem = ask(&client, "/v1/requests", body).await.problem(422, "customer-invalid");
    assert_eq!(problem["errors"][0]["code"], "slice-proposed");
}

#[tokio::test]
async fn without_slices_what_is_owed_is_summed_up_over_the_hierarchy() {
    let client = scene();
    let owes =
        |amount: &str| json!({"EU02": {"limit": euro("100"), "exposure": {"EMEA": euro(amount)}}});
    let top = created(&client, json!({"credit": owes("70")})).await;
    let below =
        |amount: &str| json!({"relation": {"parent": {"customer": top}}, "credit": owes(amount)});
    let child = created(&client, below("80")).await;
    let other = created(&client, below("0.50")).await;
    let shown = client.get(&format!("/v1/customers/{top}/credit")).await.ok(200);
    let group = &shown["segments"]["EU02"]["group"];
    assert_eq!((&group["total"], &group["members"]), (&json!({"EUR": "150.50"}), &json!(3)));
    let shown = client.get(&format!("/v1/customers/{child}/credit")).await.ok(200);
    assert_eq!(shown["segments"]["EU02"]["group"]["total"], json!({"EUR": "80.00"}));
    let body = json!({"segment": "EU02", "amount": "30", "currency": "EUR"});
    ask(&client, &format!("/v1/customers/{child}/credit/reserve"), body).await.ok(200);
    let issues = client.get(&format!("/v1/customers/{child}/issues")).await.ok(200);
    assert_eq!(issues["issues"][0]["code"], "limit-exceeded", "{issues}");

    let shown = client.get(&format!("/v1/customers/{child}/hierarchy")).await.ok(200);
    assert_eq!((&shown["ancestors"], &shown["ends"]), (&json!([top]), &json!("top")));
    assert_eq!((&shown["ultimate_parent"], &shown["children"]), (&json!(top), &json!([])));
    let shown = client.get(&format!("/v1/customers/{top}/hierarchy?below=true")).await.ok(200);
    let mut children = [&child, &other];
    children.sort();
    assert_eq!(shown["children"], json!(children));
    assert_eq!(shown["below"].as_array().unwrap().len(), 2);
    // The top belongs to its own child: the newest edge is left out, for everyone.
    let patch = json!({"relation": {"parent": {"customer": child}}});
    client.patch(&top, &patch, &[]).await.ok(200);
    for id in [&top, &child, &other] {
        let shown = client.get(&format!("/v1/customers/{id}/hierarchy")).await.ok(200);
        assert_eq!((&shown["ends"], &shown["ultimate_parent"]), (&json!("circle"), &json!(top)));
        assert_eq!(shown["left_out"]["parent"], json!(child));
        assert!(shown["finding"].as_str().unwrap().starts_with("The parents form a circle."));
    }
    let unknown = crdt_model::id::RecordId::derive("test", "x").to_string();
    client
        .get(&format!("/v1/customers/{unknown}/hierarchy"))
        .await
        .problem(404, "customer-unknown");
}

fn number_of(customer: &Value) -> Vec<String> {
    let numbers = customer["customer"]["identity"]["customer_number"].as_object();
    numbers.into_iter().flat_map(|numbers| numbers.keys().cloned()).collect()
}

#[tokio::test]
async fn a_new_customer_gets_a_number_of_the_region_and_never_one_twice() {
    let client = scene();
    let shown =
        async |id: &str| number_of(&client.get(&format!("/v1/customers/{id}")).await.ok(200));
    let tree = json!({"name": {"legal": "Acme"}});
    let first = created(&client, tree.clone()).await;
    assert_eq!(shown(&first).await, ["EU-00000001-59"]);
    // Sent again with its key, it is the same customer with the same number.
    let key = [("idempotency-key", "k")];
    let again = client.post(&tree, &key).await.ok(201);
    assert_eq!(client.post(&tree, &key).await.ok(201), again);
    let second = again["id"].as_str().unwrap();
    let numbers = shown(second).await;
    assert!(numbers[0].starts_with("EU-00000003-"), "{numbers:?}");
    let path = format!("identity/customer_number/{}", numbers[0]);
    assert!(again["fields"].as_array().unwrap().iter().any(|field| field["path"] == path.as_str()));
    // A number that its customer lost is not given out again.
    let lost = json!({"identity": {"customer_number": {(numbers[0].as_str()): null}}});
    client.patch(second, &lost, &[]).await.ok(200);
    // One that the customer brings from elsewhere is kept, and it gets no other.
    let own = json!({"identity": {"customer_number": {"4711": true}}});
    let third = created(&client, own).await;
    assert_eq!(shown(&third).await, ["4711"]);
    let headers = [("content-type", "application/json")];
    let page = "/v1/customers?number=none";
    let plain = client.ask(Method::POST, page, ADMIN, &headers, tree.to_string()).await.ok(201);
    assert_eq!(shown(plain["id"].as_str().unwrap()).await, [""; 0]);
    for (number, code) in [
        ("US-00000001-36", "number-of-other-region"),
        ("EU-00000002-56", "number-of-other-node"),
        ("EU-00000001-59", "number-taken"),
        ("EU-00000001-60", "number-malformed"),
        ("EU-00000007-41", "number-malformed"),
    ] {
        let tree = json!({"identity": {"customer_number": {(number): true}}});
        let problem = client.post(&tree, &[]).await.problem(422, "customer-invalid");
        assert_eq!(problem["errors"][0]["code"], code, "{problem}");
    }
    // The customer may be told its own number by another source.
    let number = shown(&first).await.remove(0);
    let same = json!({"identity": {"customer_number": {(number): true}}});
    client.patch(&first, &same, &[("concord-source", "crm-emea")]).await.ok(200);
    // Import, when asked.
    let line = json!({"key": {"system": "x", "value": "1"}, "customer": tree}).to_string();
    let answers = client.bulk("?numbers=give", &line).await.lines();
    let id = answers[0]["id"].as_str().unwrap();
    let numbers = shown(id).await;
    assert!(numbers[0].starts_with("EU-00000005-"), "{numbers:?}");
    client.bulk("?numbers=give", &line).await.lines();
    assert_eq!(shown(id).await, numbers, "imported again, it keeps its number");
    let problem = client.post(&tree, &[]).await.problem(409, "no-number");
    assert!(problem["detail"].as_str().unwrap().contains("is used up"), "{problem}");
}
