//! The HTTP interface of a node: JSON under `/v1`, one file a resource.
//!
//! It holds a [`Handle`] and nothing else of the node: writes go to the driver, reads come from the
//! store through typed views. A handler extracts, makes one call, and shows the answer. Every refusal
//! is a problem document (RFC 9457).

mod attributes;
mod author;
mod backup;
mod bulk;
mod changes;
mod codes;
mod conflicts;
mod credit;
mod cursor;
mod customers;
mod durability;
mod error;
mod export;
mod extract;
mod forks;
mod golden;
mod hierarchy;
mod history;
mod issues;
mod json;
mod metrics;
mod network;
mod openapi;
mod policy;
mod quarantine;
mod requests;
mod serve;
mod status;
#[cfg(test)]
mod tests;
pub mod token;
mod views;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use jiff::civil::Date;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use self::error::{ApiError, ApiResult};
pub use self::serve::serve;
use self::token::Keyring;
use crate::clock::Clock;
use crate::handle::Handle;
use crate::replica::event::WriteRefusal;
use crate::replica::records::Records;

/// The most bytes of a body, except that of `/v1/bulk`.
const BODY_MAX: usize = 1 << 20;
/// How long a request may take until its answer begins, its body included.
const REQUEST_TIME: Duration = Duration::from_secs(60);
/// Reads of the store at once; more wait.
const READS_AT_ONCE: usize = 64;

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct App {
    handle: Handle,
    tokens: Keyring,
    clock: Clock,
    reads: Arc<Semaphore>,
}

impl App {
    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The day in UTC.
    fn today(&self) -> Date {
        let ms = i64::try_from(self.now_ms()).unwrap_or(i64::MAX);
        let now = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
        now.to_zoned(jiff::tz::TimeZone::UTC).date()
    }

    /// Reads the store, away from the threads that serve connections.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(Records<'_>) -> ApiResult<T> + Send + 'static,
    ) -> ApiResult<T> {
        let handle = self.handle.clone();
        if !handle.status().ready {
            // A store that lost data must not answer as if nothing were missing.
            return Err(WriteRefusal::NotReady.into());
        }
        self.compute(move || read(handle.records())).await?
    }

    /// Reads what is whole also while records are missing: the roster.
    async fn read_always<T: Send + 'static>(
        &self,
        read: impl FnOnce(Records<'_>) -> ApiResult<T> + Send + 'static,
    ) -> ApiResult<T> {
        let handle = self.handle.clone();
        self.compute(move || read(handle.records())).await?
    }

    /// Does work that takes long, away from the threads that serve connections.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> ApiResult<T> {
        let defect = |fault: &dyn std::fmt::Display| ApiError::defect(&fault.to_string());
        let turn = Arc::clone(&self.reads).acquire_owned().await.map_err(|fault| defect(&fault))?;
        let work = move || {
            // The turn is over when the work is, even when nobody waits for it any more.
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|fault| defect(&fault))
    }
}

/// The interface of a node.
pub fn router(handle: Handle, tokens: impl Into<Keyring>, clock: Clock) -> Router {
    let app = App {
        handle,
        tokens: tokens.into(),
        clock,
        reads: Arc::new(Semaphore::new(READS_AT_ONCE)),
    };
    let authenticate = middleware::from_fn_with_state(app.clone(), author::authenticate);
    let await_sites = middleware::from_fn_with_state(app.clone(), durability::await_sites);
    let complete = middleware::from_fn_with_state(app.clone(), durability::complete);
    let pages = with_token().route_layer(complete).route_layer(await_sites);
    let (router, _) = pages.route_layer(authenticate).merge(open()).split_for_parts();
    router
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIME))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn(error::problems_only))
        .layer(middleware::from_fn(secure))
        .with_state(app)
}

/// The pages that need a token.
fn with_token() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::Description::openapi())
        .routes(routes!(customers::list, writes::create))
        .routes(routes!(customers::read, writes::patch))
        .routes(routes!(history::history))
        .routes(routes!(hierarchy::show))
        .routes(routes!(credit::show))
        .routes(routes!(credit::reserve))
        .routes(routes!(credit::transfer))
        .routes(routes!(conflicts::conflicts))
        .routes(routes!(quarantine::quarantine))
        .routes(routes!(forks::forks))
        .routes(routes!(changes::changes))
        .routes(routes!(bulk::bulk).layer(DefaultBodyLimit::max(bulk::BODY_MAX)))
        .routes(routes!(export::export))
        .routes(routes!(backup::backup))
        .routes(routes!(attributes::attributes))
        .routes(routes!(network::show, network::adopt))
        .routes(routes!(issues::list))
        .routes(routes!(issues::of_customer))
        .routes(routes!(issues::ledger))
        .routes(routes!(codes::list))
        .routes(routes!(codes::show, codes::patch))
        .routes(routes!(codes::impact))
        .routes(routes!(requests::tasks))
        .routes(routes!(requests::open))
        .routes(routes!(requests::show))
        .routes(routes!(requests::decide))
        .routes(routes!(requests::lease))
        .routes(routes!(requests::overrule))
        .routes(routes!(policy::show))
        .routes(routes!(policy::simulate))
        .routes(routes!(status::status))
        .routes(routes!(status::peers))
        .routes(routes!(metrics::metrics))
}

/// The pages that anyone may see.
fn open() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(status::health)).routes(routes!(openapi::openapi))
}

/// The description of the interface (OpenAPI 3.1), the same for every node of a release.
#[must_use]
pub fn openapi_json() -> String {
    let description = with_token().merge(open()).into_openapi();
    let mut json = description.to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
}

/// Headers for browsers and proxies: customer data is stored nowhere and is never run as a page.
async fn secure(request: Request, next: Next) -> Response {
    // The query may hold names and tax ids, which belong in no log.
    let (method, page) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    tracing::debug!(%method, page, status = response.status().as_u16(), "answered");
    let headers: [(HeaderName, &'static str); 4] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
