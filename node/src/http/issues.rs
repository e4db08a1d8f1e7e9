//! Issues: what somebody should look at, by customer or for the whole node, and the report on
//! reconciliation accounts.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use crdt_model::id::RecordId;
use crdt_model::issue::{Dimension, Issue, KINDS, quality};
use crdt_model::policy::Severity;
use crdt_model::survivorship::resolve;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::cursor;
use super::error::{self, ApiError, ApiResult, Problem};
use super::extract::{Id, Params};
use super::golden::document_of;
use crate::replica::records::Records;

/// One issue of a customer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssueView {
    /// The id of the customer, or of the code list.
    pub(crate) id: String,
    /// What kind of issue; does not change.
    pub(crate) code: String,
    /// The attribute; null: the customer as a whole.
    pub(crate) path: Option<String>,
    /// `error` or `warning`.
    #[schema(value_type = String)]
    pub(crate) severity: Severity,
    /// What is wrong and what to do, for people.
    pub(crate) text: String,
    /// When its newest cause was written, RFC 3339; null where no write is the cause.
    pub(crate) since: Option<String>,
    /// Seconds since then.
    pub(crate) age_s: Option<u64>,
    /// The first day on which it stands no more, if that is known.
    pub(crate) until: Option<String>,
    /// Other customers that it is about.
    pub(crate) about: Vec<String>,
}

/// A page of issues.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssuePage {
    /// The issues that stand today, by customer.
    pub(crate) items: Vec<IssueView>,
    /// How many records have each kind of issue, on any day, whatever the filter; counted up to
    /// 10,000.
    pub(crate) counts: BTreeMap<String, usize>,
    /// Where the list goes on; null at its end. A page may be short or empty before the end.
    pub(crate) next: Option<String>,
}

/// The issues of one customer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CustomerIssues {
    /// The id of the customer.
    pub(crate) id: String,
    /// What stands today.
    pub(crate) issues: Vec<IssueView>,
    /// The quality of the record, from 0 to 100.
    pub(crate) score: u8,
    /// The score of each dimension, with what took points away.
    pub(crate) dimensions: Vec<DimensionView>,
}

/// One dimension of quality.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DimensionView {
    /// Completeness, validity, uniqueness, consistency or timeliness.
    #[schema(value_type = String)]
    pub(crate) dimension: Dimension,
    /// From 0 to 100.
    pub(crate) score: u8,
    /// What took points away.
    pub(crate) reasons: Vec<String>,
}

/// Which issues.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IssueParams {
    /// Only this kind.
    code: Option<String>,
    /// Only `error` or only `warning`.
    #[param(value_type = Option<String>)]
    severity: Option<Severity>,
    /// The most records of a page: 1 to 500, default 50.
    limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

/// How far a kind of issue is counted.
const COUNTED_MAX: usize = 10_000;

/// Lists issues.
#[utoipa::path(
    get, path = "/v1/issues", tag = "stewardship", params(IssueParams),
    responses(
        (status = 200, description = "A page of issues", body = IssuePage),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    Params(params): Params<IssueParams>,
) -> ApiResult<Json<IssuePage>> {
    if let Some(code) = &params.code
        && !KINDS.iter().any(|(known, ..)| known == code)
    {
        let known: Vec<&str> = KINDS.iter().map(|(code, ..)| *code).collect();
        let text = format!("There is no kind of issue {code}. The kinds are {}.", known.join(", "));
        return Err(ApiError::new(&error::QUERY_INVALID, text));
    }
    let after = cursor::record_of(params.cursor.as_deref())?;
    let limit = cursor::page_size(params.limit);
    let (now_ms, day) = (app.now_ms(), app.today());
    app.read(move |records| {
        let mut found = match &params.code {
            Some(code) => records.with_issue(code, after, limit + 1)?,
            None => records.with_issues(after, limit + 1)?,
        };
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().map(cursor::after_record).filter(|_| more);
        let is_wanted = |issue: &Issue| {
            issue.stands(day)
                && params.code.as_ref().is_none_or(|code| *code == issue.code)
                && params.severity.is_none_or(|severity| severity == issue.severity)
        };
        let mut items = Vec::new();
        for record in found {
            let issues = records.issues(&record)?;
            let wanted = issues.iter().filter(|issue| is_wanted(issue));
            items.extend(wanted.map(|issue| view(&record, issue, now_ms)));
        }
        Ok(Json(IssuePage { items, counts: counts(&records)?, next }))
    })
    .await
}

fn counts(records: &Records<'_>) -> ApiResult<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for (code, ..) in KINDS {
        let count = records.with_issue(code, None, COUNTED_MAX)?.len();
        if count > 0 {
            counts.insert((*code).to_owned(), count);
        }
    }
    Ok(counts)
}

/// Shows the issues and the quality of one customer.
#[utoipa::path(
    get, path = "/v1/customers/{id}/issues", tag = "stewardship",
    params(("id" = String, Path, description = "The id of the customer, a UUID")),
    responses(
        (status = 200, description = "The issues that stand today", body = CustomerIssues),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn of_customer(
    State(app): State<App>,
    Id(record): Id,
) -> ApiResult<Json<CustomerIssues>> {
    let (now_ms, day, policy) = (app.now_ms(), app.today(), app.handle.policy());
    app.read(move |records| {
        let document = document_of(records, &record)?;
        let issues = records.issues(&record)?;
        let quality = quality(&resolve(&policy, &document.claims()), &issues, day);
        let dimensions = quality.dimensions.into_iter();
        Ok(Json(CustomerIssues {
            id: record.to_string(),
            issues: standing(&record, &issues, day, now_ms),
            score: quality.score,
            dimensions: dimensions
                .map(|(dimension, (score, reasons))| DimensionView { dimension, score, reasons })
                .collect(),
        }))
    })
    .await
}

fn standing(record: &RecordId, issues: &[Issue], day: Date, now_ms: u64) -> Vec<IssueView> {
    let today = issues.iter().filter(|issue| issue.stands(day));
    today.map(|issue| view(record, issue, now_ms)).collect()
}

fn view(record: &RecordId, issue: &Issue, now_ms: u64) -> IssueView {
    IssueView {
        id: record.to_string(),
        code: issue.code.clone(),
        path: issue.path.as_ref().map(ToString::to_string),
        severity: issue.severity,
        text: issue.text.clone(),
        since: issue.since.map(|since| since.to_string()),
        age_s: issue.since.map(|since| now_ms.saturating_sub(since.ms()) / 1_000),
        until: issue.until.map(|until| until.to_string()),
        about: issue.about.iter().map(ToString::to_string).collect(),
    }
}

/// Whether reconciliation accounts are what the general ledger takes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LedgerReport {
    /// How many customers the node holds.
    pub(crate) customers: u64,
    /// What is not consistent, by customer.
    pub(crate) items: Vec<IssueView>,
    /// Where the report goes on; null at its end.
    pub(crate) next: Option<String>,
}

/// The kinds of issue that the ledger report is about.
const LEDGER: [&str; 6] = [
    "code-not-valid",
    "code-unresolved",
    "gl-blocked",
    "gl-company-code",
    "gl-currency",
    "gl-wrong-type",
];

/// Which part of the report.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReportParams {
    /// The most customers of a page: 1 to 500, default 50.
    limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

/// Reports reconciliation accounts that are missing in their chart, blocked, of the wrong type, of
/// another company code or in another currency.
#[utoipa::path(
    get, path = "/v1/reports/gl-consistency", tag = "stewardship", params(ReportParams),
    responses(
        (status = 200, description = "A page of the report", body = LedgerReport),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn ledger(
    State(app): State<App>,
    Params(params): Params<ReportParams>,
) -> ApiResult<Json<LedgerReport>> {
    let after = cursor::record_of(params.cursor.as_deref())?;
    let limit = cursor::page_size(params.limit);
    let (now_ms, day, status) = (app.now_ms(), app.today(), app.handle.status());
    app.read(move |records| {
        let mut found = std::collections::BTreeSet::new();
        for code in LEDGER {
            found.extend(records.with_issue(code, after, limit + 1)?);
        }
        let more = found.len() > limit;
        let page: Vec<RecordId> = found.into_iter().take(limit).collect();
        let next = page.last().map(cursor::after_record).filter(|_| more);
        let is_of_ledger = |issue: &&Issue| {
            LEDGER.contains(&issue.code.as_str())
                && issue.stands(day)
                && issue.path.as_ref().is_some_and(|path| path.as_str().ends_with("/recon_account"))
        };
        let mut items = Vec::new();
        for record in &page {
            let issues = records.issues(record)?;
            items.extend(issues.iter().filter(is_of_ledger).map(|it| view(record, it, now_ms)));
        }
        Ok(Json(LedgerReport { customers: status.records, items, next }))
    })
    .await
}
