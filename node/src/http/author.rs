//! Who asks: the token of a request, and what a write says about its author.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use axum::middleware::Next;
use axum::response::Response;
use crdt_model::id::SourceName;
use percent_encoding::percent_decode_str;

use super::App;
use super::error::{self, ApiError, ApiResult};
use super::extract::{header, header_error};
use super::token::Grant;
use crate::replica::event::Provenance;

/// Names another source than the token's.
const SOURCE: HeaderName = HeaderName::from_static("concord-source");
/// Why the write is made, percent-encoded UTF-8.
const REASON: HeaderName = HeaderName::from_static("concord-reason");
/// Makes a write that is sent again the same write.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The most bytes of a reason; principal, reason and request id share 4 KiB of the commit.
const REASON_MAX: usize = 2_000;
/// The most bytes of an idempotency key.
const KEY_MAX: usize = 255;

/// Lets a request in only with a known token, and puts what the token allows beside it.
pub(crate) async fn authenticate(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> ApiResult<Response> {
    let missing = || {
        let text = "Send the header \"Authorization: Bearer SECRET\" with the secret of a token.";
        ApiError::new(&error::TOKEN_MISSING, text)
    };
    let credentials =
        header(request.headers(), &header::AUTHORIZATION)?.and_then(|value| value.split_once(' '));
    let secret = credentials
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret.trim())
        .ok_or_else(missing)?;
    let tokens = app.tokens.current();
    let grant = tokens.grant(secret).ok_or_else(|| {
        let text = "This node does not know the token. Check the secret, and which node you ask.";
        ApiError::new(&error::TOKEN_UNKNOWN, text)
    })?;
    if grant.is_expired(app.now_ms()) {
        let text = "The token is not good any more. Ask the operator for a new one (concord token \
                    create).";
        return Err(ApiError::new(&error::TOKEN_EXPIRED, text));
    }
    let grant = grant.clone();
    request.extensions_mut().insert(grant);
    Ok(next.run(request).await)
}

/// The author of a write: the token may write, and may name this source.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    pub(crate) source: SourceName,
    principal: String,
    reason: String,
    /// The idempotency key, and a hash of what it stands for besides the body.
    key: Option<(String, blake3::Hash)>,
}

impl Author {
    /// What the commit says about its author.
    ///
    /// A key means the same write only for the same principal, page and body: a key that is used
    /// again for something else never gives the old answer for it.
    pub(crate) fn provenance(&self, body: &blake3::Hash) -> Provenance {
        let request = self.key.as_ref().map(|(key, page)| {
            let whole = blake3::hash(&[page.as_bytes().as_slice(), body.as_bytes()].concat());
            format!("{key}#{}", &whole.to_hex()[..32])
        });
        Provenance {
            principal: self.principal.clone(),
            reason: self.reason.clone(),
            request: request.unwrap_or_default(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Author {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let grant = writer(parts)?;
        let source = source(parts, grant)?;
        let reason = reason(parts)?;
        let key = header(&parts.headers, &IDEMPOTENCY_KEY)?.map(|key| key.trim_matches('"'));
        if key.is_some_and(|key| key.is_empty() || key.len() > KEY_MAX) {
            let text = format!("takes 1 to {KEY_MAX} characters");
            return Err(header_error(&IDEMPOTENCY_KEY, &text));
        }
        let if_match = header(&parts.headers, &header::IF_MATCH)?.unwrap_or_default();
        let page =
            format!("{}\n{}\n{}\n{}\n{if_match}", grant.principal, source, parts.method, parts.uri);
        let key = key.map(|key| (key.to_owned(), blake3::hash(page.as_bytes())));
        Ok(Self { source, principal: grant.principal.clone(), reason, key })
    }
}

/// What the token allows, when it may write.
fn writer(parts: &Parts) -> ApiResult<&Grant> {
    // A page without the layer above would answer nobody.
    let grant =
        parts.extensions.get::<Grant>().ok_or_else(|| ApiError::defect("a page without token"))?;
    if grant.write {
        return Ok(grant);
    }
    let text = "This token may read and not write. Ask the operator for one with write = true.";
    Err(ApiError::new(&error::READ_ONLY_TOKEN, text))
}

/// A request that changes the node and is no write of customers: the token may write.
#[derive(Debug)]
pub(crate) struct Operator;

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        writer(parts).map(|_| Self)
    }
}

fn source(parts: &Parts, grant: &Grant) -> ApiResult<SourceName> {
    let Some(name) = header(&parts.headers, &SOURCE)? else { return Ok(grant.source.clone()) };
    let source: SourceName = name
        .parse()
        .map_err(|fault| header_error(&SOURCE, &format!("does not name a source: {fault}")))?;
    if source == grant.source || grant.any_source {
        return Ok(source);
    }
    let text = format!(
        "This token writes as {}, not as {source}. Leave the header {SOURCE} out, or use a token \
         with any_source = true.",
        grant.source
    );
    Err(ApiError::new(&error::SOURCE_NOT_ALLOWED, text))
}

fn reason(parts: &Parts) -> ApiResult<String> {
    let Some(encoded) = header(&parts.headers, &REASON)? else { return Ok(String::new()) };
    let reason = percent_decode_str(encoded)
        .decode_utf8()
        .map_err(|_| header_error(&REASON, "takes percent-encoded UTF-8"))?;
    if reason.len() > REASON_MAX || reason.chars().any(char::is_control) {
        let text = format!("takes one line of up to {REASON_MAX} bytes");
        return Err(header_error(&REASON, &text));
    }
    Ok(reason.into_owned())
}
