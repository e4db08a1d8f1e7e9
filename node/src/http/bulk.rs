//! Many customers in one request: JSON Lines in, one answer a line out, in order.
//!
//! Lines are independent: one that is wrong does not stop the others. Lines that are right are
//! written in commits of many records, because a commit costs a signature and a sync.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use crdt_model::id::{RecordId, SourceName};
use crdt_model::normalize::Context;
use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::App;
use super::author::Author;
use super::error::{self, ApiError, ApiResult, ErrorView, Problem};
use super::extract::{self, Params};
use super::json;
use super::writes::{Edits, edits_of};
use crate::replica::event::{
    Effect, Precondition, Provenance, RecordReceipt, RecordWrite, WriteOutcome, WriteRefusal,
    WriteRequest,
};
use crate::replica::history::sound_document;

/// The media type of JSON Lines.
pub(crate) const JSON_LINES: &str = "application/x-ndjson";
/// The most bytes of the body.
pub(crate) const BODY_MAX: usize = 8 << 20;
/// The most lines of the body; an answer is held until the last line is written.
const LINES_MAX: usize = 20_000;
/// The most records of one commit.
const GROUP_RECORDS: usize = 100;
/// The bytes of lines at which a commit is closed: half of what a commit may have.
const GROUP_BYTES: usize = 512 << 10;
/// Commits under way at once, so that the next one is drafted while one is synced.
const GROUPS_UNDER_WAY: usize = 4;

/// How to take the lines.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BulkParams {
    /// Checks only; writes nothing.
    #[serde(default)]
    dry_run: bool,
    /// Whether customers without a number get one of the region's range: `none` (default) or `give`.
    #[serde(default)]
    #[param(inline)]
    numbers: Numbering,
}

/// Whether customers get numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Numbering {
    /// They have the numbers that the input has.
    #[default]
    None,
    /// Who has none gets one of the range that the policy names for the region, if it names one.
    Give,
}

/// One line of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkLine {
    /// The id of the customer. Either this or `key`.
    #[schema(value_type = Option<String>)]
    id: Option<RecordId>,
    /// What another system calls the customer; the same key means the same customer everywhere.
    key: Option<BulkKey>,
    /// What the source says, as a tree.
    #[schema(value_type = Object)]
    customer: Value,
    /// The country of telephone numbers without country code, ISO 3166-1 alpha-2.
    default_country: Option<String>,
}

/// A key of another system.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkKey {
    /// The system that gives the key, for example `crm-number`.
    system: String,
    /// The key.
    value: String,
}

/// One line of the answer: the customer, or what is wrong with the line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkAnswer {
    /// The number of the line, from 1. Empty lines count and get no answer.
    pub(crate) line: usize,
    /// The id of the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// Its version; absent in a dry run for a customer that is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Whether the customer is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<bool>,
    /// Whether anything was written; false: the source already said so, or a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) written: Option<bool>,
    /// What is wrong; nothing of the line was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) errors: Option<Vec<ErrorView>>,
}

/// Writes many customers.
#[utoipa::path(
    post, path = "/v1/bulk", tag = "customers",
    params(
        BulkParams,
        ("Concord-Source" = Option<String>, Header, description = "Writes as another source"),
        ("Concord-Reason" = Option<String>, Header, description = "Why, percent-encoded UTF-8"),
        ("Concord-Durability" = Option<String>, Header, description = "`local`, or `sites:K; wait=S`: \
            answered when K other nodes hold the write, or with 202 after S seconds"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "A body sent again with its key within a day is written once"),
    ),
    request_body(content = BulkLine, content_type = "application/x-ndjson",
        description = "One customer a line; up to 8 MiB and 20,000 lines. Send a larger file in parts"),
    responses(
        (status = 200, description = "One answer a line, in order", body = BulkAnswer,
            content_type = "application/x-ndjson"),
        (status = "default", description = "A problem; nothing was written", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn bulk(
    State(app): State<App>,
    Params(params): Params<BulkParams>,
    author: Author,
    request: Request,
) -> ApiResult<Response> {
    extract::expect_type(request.headers(), &[JSON_LINES])?;
    let body = extract::body(request, &()).await?;
    let digest = blake3::hash(&body);
    let lines = app.compute(move || read_lines(&body)).await??;
    let answers = if params.dry_run {
        check(&app, lines).await?
    } else {
        let provenance = author.provenance(&digest);
        write(&app, lines, params.numbers, &author.source, &provenance).await?
    };
    let mut out = Vec::new();
    for answer in &answers {
        serde_json::to_writer(&mut out, answer)
            .map_err(|fault| ApiError::defect(&fault.to_string()))?;
        out.push(b'\n');
    }
    let media_type = [(header::CONTENT_TYPE, HeaderValue::from_static(JSON_LINES))];
    Ok((StatusCode::OK, media_type, out).into_response())
}

/// A customer and what the source says about it.
type Parsed = (RecordId, Edits);

/// A line with what it comes to.
#[derive(Debug)]
struct Line {
    number: usize,
    bytes: usize,
    parsed: Result<Parsed, Vec<ErrorView>>,
}

fn read_lines(body: &Bytes) -> ApiResult<Vec<Line>> {
    let mut lines = Vec::new();
    for (number, bytes) in (1..).zip(body.split(|byte| *byte == b'\n')) {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if lines.len() == LINES_MAX {
            let text = format!("The body has more than {LINES_MAX} lines. Send it in parts.");
            return Err(ApiError::new(&error::BODY_TOO_LARGE, text));
        }
        let parsed = read_line(bytes).map_err(ApiError::into_errors);
        lines.push(Line { number, bytes: bytes.len(), parsed });
    }
    Ok(lines)
}

fn read_line(bytes: &[u8]) -> ApiResult<Parsed> {
    let malformed = |text: String| ApiError::new(&error::BODY_MALFORMED, text);
    let value = json::parse(bytes).map_err(malformed)?;
    let line: BulkLine = serde_json::from_value(value)
        .map_err(|fault| malformed(error::sentence(&fault.to_string())))?;
    let record = match (line.id, line.key) {
        (Some(id), None) => id,
        (None, Some(BulkKey { system, value })) if !system.is_empty() && !value.is_empty() => {
            RecordId::derive(&system, &value)
        }
        _ => {
            let text = "A line names its customer by \"id\", or by \"key\" with system and value.";
            return Err(malformed(text.to_owned()));
        }
    };
    let context = match &line.default_country {
        Some(country) => Context::with_country(country)
            .map_err(|fault| malformed(format!("default_country: {}", fault.text)))?,
        None => Context::default(),
    };
    Ok((record, edits_of(&line.customer, &context)?))
}

impl BulkAnswer {
    fn refused(line: usize, errors: Vec<ErrorView>) -> Self {
        let (id, version, created, written) = (None, None, None, None);
        Self { line, id, version, created, written, errors: Some(errors) }
    }

    fn done(line: usize, receipt: &RecordReceipt) -> Self {
        let is_written = |effect: Effect| effect != Effect::Unchanged;
        Self {
            line,
            id: Some(receipt.record.to_string()),
            version: Some(receipt.version.to_string()),
            created: Some(receipt.created),
            written: Some(receipt.fields.iter().any(|field| is_written(field.effect))),
            errors: None,
        }
    }
}

/// Says what a write would meet, as far as that can be known without writing.
async fn check(app: &App, lines: Vec<Line>) -> ApiResult<Vec<BulkAnswer>> {
    app.read(move |records| {
        let answer = |line: Line| {
            let (record, _) = match line.parsed {
                Ok(parsed) => parsed,
                Err(errors) => return Ok(BulkAnswer::refused(line.number, errors)),
            };
            let document = sound_document(&records, &record)?;
            Ok(BulkAnswer {
                line: line.number,
                id: Some(record.to_string()),
                version: document.as_ref().map(|document| document.version().to_string()),
                created: Some(document.is_none()),
                written: Some(false),
                errors: None,
            })
        };
        lines.into_iter().map(answer).collect()
    })
    .await
}

/// Lines that are written as one commit, each with its number.
type Group = Vec<(usize, RecordWrite)>;

/// Writes the lines. Fails as a whole only when no line could be written for a reason of the node.
async fn write(
    app: &App,
    lines: Vec<Line>,
    numbering: Numbering,
    source: &SourceName,
    provenance: &Provenance,
) -> ApiResult<Vec<BulkAnswer>> {
    let mut answers = Vec::with_capacity(lines.len());
    let mut groups = Vec::new();
    let mut open = OpenGroup::default();
    for line in lines {
        let (record, edits) = match line.parsed {
            Ok(parsed) => parsed,
            Err(errors) => {
                answers.push(BulkAnswer::refused(line.number, errors));
                continue;
            }
        };
        if !open.takes(&record, line.bytes) {
            groups.push(std::mem::take(&mut open).lines);
        }
        open.records.insert(record);
        open.bytes += line.bytes;
        let numbered = numbering == Numbering::Give;
        let write = RecordWrite { record, precondition: Precondition::None, edits, numbered };
        open.lines.push((line.number, write));
    }
    groups.push(open.lines);
    let mut refused_by_node = None;
    let mut is_any_written = false;
    for wave in waves(groups) {
        let numbered = wave.into_iter().map(|(number, group)| {
            let mut provenance = provenance.clone();
            if !provenance.request.is_empty() {
                provenance.request = format!("{}/{number}", provenance.request);
            }
            write_group(app, group, source.clone(), provenance)
        });
        let outcomes: Vec<_> = stream::iter(numbered).buffered(GROUPS_UNDER_WAY).collect().await;
        for (number, outcome) in outcomes.into_iter().flatten() {
            answers.push(match outcome {
                Ok(receipt) => {
                    is_any_written = true;
                    BulkAnswer::done(number, &receipt)
                }
                Err(refusal) => {
                    let problem = ApiError::from(refusal.clone());
                    if problem.is_of_node() {
                        refused_by_node = Some(refusal);
                    }
                    BulkAnswer::refused(number, problem.into_errors())
                }
            });
        }
    }
    match refused_by_node {
        Some(refusal) if !is_any_written => Err(refusal.into()),
        _ => {
            answers.sort_by_key(|answer| answer.line);
            Ok(answers)
        }
    }
}

#[derive(Default)]
struct OpenGroup {
    lines: Group,
    records: BTreeSet<RecordId>,
    bytes: usize,
}

impl OpenGroup {
    fn takes(&self, record: &RecordId, bytes: usize) -> bool {
        self.lines.is_empty()
            || (self.lines.len() < GROUP_RECORDS
                && self.bytes + bytes <= GROUP_BYTES
                && !self.records.contains(record))
    }
}

/// Groups that may be under way together: no record stands in two of them, so that the lines of one
/// record are written in their order whatever happens to a group.
fn waves(groups: Vec<Group>) -> Vec<Vec<(usize, Group)>> {
    let mut waves: Vec<Vec<(usize, Group)>> = Vec::new();
    let mut busy: BTreeSet<RecordId> = BTreeSet::new();
    for (number, group) in groups.into_iter().enumerate() {
        let records: BTreeSet<RecordId> = group.iter().map(|(_, write)| write.record).collect();
        if waves.is_empty() || !busy.is_disjoint(&records) {
            waves.push(Vec::new());
            busy.clear();
        }
        busy.extend(records);
        if let Some(wave) = waves.last_mut() {
            wave.push((number, group));
        }
    }
    waves
}

type LineOutcome = (usize, Result<RecordReceipt, WriteRefusal>);

/// Writes a group as one commit; when a record stands in the way, each record alone.
async fn write_group(
    app: &App,
    group: Group,
    source: SourceName,
    provenance: Provenance,
) -> Vec<LineOutcome> {
    if group.is_empty() {
        return Vec::new();
    }
    let (numbers, records): (Vec<usize>, Vec<RecordWrite>) = group.into_iter().unzip();
    let request = |records, provenance| WriteRequest {
        source: source.clone(),
        provenance,
        records,
        propose: false,
        restate: false,
    };
    let outcome = app.handle.write(request(records.clone(), provenance.clone())).await;
    let is_of_one = matches!(&outcome, Err(refusal) if !is_of_node(refusal));
    if !is_of_one || numbers.len() == 1 {
        return spread(&numbers, outcome);
    }
    let mut outcomes = Vec::with_capacity(numbers.len());
    for (number, record) in numbers.into_iter().zip(records) {
        let mut provenance = provenance.clone();
        if !provenance.request.is_empty() {
            provenance.request = format!("{}/{number}", provenance.request);
        }
        let outcome = app.handle.write(request(vec![record], provenance)).await;
        outcomes.extend(spread(&[number], outcome));
    }
    outcomes
}

fn is_of_node(refusal: &WriteRefusal) -> bool {
    match refusal {
        WriteRefusal::ClockSkew { .. }
        | WriteRefusal::NotReady
        | WriteRefusal::NotAMember
        | WriteRefusal::Uncertain { .. }
        | WriteRefusal::Store { .. } => true,
        // By splitting it is found which line it is.
        WriteRefusal::Defect { .. } => false,
        WriteRefusal::Exists { .. }
        | WriteRefusal::Unknown { .. }
        | WriteRefusal::VersionMismatch { .. }
        | WriteRefusal::UnknownVersion { .. }
        | WriteRefusal::Invalid { .. }
        | WriteRefusal::Malformed { .. }
        | WriteRefusal::NoNumber { .. }
        | WriteRefusal::Denied { .. }
        | WriteRefusal::RecordFull { .. }
        | WriteRefusal::TooLarge { .. }
        | WriteRefusal::Held { .. } => false,
    }
}

/// The outcome of a commit for each of its lines.
fn spread(numbers: &[usize], outcome: WriteOutcome) -> Vec<LineOutcome> {
    match outcome {
        Ok(receipt) => numbers.iter().copied().zip(receipt.records.into_iter().map(Ok)).collect(),
        Err(refusal) => numbers.iter().map(|number| (*number, Err(refusal.clone()))).collect(),
    }
}
