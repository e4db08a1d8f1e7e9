//! The description of the interface for programs (OpenAPI 3.1), made from the handlers themselves.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// What the description says besides the pages.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Concord",
        description = "Customer master data that stays one record everywhere, with no hub in the \
            middle. Every page but /v1/health and /v1/openapi.json needs a token. Every answer that \
            was read says in the header Concord-Complete up to when everything that each region wrote \
            is in it.",
        license(name = "MIT OR Apache-2.0"),
    ),
    modifiers(&BearerToken),
    security(("token" = [])),
    tags(
        (name = "customers", description = "Golden records: read, write, history, bulk, export"),
        (name = "stewardship", description = "What needs a decision"),
        (name = "feed", description = "What has changed"),
        (name = "model", description = "What a customer can carry"),
        (name = "network", description = "Who belongs to the network"),
        (name = "node", description = "How the node does"),
    )
)]
pub(crate) struct Description;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", scheme);
    }
}

/// Describes the interface. Needs no token.
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "node", security(()),
    responses((status = 200, description = "This description", body = Object))
)]
pub(crate) async fn openapi() -> impl IntoResponse {
    // Anyone may ask, so it must cost nothing.
    static JSON: LazyLock<String> = LazyLock::new(super::openapi_json);
    ([(header::CONTENT_TYPE, "application/json")], JSON.as_str())
}
