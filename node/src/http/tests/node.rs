//! A node in memory: the real replica over [`Memory`], without disk and network, and a client of its
//! interface.

use std::sync::{Arc, RwLock};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use crdt_model::policy::Policy;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tower::ServiceExt;

use crate::clock::Clock;
use crate::handle::{Command, Handle};
use crate::http::router;
use crate::http::token::Tokens;
use crate::identity::NodeKey;
use crate::kv::{Memory, Pair, ReadError, View};
use crate::replica::action::Action;
use crate::replica::event::{Answer, Event, RosterOutcome, Ticket, WriteOutcome};
use crate::replica::limits::HEARTBEAT_MS;
use crate::replica::roster::{Member, Roster};
use crate::replica::{Config, Replica};

/// May write as anyone.
pub(super) const ADMIN: &str = "admin-0123456789abcdef0123456789abcdef";
/// May write as `manual-emea`.
pub(super) const CLERK: &str = "clerk-0123456789abcdef0123456789abcdef";
/// May read.
pub(super) const READER: &str = "reader-0123456789abcdef0123456789abcdef";

/// Was good until the end of a day long past.
pub(super) const EXPIRED: &str = "former-0123456789abcdef0123456789abcdef";

/// A memory that the replica writes while others read it.
#[derive(Clone, Default)]
struct Shared(Arc<RwLock<Memory>>);

impl View for Shared {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.0.read().unwrap().get(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, ReadError> {
        self.0.read().unwrap().scan(prefix, from, limit)
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<Pair>, ReadError> {
        self.0.read().unwrap().last(prefix)
    }
}

/// The roster of the node, and one that admits another member.
pub(super) struct Rosters {
    pub(super) second: Vec<u8>,
}

/// Starts a node under a policy.
pub(super) fn start_under(policy: Policy) -> Client {
    started(None, policy).0
}

/// Starts a node; `behind` is one that lost data and takes no writes.
pub(super) fn start(behind: bool) -> (Client, Rosters) {
    started(behind.then_some(1), Policy::built_in())
}

fn started(behind: Option<u64>, policy: Policy) -> (Client, Rosters) {
    let network = NodeKey::generate().unwrap();
    let key = NodeKey::generate().unwrap();
    let member = |node, name: &str| Member {
        node,
        name: name.to_owned(),
        region: "EMEA".parse().unwrap(),
        addresses: Vec::new(),
    };
    let mut roster = Roster::found("test", &network).unwrap();
    roster.admit(member(key.id(), "emea-1"), &network).unwrap();
    let mut longer = roster.clone();
    longer.admit(member(NodeKey::generate().unwrap().id(), "emea-2"), &network).unwrap();
    let config = Config {
        signer: Box::new(key),
        roster,
        nonce: 1,
        connect: Vec::new(),
        heartbeat_ms: HEARTBEAT_MS,
        behind,
        policy,
    };
    let client = Client(router(run(config), tokens(), Clock::system()));
    (client, Rosters { second: longer.encode() })
}

fn tokens() -> Tokens {
    let entry = |secret: &str, principal: &str, rest: &str| {
        format!(
            "[[tokens]]\nsecret = \"{secret}\"\nprincipal = \"{principal}\"\n\
             source = \"manual-emea\"\n{rest}\n"
        )
    };
    let entries = [
        entry(ADMIN, "admin", "any_source = true\nwrite = true"),
        entry(CLERK, "clerk", "write = true"),
        entry(READER, "reader", ""),
        entry(EXPIRED, "former", "write = true\nexpires = \"2026-01-01\""),
    ];
    Tokens::parse(&entries.concat()).unwrap()
}

/// Runs a replica until its last handle is gone.
fn run(config: Config) -> Handle {
    let store = Shared::default();
    let (mut replica, ops) = Replica::load(config, &store).unwrap();
    store.0.write().unwrap().apply(&ops);
    let now = || Clock::system().now_ms();
    let (commands, mut inbox) = mpsc::channel(64);
    let (_, status) = watch::channel(Arc::new(replica.status(now())));
    let (_, policy) = watch::channel(Arc::clone(replica.history().policy()));
    let handle = Handle::new(commands, Arc::new(store.clone()), status, policy);
    std::thread::spawn(move || {
        let ticket = Ticket(1);
        while let Some(command) = inbox.blocking_recv() {
            let (event, reply) = match command {
                Command::Write(request, reply) => {
                    (Event::Write { ticket, request }, Reply::Write(reply))
                }
                Command::AdoptRoster(roster, reply) => {
                    (Event::AdoptRoster { ticket, roster }, Reply::Roster(reply))
                }
                Command::AwaitSites { reply, .. } => {
                    let own = replica.newest_own();
                    let _ = reply.send(own.map_or(0, |own| replica.sites_holding(&own)));
                    continue;
                }
            };
            let mut answered = None;
            for action in replica.handle(now(), event, &store) {
                match action {
                    Action::Persist(ops) => store.0.write().unwrap().apply(&ops),
                    Action::Reply { answer, .. } => answered = Some(answer),
                    Action::Send { .. }
                    | Action::Dial { .. }
                    | Action::Close { .. }
                    | Action::Admit(_)
                    | Action::Alarm(_) => {}
                }
            }
            match (reply, answered) {
                (Reply::Write(reply), Some(Answer::Write(outcome))) => drop(reply.send(outcome)),
                (Reply::Roster(reply), Some(Answer::Roster(outcome))) => drop(reply.send(outcome)),
                (_, answer) => panic!("this is not the answer: {answer:?}"),
            }
        }
    });
    handle
}

enum Reply {
    Write(oneshot::Sender<WriteOutcome>),
    Roster(oneshot::Sender<RosterOutcome>),
}

/// Asks a node.
#[derive(Clone)]
pub(super) struct Client(pub(super) Router);

/// An answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answered {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Every line of JSON Lines.
    pub(super) fn lines(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The JSON, after a look at the status.
    pub(super) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// The problem document, after a look at the status and code.
    pub(super) fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("https://concord.invalid/problems/{code}"));
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.ends_with(['.', '?']) && detail.len() > 20, "{detail:?} is not a sentence");
        problem
    }
}

impl Client {
    pub(super) async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.0.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answered { status: parts.status, headers: parts.headers, body }
    }

    pub(super) async fn get(&self, page: &str) -> Answered {
        self.ask(Method::GET, page, READER, &[], Body::empty()).await
    }

    pub(super) async fn ask(
        &self,
        method: Method,
        page: &str,
        secret: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answered {
        let mut request = Request::builder().method(method).uri(page);
        if !secret.is_empty() {
            request = request.header("authorization", format!("Bearer {secret}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(super) async fn post(&self, tree: &Value, headers: &[(&str, &str)]) -> Answered {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.ask(Method::POST, "/v1/customers", ADMIN, &headers, tree.to_string()).await
    }

    pub(super) async fn patch(
        &self,
        id: &str,
        patch: &Value,
        headers: &[(&str, &str)],
    ) -> Answered {
        let headers = [&[("content-type", "application/merge-patch+json")], headers].concat();
        let page = format!("/v1/customers/{id}");
        self.ask(Method::PATCH, &page, ADMIN, &headers, patch.to_string()).await
    }

    pub(super) async fn bulk(&self, query: &str, lines: &str) -> Answered {
        let headers = [("content-type", "application/x-ndjson"), ("concord-source", "erp-emea")];
        let page = format!("/v1/bulk{query}");
        self.ask(Method::POST, &page, ADMIN, &headers, lines.to_owned()).await
    }
}
