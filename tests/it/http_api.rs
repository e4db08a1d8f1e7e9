//! The HTTP interface of real nodes: sockets, sled and QUIC, asked by a plain HTTP client.

use std::collections::BTreeSet;
use std::time::Duration;

use node::clock::Clock;
use node::driver::Running;
use node::http::token::Tokens;
use node::http::{router, serve};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};

use crate::support::{Network, until, until_converged};

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789a";

/// A node with its interface on a socket.
struct Site {
    node: Running,
    client: Client,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Site {
    async fn start(network: &Network, index: usize) -> Self {
        let node = network.start(index).await;
        let tokens = format!(
            "[[tokens]]\nsecret = \"{SECRET}\"\nprincipal = \"admin\"\nsource = \"manual-emea\"\n\
             any_source = true\nwrite = true\n"
        );
        let tokens = Tokens::parse(&tokens).unwrap();
        let router = router(node.handle.clone(), tokens, Clock::system());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(listener, router, async {
            drop(stopped.await);
        }));
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        Self { node, client: Client { agent: config.into(), base }, stop, serving }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
        self.node.stop().await;
    }
}

#[derive(Clone)]
struct Client {
    agent: ureq::Agent,
    base: String,
}

/// Status, ETag and body of an answer.
type Answer = (u16, String, String);

impl Client {
    async fn ask(&self, method: &str, page: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{page}", self.base))
            .header("authorization", format!("Bearer {SECRET}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_owned()).unwrap();
        let agent = self.agent.clone();
        spawn_blocking(move || {
            let mut response = agent.run(request).unwrap();
            let tag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
            let body = response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap();
            (response.status().as_u16(), tag.unwrap_or_default(), body)
        })
        .await
        .unwrap()
    }

    async fn get(&self, page: &str) -> Value {
        let (status, _, body) = self.ask("GET", page, &[], "").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn write(
        &self,
        method: &str,
        page: &str,
        headers: &[(&str, &str)],
        tree: &Value,
    ) -> Value {
        let headers = [&[("content-type", "application/json")], headers].concat();
        let (status, _, body) = self.ask(method, page, &headers, &tree.to_string()).await;
        assert!(status < 300, "{status} {body}");
        serde_json::from_str(&body).unwrap()
    }
}

/// Two regions change a credit limit while they are apart. Afterwards both show the same record, the
/// same conflict with the same sentences, and either can settle it.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_the_same_everywhere_and_can_be_settled_anywhere() {
    let network = Network::found(2);
    let id = "018f4e1e-7b7a-7000-8000-0000000000aa";
    let page = format!("/v1/customers/{id}");
    let limit =
        |amount| json!({"credit": {"1000": {"limit": {"amount": amount, "currency": "EUR"}}}});

    let a = Site::start(&network, 0).await;
    let tree = json!({"id": id, "name": {"legal": "Acme GmbH"}});
    a.client.write("POST", "/v1/customers", &[("concord-source", "erp-emea")], &tree).await;
    let b = Site::start(&network, 1).await;
    until_converged(&[&a.node, &b.node], 1).await;
    a.stop().await;
    b.client.write("PATCH", &page, &[("concord-source", "crm-amer")], &limit("900.00")).await;
    b.stop().await;
    let a = Site::start(&network, 0).await;
    a.client.write("PATCH", &page, &[("concord-source", "crm-emea")], &limit("700.00")).await;
    let b = Site::start(&network, 1).await;
    until_converged(&[&a.node, &b.node], 3).await;

    let conflicts = a.client.get("/v1/conflicts").await;
    let attribute = &conflicts["items"][0]["attributes"]["credit/1000/limit"];
    assert_eq!((&conflicts["items"][0]["id"], &attribute["conflict"]), (&json!(id), &json!(true)));
    assert_eq!(attribute["losers"].as_array().unwrap().len(), 1, "{attribute}");
    assert!(attribute["losers"][0]["sentence"].as_str().unwrap().len() > 20, "{attribute}");
    let nodes: BTreeSet<&str> = [&attribute["winner"], &attribute["losers"][0]]
        .map(|claim| claim["who"]["node"].as_str().unwrap())
        .into();
    assert_eq!(nodes, BTreeSet::from(["amer-1", "emea-0"]));
    for view in ["/v1/conflicts", &page, &format!("{page}?explain=true"), "/v1/export"] {
        let (here, there) =
            (a.client.ask("GET", view, &[], "").await, b.client.ask("GET", view, &[], "").await);
        assert_eq!(here, there, "{view} differs");
    }

    let (_, tag, _) = b.client.ask("GET", &page, &[], "").await;
    let headers = [("concord-source", "crm-amer"), ("if-match", tag.as_str())];
    let shown = a.client.get(&page).await["customer"]["credit"]["1000"]["limit"].clone();
    let settle = json!({"credit": {"1000": {"limit": shown}}});
    let losing = attribute["losers"][0]["source"].as_str().unwrap();
    let headers = [("concord-source", losing), headers[1]];
    b.client.write("PATCH", &page, &headers, &settle).await;
    until_converged(&[&a.node, &b.node], 4).await;
    assert_eq!(a.client.get("/v1/conflicts").await["items"], json!([]));
    let history = a.client.get(&format!("{page}/history")).await;
    assert_eq!(history["items"].as_array().unwrap().len(), 4);
    a.stop().await;
    b.stop().await;
}

/// Many clients change different members of one group at once: each patch is put onto the newest
/// group, so none of them is lost.
#[tokio::test(flavor = "multi_thread")]
async fn patches_of_one_group_at_once_lose_nothing() {
    let network = Network::found(1);
    let site = Site::start(&network, 0).await;
    let tree = json!({"address": {"main": {"country": "DE"}}});
    let id = site.client.write("POST", "/v1/customers", &[], &tree).await["id"].clone();
    let page = format!("/v1/customers/{}", id.as_str().unwrap());
    let members = ["name", "line1", "line2", "street", "postcode", "city", "district", "region"];
    let mut writers = JoinSet::new();
    for member in members {
        let (client, page) = (site.client.clone(), page.clone());
        let patch = json!({"address": {"main": {member: "X"}}});
        writers.spawn(async move { client.write("PATCH", &page, &[], &patch).await });
    }
    writers.join_all().await;
    let shown = site.client.get(&page).await["customer"]["address"]["main"].clone();
    assert!(members.iter().all(|member| shown[member] == "X"), "{shown}");
    site.stop().await;
}

/// A file goes in by bulk and comes out by export, the same on another node, and a node that stops
/// does not wait for idle connections.
#[tokio::test(flavor = "multi_thread")]
async fn what_goes_in_by_bulk_comes_out_by_export_on_every_node() {
    let network = Network::found(2);
    let (a, b) = (Site::start(&network, 0).await, Site::start(&network, 1).await);
    let lines: Vec<String> = (0..1_000)
        .map(|number| {
            let key = json!({"system": "crm-number", "value": number.to_string()});
            json!({"key": key, "customer": {"name": {"legal": format!("Kunde {number}")}}})
                .to_string()
        })
        .collect();
    let headers = [("content-type", "application/x-ndjson"), ("idempotency-key", "file-1")];
    let (status, _, first) = a.client.ask("POST", "/v1/bulk", &headers, &lines.join("\n")).await;
    assert_eq!((status, first.lines().count()), (200, 1_000), "{first}");
    assert!(first.lines().all(|line| line.contains("\"written\":true")), "{first}");
    let (_, _, again) = a.client.ask("POST", "/v1/bulk", &headers, &lines.join("\n")).await;
    assert_eq!(again, first, "the same key means the same write");
    until_converged(&[&a.node, &b.node], 10).await;
    let (_, _, here) = a.client.ask("GET", "/v1/export", &[], "").await;
    let (_, _, there) = b.client.ask("GET", "/v1/export", &[], "").await;
    assert_eq!(here.lines().count(), 1_000);
    assert_eq!(here, there);
    let feed = b.client.get("/v1/changes?limit=500").await;
    let touched: usize = feed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["records"].as_array().unwrap().len())
        .sum();
    assert_eq!(touched, 1_000);
    let heard = |status: &node::replica::status::Status| status.peers[0].equal_golden;
    until("the digests are told", &[&a.node, &b.node], heard).await;
    let peers = a.client.get("/v1/peers").await;
    assert_eq!(peers["peers"][0]["equal_golden"], true);
    tokio::time::timeout(Duration::from_secs(5), a.stop()).await.unwrap();
    b.stop().await;
}

/// A node admits a member by its interface and tells its peers.
#[tokio::test(flavor = "multi_thread")]
async fn a_roster_that_one_node_is_given_reaches_its_peers() {
    let mut network = Network::found(2);
    let (a, b) = (Site::start(&network, 0).await, Site::start(&network, 1).await);
    until_converged(&[&a.node, &b.node], 0).await;
    let newcomer = node::replica::roster::Member {
        node: node::identity::NodeKey::generate().unwrap().id(),
        name: "apac-9".to_owned(),
        region: "APAC".parse().unwrap(),
        addresses: Vec::new(),
    };
    let before = network.roster.height();
    network.roster.admit(newcomer, &network.key).unwrap();
    let (roster, agent) = (network.roster.encode(), a.client.agent.clone());
    let uri = format!("{}/v1/network/roster", a.client.base);
    let status = spawn_blocking(move || {
        let request = agent.post(uri).header("authorization", format!("Bearer {SECRET}"));
        let request = request.content_type("application/octet-stream");
        request.send(&roster[..]).unwrap().status().as_u16()
    });
    assert_eq!(status.await.unwrap(), 200);
    until("the roster is there", &[&a.node, &b.node], |status| status.roster_height == before + 1)
        .await;
    let shown = b.client.get("/v1/network/roster").await;
    assert_eq!(shown["members"].as_array().unwrap().len(), 3);
    assert!(shown["members"].as_array().unwrap().iter().any(|m| m["name"] == "apac-9"));
    a.stop().await;
    b.stop().await;
}
