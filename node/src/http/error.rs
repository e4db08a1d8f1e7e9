//! The one error of the interface: a problem document (RFC 9457) with a stable code.
//!
//! What went wrong inside the node is logged and not told: the client reads that the node cannot
//! answer, and what to do.

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use crdt_model::attribute::Fault;
use serde::Serialize;
use utoipa::ToSchema;

use crate::kv::ReadError;
use crate::replica::event::{RosterRefusal, StoreFaultKind, WriteRefusal};

/// The media type of a problem document.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// What the type of a problem starts with; its code follows.
const TYPE_BASE: &str = "https://concord.invalid/problems/";
/// After how many seconds a client may try again when the node cannot write now.
const RETRY_AFTER_S: &str = "5";

/// What kind of problem: a status, a code for programs and a title for people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    status: StatusCode,
    pub(crate) code: &'static str,
    title: &'static str,
    /// Whether the node as a whole cannot do it now, so that a retry later, or elsewhere, may help.
    is_of_node: bool,
}

const fn kind(status: StatusCode, code: &'static str, title: &'static str) -> Kind {
    Kind { status, code, title, is_of_node: false }
}

const fn of_node(status: StatusCode, code: &'static str, title: &'static str) -> Kind {
    Kind { status, code, title, is_of_node: true }
}

type S = StatusCode;

pub(crate) static BODY_MALFORMED: Kind =
    kind(S::BAD_REQUEST, "body-malformed", "The body cannot be read");
pub(crate) static BODY_TOO_LARGE: Kind =
    kind(S::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large");
pub(crate) static CLOCK_SKEW: Kind =
    of_node(S::SERVICE_UNAVAILABLE, "clock-skew", "The clock of the node is wrong");
pub(crate) static CODE_LIST_UNKNOWN: Kind =
    kind(S::NOT_FOUND, "code-list-unknown", "There is no such code list");
pub(crate) static CURSOR_INVALID: Kind =
    kind(S::BAD_REQUEST, "cursor-invalid", "This is not a cursor of this list");
pub(crate) static CUSTOMER_BUSY: Kind =
    kind(S::SERVICE_UNAVAILABLE, "customer-busy", "The customer is being changed by others");
pub(crate) static CUSTOMER_EXISTS: Kind =
    kind(S::CONFLICT, "customer-exists", "The customer exists already");
pub(crate) static CUSTOMER_FULL: Kind =
    kind(S::CONFLICT, "customer-full", "The customer takes no more");
pub(crate) static CUSTOMER_HELD: Kind =
    kind(S::CONFLICT, "customer-held", "The customer is held because of a defect");
pub(crate) static CUSTOMER_INVALID: Kind =
    kind(S::UNPROCESSABLE_ENTITY, "customer-invalid", "The customer data breaks a rule");
pub(crate) static CUSTOMER_UNKNOWN: Kind =
    kind(S::NOT_FOUND, "customer-unknown", "There is no such customer");
pub(crate) static DAMAGED: Kind =
    of_node(S::INTERNAL_SERVER_ERROR, "store-damaged", "The store cannot be read");
pub(crate) static FACT_FINAL: Kind =
    kind(S::CONFLICT, "fact-final", "The request is decided or stated already");
pub(crate) static FOUR_EYES: Kind = kind(S::FORBIDDEN, "four-eyes", "A second person must decide");
pub(crate) static HEADER_INVALID: Kind =
    kind(S::BAD_REQUEST, "header-invalid", "A header cannot be read");
pub(crate) static ID_MALFORMED: Kind = kind(S::BAD_REQUEST, "id-malformed", "The id is not a UUID");
pub(crate) static INTERNAL: Kind =
    of_node(S::INTERNAL_SERVER_ERROR, "internal", "The node has a defect");
pub(crate) static MAP_AMBIGUOUS: Kind =
    kind(S::UNPROCESSABLE_ENTITY, "map-ambiguous", "The map cannot be inverted");
pub(crate) static METHOD_NOT_ALLOWED: Kind =
    kind(S::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here");
pub(crate) static NEEDS_REQUEST: Kind =
    kind(S::FORBIDDEN, "needs-request", "The change needs a request");
pub(crate) static NO_NUMBER: Kind =
    kind(S::CONFLICT, "no-number", "There is no customer number to give");
pub(crate) static NOT_AUTHORISED: Kind =
    kind(S::FORBIDDEN, "not-authorised", "The principal may not do this");
pub(crate) static NOT_A_MEMBER: Kind =
    of_node(S::SERVICE_UNAVAILABLE, "not-a-member", "The node is not a member of the network");
pub(crate) static NOT_READY: Kind =
    of_node(S::SERVICE_UNAVAILABLE, "not-ready", "The node is catching up");
pub(crate) static OUTCOME_UNKNOWN: Kind =
    of_node(S::SERVICE_UNAVAILABLE, "outcome-unknown", "What became of the write is not known");
pub(crate) static PAGE_UNKNOWN: Kind = kind(S::NOT_FOUND, "page-unknown", "There is no such page");
pub(crate) static POLICY_REFUSED: Kind =
    kind(S::UNPROCESSABLE_ENTITY, "policy-refused", "The policy cannot be put in force");
pub(crate) static POLICY_RESOLVING: Kind =
    of_node(S::SERVICE_UNAVAILABLE, "policy-resolving", "A policy is coming into force");
pub(crate) static PRINCIPAL_MISMATCH: Kind =
    kind(S::FORBIDDEN, "principal-mismatch", "The write speaks for somebody else");
pub(crate) static QUERY_INVALID: Kind =
    kind(S::BAD_REQUEST, "query-invalid", "The query cannot be read");
pub(crate) static READ_ONLY_TOKEN: Kind =
    kind(S::FORBIDDEN, "read-only-token", "The token may only read");
pub(crate) static REQUEST_INVALID: Kind =
    kind(S::BAD_REQUEST, "request-invalid", "The request cannot be read");
pub(crate) static REQUEST_UNKNOWN: Kind =
    kind(S::NOT_FOUND, "request-unknown", "There is no such change request");
pub(crate) static ROSTER_REFUSED: Kind =
    kind(S::UNPROCESSABLE_ENTITY, "roster-refused", "The roster was not taken");
pub(crate) static SEARCH_TOO_BROAD: Kind =
    kind(S::BAD_REQUEST, "search-too-broad", "Too many customers match");
pub(crate) static SHUTTING_DOWN: Kind =
    of_node(S::SERVICE_UNAVAILABLE, "shutting-down", "The node is shutting down");
pub(crate) static SITES_TOO_MANY: Kind =
    kind(S::UNPROCESSABLE_ENTITY, "sites-too-many", "The network has fewer nodes than that");
pub(crate) static SOURCE_NOT_ALLOWED: Kind =
    kind(S::FORBIDDEN, "source-not-allowed", "The token may not name this source");
pub(crate) static STALE_BASE: Kind =
    kind(S::CONFLICT, "stale-base", "What would change has changed meanwhile");
pub(crate) static STORE_FAILED: Kind =
    of_node(S::SERVICE_UNAVAILABLE, "store-failed", "The store failed");
pub(crate) static STORE_FULL: Kind =
    of_node(S::INSUFFICIENT_STORAGE, "store-full", "The store is full");
pub(crate) static TIMEOUT: Kind =
    of_node(S::SERVICE_UNAVAILABLE, "timeout", "The answer took too long");
pub(crate) static TOKEN_EXPIRED: Kind =
    kind(S::UNAUTHORIZED, "token-expired", "The token has expired");
pub(crate) static TOKEN_MISSING: Kind = kind(S::UNAUTHORIZED, "token-missing", "A token is needed");
pub(crate) static TOKEN_UNKNOWN: Kind =
    kind(S::UNAUTHORIZED, "token-unknown", "The token is not known");
pub(crate) static TOO_LARGE: Kind =
    kind(S::PAYLOAD_TOO_LARGE, "too-large", "The write is too large");
pub(crate) static TYPE_UNSUPPORTED: Kind =
    kind(S::UNSUPPORTED_MEDIA_TYPE, "type-unsupported", "The media type is not taken");
pub(crate) static VERSION_MISMATCH: Kind =
    kind(S::PRECONDITION_FAILED, "version-mismatch", "The customer has changed");
pub(crate) static VERSION_UNKNOWN: Kind =
    kind(S::NOT_FOUND, "version-unknown", "There is no such version");

/// One thing that is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ErrorView {
    /// What is wrong, for programs.
    pub(crate) code: String,
    /// Where, as a JSON pointer (RFC 6901) below the customer.
    pub(crate) pointer: String,
    /// What is wrong and what to do, for people.
    pub(crate) text: String,
}

impl From<Fault> for ErrorView {
    fn from(fault: Fault) -> Self {
        Self { code: fault.code.to_owned(), pointer: fault.pointer, text: fault.text }
    }
}

/// A field that has changed since the version that a client saw.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ChangedView {
    /// The path of the attribute.
    pub(crate) path: String,
    /// What the version that the client named shows; absent when it shows nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) yours_saw: Option<serde_json::Value>,
    /// What the record shows now; absent when it shows nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) now: Option<serde_json::Value>,
    /// What a change request proposes; absent elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proposed: Option<serde_json::Value>,
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Names the kind of problem; does not change.
    #[serde(rename = "type")]
    pub(crate) problem_type: String,
    /// The kind of problem, for people.
    pub(crate) title: &'static str,
    /// The status of the answer.
    pub(crate) status: u16,
    /// The kind of problem, for programs; does not change.
    pub(crate) code: &'static str,
    /// What is wrong this time, and what to do.
    pub(crate) detail: String,
    /// Every fault of the input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<ErrorView>,
    /// What has changed since the version that the client named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) difference: Option<Vec<ChangedView>>,
}

/// Why a request was not served. A write that is answered with it was not done, except that after
/// `timeout` and `outcome-unknown` its fate is open.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) kind: &'static Kind,
    pub(crate) detail: String,
    pub(crate) errors: Vec<ErrorView>,
    pub(crate) difference: Option<Vec<ChangedView>>,
}

/// What a handler gives.
pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), difference: None }
    }

    /// The refusal of customer data.
    pub(crate) fn invalid(faults: Vec<Fault>) -> Self {
        let errors: Vec<ErrorView> = faults.into_iter().map(ErrorView::from).collect();
        let detail = match &errors[..] {
            [one] => format!("{}: {}", one.pointer, one.text),
            [] => "The customer data breaks a rule.".to_owned(),
            [first, rest @ ..] => {
                format!("{}: {} {} more, see errors.", first.pointer, first.text, rest.len())
            }
        };
        Self { errors, ..Self::new(&CUSTOMER_INVALID, detail) }
    }

    /// A defect: what happened is logged.
    pub(crate) fn defect(what: &str) -> Self {
        tracing::error!(what, "a request met a defect");
        Self::new(&INTERNAL, "The node met a defect; its log says which. Nothing was written.")
    }

    /// Whether the node as a whole cannot do it now.
    pub(crate) const fn is_of_node(&self) -> bool {
        self.kind.is_of_node
    }

    /// The error as one entry of a list.
    pub(crate) fn into_errors(self) -> Vec<ErrorView> {
        if self.errors.is_empty() {
            let code = self.kind.code.to_owned();
            return vec![ErrorView { code, pointer: String::new(), text: self.detail }];
        }
        self.errors
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        tracing::error!(%error, "the store cannot be read");
        Self::new(
            &DAMAGED,
            "The store of this node cannot be read; its log says why. Ask the operator to run \
             \"concord verify\"; another node can answer meanwhile.",
        )
    }
}

impl From<WriteRefusal> for ApiError {
    fn from(refusal: WriteRefusal) -> Self {
        let kind = match &refusal {
            WriteRefusal::ClockSkew { .. } => &CLOCK_SKEW,
            WriteRefusal::NotReady => &NOT_READY,
            WriteRefusal::Exists { .. } => &CUSTOMER_EXISTS,
            WriteRefusal::Unknown { .. } => &CUSTOMER_UNKNOWN,
            // The version is one of a precondition (If-Match) here, not of a path.
            WriteRefusal::VersionMismatch { .. } | WriteRefusal::UnknownVersion { .. } => {
                &VERSION_MISMATCH
            }
            WriteRefusal::Denied { denial, .. } => denied_kind(denial.code),
            WriteRefusal::Invalid { faults, .. } => return Self::invalid(faults.clone()),
            WriteRefusal::Malformed { .. } => &CUSTOMER_INVALID,
            WriteRefusal::NoNumber { .. } => &NO_NUMBER,
            WriteRefusal::RecordFull { .. } => &CUSTOMER_FULL,
            WriteRefusal::TooLarge { .. } => &TOO_LARGE,
            WriteRefusal::Held { .. } => &CUSTOMER_HELD,
            WriteRefusal::NotAMember => &NOT_A_MEMBER,
            WriteRefusal::Defect { .. } => &INTERNAL,
            WriteRefusal::Uncertain { .. } => &OUTCOME_UNKNOWN,
            WriteRefusal::Store(fault) => store_kind(fault.kind),
        };
        if kind.is_of_node {
            tracing::warn!(%refusal, "a write was refused");
        }
        Self::new(kind, sentence(&refusal.to_string()))
    }
}

/// The kind of a refusal by the policy.
fn denied_kind(code: &str) -> &'static Kind {
    match code {
        "four-eyes" => &FOUR_EYES,
        "needs-request" => &NEEDS_REQUEST,
        "fact-final" => &FACT_FINAL,
        "principal-mismatch" => &PRINCIPAL_MISMATCH,
        _ => &NOT_AUTHORISED,
    }
}

const fn store_kind(kind: StoreFaultKind) -> &'static Kind {
    match kind {
        StoreFaultKind::Full => &STORE_FULL,
        StoreFaultKind::Stopping => &SHUTTING_DOWN,
        StoreFaultKind::Failed => &STORE_FAILED,
    }
}

impl From<RosterRefusal> for ApiError {
    fn from(refusal: RosterRefusal) -> Self {
        let kind = match &refusal {
            RosterRefusal::Roster(_) => &ROSTER_REFUSED,
            RosterRefusal::Store(fault) => store_kind(fault.kind),
            RosterRefusal::Uncertain { .. } => &OUTCOME_UNKNOWN,
        };
        Self::new(kind, sentence(&refusal.to_string()))
    }
}

/// An error text with a capital and a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Kind { status, code, title, .. } = *self.kind;
        let problem = Problem {
            problem_type: format!("{TYPE_BASE}{code}"),
            title,
            status: status.as_u16(),
            code,
            detail: self.detail,
            errors: self.errors,
            difference: self.difference,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"concord\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Turns the bare refusals of the libraries underneath into problem documents: wrong method, time
/// over, a panic in a handler.
pub(crate) async fn problems_only(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let media_type = response.headers().get(header::CONTENT_TYPE);
    if !is_error || media_type.is_some_and(|media| media.as_bytes().ends_with(b"json")) {
        return response;
    }
    let (kind, detail) = match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            (&METHOD_NOT_ALLOWED, "The header Allow names the methods that this page takes.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            (&BODY_TOO_LARGE, "The body is larger than this page takes; send it in parts.")
        }
        StatusCode::NOT_FOUND => (&PAGE_UNKNOWN, "See /v1/openapi.json for the pages there are."),
        StatusCode::SERVICE_UNAVAILABLE => (
            &TIMEOUT,
            "The node did not answer in time. What became of a write is not known: send it again \
             with the same Idempotency-Key.",
        ),
        _ if status.is_server_error() => (&INTERNAL, "The node met a defect; its log says which."),
        _ => (&REQUEST_INVALID, "The request is not one that this page can read."),
    };
    let mut problem = ApiError::new(kind, detail).into_response();
    if let Some(allow) = response.headers().get(header::ALLOW) {
        problem.headers_mut().insert(header::ALLOW, allow.clone());
    }
    problem
}
