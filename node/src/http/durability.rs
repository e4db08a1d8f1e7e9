//! How safe a write must be before it is answered, and how fresh what is read is: two headers.
//!
//! A write is durable on this node in any case. `Concord-Durability: sites:2; wait=10` also waits until
//! two other nodes hold it durably, so that it survives the loss of this one.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::App;
use super::error::{self, ApiError, ApiResult};
use super::extract::{header, header_error};
use crate::replica::status::RegionStatus;

const DURABILITY: HeaderName = HeaderName::from_static("concord-durability");
const COMPLETE: HeaderName = HeaderName::from_static("concord-complete");

/// How long is waited for other nodes when the client does not say, in seconds.
const WAIT_S: u64 = 10;
/// The longest that a client may have wait, in seconds: well below the time a request may take.
const WAIT_S_MAX: u64 = 30;

/// What a client wants of a write.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// Other nodes that hold it.
    sites: usize,
    wait: Duration,
}

impl Wanted {
    fn parse(text: &str) -> Option<Self> {
        let (level, wait) = match text.split_once(';') {
            Some((level, wait)) => (level, wait.trim().strip_prefix("wait=")?.parse().ok()?),
            None => (text, WAIT_S),
        };
        let sites = match level.trim() {
            "local" => 0,
            level => level.strip_prefix("sites:")?.parse().ok().filter(|sites| *sites > 0)?,
        };
        let wait = Some(wait).filter(|wait| (1..=WAIT_S_MAX).contains(wait))?;
        Some(Self { sites, wait: Duration::from_secs(wait) })
    }
}

/// Holds the answer to a write back until as many other nodes hold it as its client wants, or until the
/// time is over: then the status is 202, and the header says how many do.
pub(crate) async fn await_sites(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> ApiResult<Response> {
    let Some(text) = header(request.headers(), &DURABILITY)? else {
        return Ok(next.run(request).await);
    };
    let wanted = Wanted::parse(text).ok_or_else(|| {
        let form = "takes local or sites:K, and after a semicolon wait=SECONDS";
        header_error(&DURABILITY, &format!("{form} from 1 to {WAIT_S_MAX}, like sites:2; wait=10"))
    })?;
    let others = app.handle.status().agreement.of;
    if wanted.sites > others {
        let text = format!(
            "The network has {others} other nodes, so {} cannot hold the write. Nothing was written.",
            wanted.sites
        );
        return Err(ApiError::new(&error::SITES_TOO_MANY, text));
    }
    let mut response = next.run(request).await;
    if wanted.sites > 0 && response.status().is_success() {
        let holding = app.handle.await_sites(wanted.sites, wanted.wait).await;
        let mut text = format!("sites:{holding}");
        if holding < wanted.sites {
            *response.status_mut() = StatusCode::ACCEPTED;
            text.push_str(&format!("; wanted={}", wanted.sites));
        }
        set(&mut response, DURABILITY, &text);
    }
    Ok(response)
}

/// Says with every answer that was read up to when it is complete for each region.
pub(crate) async fn complete(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_read = request.method() == Method::GET;
    // What arrives while the store is read makes the answer no less complete.
    let status = app.handle.status();
    let mut response = next.run(request).await;
    if is_read && response.status().is_success() {
        let regions = status.regions.iter().map(in_header).collect::<Vec<_>>();
        set(&mut response, COMPLETE, &regions.join(", "));
    }
    response
}

fn in_header(region: &RegionStatus) -> String {
    let known = i64::try_from(region.complete_ms).ok().filter(|ms| *ms > 0);
    let time = known.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let time = time.map_or_else(|| "unknown".to_owned(), |time| format!("{time:.3}"));
    format!("{}={time}", region.region)
}

fn set(response: &mut Response, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read_or_refused() {
        let wanted = |sites, wait| Some(Wanted { sites, wait: Duration::from_secs(wait) });
        assert_eq!(Wanted::parse("local"), wanted(0, WAIT_S));
        assert_eq!(Wanted::parse("sites:2"), wanted(2, WAIT_S));
        assert_eq!(Wanted::parse("sites:1; wait=30"), wanted(1, 30));
        let wrong = ["", "sites", "sites:", "sites:0", "sites:-1", "all", "sites:1; wait=0"];
        for text in wrong.into_iter().chain(["sites:1; wait=31", "sites:1;", "local; time=3"]) {
            assert_eq!(Wanted::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_region_of_which_nothing_is_known_says_so() {
        let region = |complete_ms| RegionStatus { region: "EMEA".to_owned(), complete_ms };
        assert_eq!(in_header(&region(0)), "EMEA=unknown");
        assert_eq!(in_header(&region(1_700_000_000_123)), "EMEA=2023-11-14T22:13:20.123Z");
    }
}
