//! What handlers take from a request: parameters, the id in the path, headers, the JSON body.
//!
//! Everything that cannot be read is refused here, with a sentence, and never passed over.

use axum::RequestPartsExt;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use crdt_model::document::Version;
use crdt_model::id::RecordId;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{self, ApiError, ApiResult};
use super::json;

/// The parameters of a query; unknown and doubled ones are refused.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        Query::try_from_uri(&parts.uri).map(|Query(params)| Self(params)).map_err(|rejection| {
            let cause = std::error::Error::source(&rejection).map(ToString::to_string);
            let cause = cause.unwrap_or_else(|| rejection.body_text());
            ApiError::new(&error::QUERY_INVALID, error::sentence(&cause))
        })
    }
}

/// The id in the path of a request.
#[derive(Debug)]
pub(crate) struct Id(pub(crate) RecordId);

impl<S: Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let malformed = |text: String| ApiError::new(&error::ID_MALFORMED, error::sentence(&text));
        let path = parts.extract::<Path<String>>().await;
        let Path(id) = path.map_err(|rejection| malformed(rejection.body_text()))?;
        id.parse().map(Self).map_err(|fault: crdt_model::id::IdError| malformed(fault.to_string()))
    }
}

/// A JSON body.
#[derive(Debug)]
pub(crate) struct JsonBody {
    pub(crate) value: Value,
    /// The hash of the bytes as they came, for the idempotency key.
    pub(crate) digest: blake3::Hash,
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> ApiResult<Self> {
        expect_type(request.headers(), &["application/json", "application/merge-patch+json"])?;
        let bytes = body(request, state).await?;
        let value =
            json::parse(&bytes).map_err(|text| ApiError::new(&error::BODY_MALFORMED, text))?;
        Ok(Self { value, digest: blake3::hash(&bytes) })
    }
}

/// Refuses a body of another media type than these.
pub(crate) fn expect_type(headers: &HeaderMap, taken: &[&str]) -> ApiResult<()> {
    let given = header(headers, &header::CONTENT_TYPE)?.unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim();
    if taken.iter().any(|taken| media_type.eq_ignore_ascii_case(taken)) {
        return Ok(());
    }
    let text = format!("Send the header Content-Type: {}.", taken.join(" or "));
    Err(ApiError::new(&error::TYPE_UNSUPPORTED, text))
}

/// The whole body, up to the limit of the page.
pub(crate) async fn body<S: Send + Sync>(request: Request, state: &S) -> ApiResult<Bytes> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
            let text = "The body is larger than this page takes. Send it in parts.";
            ApiError::new(&error::BODY_TOO_LARGE, text)
        } else {
            ApiError::new(&error::BODY_MALFORMED, error::sentence(&rejection.body_text()))
        }
    })
}

/// A header that may stand once.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> ApiResult<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text.trim())),
        (Ok(_), Some(_)) => Err(header_error(name, "stands twice; send it once")),
        (Err(_), _) => Err(header_error(name, "takes ASCII only; percent-encode anything else")),
    }
}

/// The refusal of a header.
pub(crate) fn header_error(name: &HeaderName, text: &str) -> ApiError {
    ApiError::new(&error::HEADER_INVALID, format!("The header {name} {text}."))
}

/// What a write asks of the version of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// The version that the client saw (`If-Match`).
    pub(crate) seen: Option<Version>,
    /// Whether the write is made as of that version (`Prefer: handling=merge`), rather than refused
    /// when the record has changed.
    pub(crate) merge: bool,
}

impl<S: Sync> FromRequestParts<S> for Expectation {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let seen = match header(&parts.headers, &header::IF_MATCH)? {
            // Any version: a patch asks for an existing record anyway.
            None | Some("*") => None,
            Some(tag) => Some(version_of(tag).ok_or_else(|| {
                let text = "takes the ETag of one version as this node gave it, or *";
                header_error(&header::IF_MATCH, text)
            })?),
        };
        let merge = preferences(&parts.headers).any(|preference| preference == "handling=merge");
        if merge && seen.is_none() {
            let text = "must name the version that you saw when Prefer asks for handling=merge";
            return Err(header_error(&header::IF_MATCH, text));
        }
        Ok(Self { seen, merge })
    }
}

fn preferences(headers: &HeaderMap) -> impl Iterator<Item = String> {
    // Preferences that are not known are passed over (RFC 7240, section 2).
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .map(|preference| preference.replace([' ', '"'], "").to_ascii_lowercase())
}

fn version_of(tag: &str) -> Option<Version> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// The tag of a version.
pub(crate) fn tag_of(version: &Version) -> String {
    format!("\"{version}\"")
}

/// Whether the client already holds this version (`If-None-Match`).
pub(crate) fn is_held(headers: &HeaderMap, version: &Version) -> bool {
    let tag = tag_of(version);
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|candidate| candidate.trim())
        .any(|candidate| candidate == "*" || candidate.trim_start_matches("W/") == tag)
}
