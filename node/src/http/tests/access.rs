//! Who gets in, and what stands in every answer.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;

use super::node::{ADMIN, CLERK, EXPIRED, READER, start};

#[tokio::test]
async fn pages_need_a_token_except_health_and_description() {
    let (client, _) = start(false);
    for page in ["/v1/health", "/v1/openapi.json"] {
        assert_eq!(client.ask(Method::GET, page, "", &[], Body::empty()).await.status, 200);
    }
    for page in ["/v1/customers", "/v1/status", "/v1/export", "/v1/network/roster"] {
        let answer = client.ask(Method::GET, page, "", &[], Body::empty()).await;
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        answer.problem(401, "token-missing");
        let answer = client.ask(Method::GET, page, "another-secret", &[], Body::empty()).await;
        answer.problem(401, "token-unknown");
        let answer = client.ask(Method::GET, page, EXPIRED, &[], Body::empty()).await;
        answer.problem(401, "token-expired");
        assert_eq!(client.get(page).await.status, 200, "{page}");
    }
    let basic = [("authorization", "Basic YWRtaW46YWRtaW4=")];
    let answer = client.ask(Method::GET, "/v1/customers", "", &basic, Body::empty()).await;
    answer.problem(401, "token-missing");
}

#[tokio::test]
async fn a_token_may_do_what_it_says_and_no_more() {
    let (client, rosters) = start(false);
    let body = json!({"name": {"legal": "Acme GmbH"}}).to_string();
    let json = ("content-type", "application/json");
    let write = |secret, headers: &[(&str, &str)]| {
        let (client, body, headers) = (client.clone(), body.clone(), headers.to_vec());
        let headers: Vec<(String, String)> =
            headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        async move {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            client.ask(Method::POST, "/v1/customers", secret, &headers, body).await
        }
    };
    write(READER, &[json]).await.problem(403, "read-only-token");
    write(CLERK, &[json, ("concord-source", "erp-emea")]).await.problem(403, "source-not-allowed");
    write(CLERK, &[json, ("concord-source", "manual-emea")]).await.ok(201);
    write(ADMIN, &[json, ("concord-source", "erp-emea")]).await.ok(201);
    write(ADMIN, &[json, ("concord-source", "ERP")]).await.problem(400, "header-invalid");
    write(ADMIN, &[json, ("concord-reason", "%ff")]).await.problem(400, "header-invalid");
    write(ADMIN, &[json, ("concord-reason", "a%0Ab")]).await.problem(400, "header-invalid");
    write(ADMIN, &[json, ("idempotency-key", "")]).await.problem(400, "header-invalid");
    write(ADMIN, &[]).await.problem(415, "type-unsupported");
    let octets = [("content-type", "application/octet-stream")];
    let roster = rosters.second;
    let answer =
        client.ask(Method::POST, "/v1/network/roster", READER, &octets, roster.clone()).await;
    answer.problem(403, "read-only-token");
    let answer = client.ask(Method::POST, "/v1/network/roster", ADMIN, &octets, roster).await;
    assert_eq!(answer.ok(200), json!({"height": 3}));
    let shown = client.get("/v1/network/roster").await.ok(200);
    assert_eq!((&shown["height"], &shown["network"]), (&json!(3), &json!("test")));
    assert_eq!(shown["members"].as_array().unwrap().len(), 2);
    let answer = client.ask(Method::POST, "/v1/network/roster", ADMIN, &octets, "garbage").await;
    answer.problem(422, "roster-refused");
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_document_too() {
    let (client, _) = start(false);
    client.get("/nothing").await.problem(404, "page-unknown");
    client.get("/v1/customers/not-a-uuid").await.problem(400, "id-malformed");
    let nobody = "/v1/customers/018f4e1e-7b7a-7000-8000-000000000000";
    client.get(nobody).await.problem(404, "customer-unknown");
    client.get(&format!("{nobody}/history")).await.problem(404, "customer-unknown");
    let answer = client.ask(Method::DELETE, nobody, ADMIN, &[], Body::empty()).await;
    assert!(answer.header("allow").contains("PATCH"));
    answer.problem(405, "method-not-allowed");
    for query in ["?limitt=5", "?limit=x", "?limit=1&limit=2", "?blocked=maybe"] {
        client.get(&format!("/v1/customers{query}")).await.problem(400, "query-invalid");
    }
    client.get("/v1/customers?cursor=p0000000000000001").await.problem(400, "cursor-invalid");
    client.get(&format!("{nobody}?as_of=yesterday")).await.problem(400, "query-invalid");
    client.get(&format!("{nobody}?version=xyz")).await.problem(400, "query-invalid");
    let json = [("content-type", "application/json")];
    let post = |body: Vec<u8>| client.ask(Method::POST, "/v1/customers", ADMIN, &json, body);
    post(b"{".to_vec()).await.problem(400, "body-malformed");
    post(br#"{"name":{"legal":"A","legal":"B"}}"#.to_vec()).await.problem(400, "body-malformed");
    post(vec![b' '; (1 << 20) + 1]).await.problem(413, "body-too-large");
    post(b"{}".to_vec()).await.problem(422, "customer-invalid");
    post(br#"{"id":"x","name":{"legal":"A"}}"#.to_vec()).await.problem(400, "id-malformed");
}

#[tokio::test]
async fn answers_are_kept_out_of_caches_and_pages() {
    let (client, _) = start(false);
    for page in ["/v1/health", "/v1/customers", "/nothing"] {
        let answer = client.get(page).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let head = client.ask(Method::HEAD, "/v1/customers", READER, &[], Body::empty()).await;
    assert!(head.status == 200 && head.body.is_empty());
}

#[tokio::test]
async fn a_node_that_is_behind_says_so() {
    let (client, _) = start(true);
    let health = client.get("/v1/health").await.ok(503);
    assert_eq!(health, json!({"status": "behind", "ready": false}));
    let answer = client.post(&json!({"name": {"legal": "Acme GmbH"}}), &[]).await;
    assert_eq!(answer.header("retry-after"), "5");
    answer.problem(503, "not-ready");
    let line = r#"{"key":{"system":"crm","value":"1"},"customer":{"name":{"legal":"Acme"}}}"#;
    client.bulk("", line).await.problem(503, "not-ready");
    // Not even an empty list: that would say that there never was a customer.
    client.get("/v1/customers").await.problem(503, "not-ready");
    // Who belongs to the network is known all the same, and is what helps it to catch up.
    let roster = client.get("/v1/network/roster").await.ok(200);
    assert_eq!(roster["height"], 2);
}
