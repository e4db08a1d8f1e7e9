//! Reading customers: one by id, or a list of those that match.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use crdt_model::attribute::lookup;
use crdt_model::document::Version;
use crdt_model::golden_record::GoldenRecord;
use crdt_model::id::RecordId;
use crdt_model::survivorship::resolve;
use crdt_model::value::Scalar;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::cursor;
use super::error::{self, ApiError, ApiResult, Problem};
use super::extract::{Id, Params, is_held, tag_of};
use super::golden::{
    Values, claims_of, document_of, is_timeless, resolved_values, segments_on, tree_of, unknown,
    values_of,
};
use super::views::{ClaimView, ExplanationView, Witness};
use crate::replica::history::sound_document;
use crate::replica::index::{Lookup, index_keys};
use crate::replica::records::Records;

/// A customer as people read it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CustomerView {
    /// Its id, a UUID.
    pub(crate) id: String,
    /// Its version; also the ETag, for `If-Match`.
    pub(crate) version: String,
    /// The golden record as a tree of sections and attributes, see `/v1/attributes`.
    #[schema(value_type = Object)]
    pub(crate) customer: serde_json::Value,
    /// Why each attribute has its value, by path; with `explain=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) explanations: Option<BTreeMap<String, ExplanationView>>,
}

/// Everything that the sources say about a customer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClaimsView {
    /// Its id, a UUID.
    pub(crate) id: String,
    /// Its version.
    pub(crate) version: String,
    /// Every live claim, by path, then source.
    pub(crate) claims: Vec<ClaimView>,
}

/// A customer in the view that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ReadView {
    /// The golden record.
    Golden(CustomerView),
    /// The claims.
    Claims(ClaimsView),
}

/// A page of customers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CustomerPage {
    /// The customers, in the order of their ids.
    pub(crate) items: Vec<CustomerView>,
    /// Where the list goes on; null at its end. A page may be short or empty before the end.
    pub(crate) next: Option<String>,
}

/// What of a customer to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum View {
    /// The golden record.
    Golden,
    /// The claims.
    Claims,
}

/// How to show a customer.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReadParams {
    /// `golden` (default) or `claims`.
    #[param(inline)]
    view: Option<View>,
    /// Whether to say why each attribute has its value.
    #[serde(default)]
    explain: bool,
    /// Show the customer as of this version.
    #[param(value_type = Option<String>)]
    version: Option<Version>,
    /// Show what holds on this day (`YYYY-MM-DD`); default: today in UTC.
    #[param(value_type = Option<String>)]
    as_of: Option<Date>,
}

/// Shows one customer.
#[utoipa::path(
    get, path = "/v1/customers/{id}", tag = "customers",
    params(("id" = String, Path, description = "The id of the customer, a UUID"), ReadParams,
        ("If-None-Match" = Option<String>, Header, description = "Versions that the client holds")),
    responses(
        (status = 200, description = "The customer; with `view=claims` its claims",
            body = ReadView,
            headers(("ETag" = String, description = "The version in quotes"))),
        (status = 304, description = "The client holds this version"),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read(
    State(app): State<App>,
    Id(record): Id,
    Params(params): Params<ReadParams>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let status = app.handle.status();
    let day = params.as_of.unwrap_or_else(|| app.today());
    let policy = app.handle.policy();
    app.read(move |records| {
        // The version is read before the golden record: a write in between makes the version too
        // old and the client's next If-Match fails, which is safe; the other way round is not.
        let document = document_of(records, &record)?;
        let version = params.version.clone().unwrap_or_else(|| document.version());
        let mut witness = Witness::new(records, &status);
        if params.view == Some(View::Claims) {
            let claims = claims_of(&document, params.version.as_ref())?;
            let claims: ApiResult<_> = claims.claims().iter().map(|c| witness.claim(c)).collect();
            let (id, claims) = (record.to_string(), claims?);
            let view = ReadView::Claims(ClaimsView { id, version: version.to_string(), claims });
            return Ok(answer(&headers, &version, true, view));
        }
        let (values, explanations, timeless) = if params.explain || params.version.is_some() {
            let claims = claims_of(&document, params.version.as_ref())?;
            let resolved = resolve(&policy, &claims);
            let explained = segments_on(&resolved, day).map(|(path, segment)| {
                let view = witness.explanation(path, segment.from, &segment.resolution)?;
                Ok((path.to_string(), view))
            });
            let explanations: Option<ApiResult<_>> = params.explain.then(|| explained.collect());
            let mut segments = resolved.attributes.values().flatten();
            let timeless = segments.all(|segment| segment.from.is_none());
            (resolved_values(&resolved, day), explanations.transpose()?, timeless)
        } else {
            let golden = records.golden(&record)?.ok_or_else(|| unknown(&record))?;
            (values_of(&golden, day), None, is_timeless(&golden))
        };
        let view = ReadView::Golden(view_of(&record, &version, &values, explanations));
        Ok(answer(&headers, &version, timeless || params.as_of.is_some(), view))
    })
    .await
}

fn view_of(
    record: &RecordId,
    version: &Version,
    values: &Values,
    explanations: Option<BTreeMap<String, ExplanationView>>,
) -> CustomerView {
    CustomerView {
        id: record.to_string(),
        version: version.to_string(),
        customer: tree_of(values),
        explanations,
    }
}

/// The answer with its tag. A record with dated values shows something else on another day under
/// the same version, so `fixed` says whether the tag may stand for the answer.
fn answer(headers: &HeaderMap, version: &Version, fixed: bool, view: ReadView) -> Response {
    let tag = [(header::ETAG, tag_of(version))];
    if fixed && is_held(headers, version) {
        return (StatusCode::NOT_MODIFIED, tag).into_response();
    }
    (tag, Json(view)).into_response()
}

/// Which customers to list. Every condition given must hold.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// The most customers of a page: 1 to 500, default 50.
    limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// A customer number, of this or another system.
    number: Option<String>,
    /// A tax id, with or without its country and type.
    tax_id: Option<String>,
    /// An account number.
    iban: Option<String>,
    /// Words of a name, or their beginnings.
    name: Option<String>,
    /// The country of an address, ISO 3166-1 alpha-2.
    country: Option<String>,
    /// The home region.
    region: Option<String>,
    /// Whether a block or hold stands.
    blocked: Option<bool>,
}

/// The most customers that a look-up weighs before it asks for more letters.
const CANDIDATES_MAX: usize = 1_000;
/// The most records that one page looks through for conditions without an index.
const LOOKED_AT_MAX: usize = 5_000;
/// The records read from the store at once.
const STEP: usize = 100;

/// Lists customers.
#[utoipa::path(
    get, path = "/v1/customers", tag = "customers", params(ListParams),
    responses(
        (status = 200, description = "A page of customers", body = CustomerPage),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    Params(params): Params<ListParams>,
) -> ApiResult<Json<CustomerPage>> {
    let day = app.today();
    let after = cursor::record_of(params.cursor.as_deref())?;
    if params.name.as_ref().is_some_and(|name| !name.contains(char::is_alphanumeric)) {
        let text = "The parameter name takes words, or their beginnings.";
        return Err(ApiError::new(&error::QUERY_INVALID, text));
    }
    app.read(move |records| {
        let search = Search { records, day, terms: terms(&params), params: &params };
        let limit = cursor::page_size(params.limit);
        let (found, next) = match search.candidates()? {
            Some(candidates) => search.among(&candidates, after, limit)?,
            None => search.all(after, limit)?,
        };
        let items: ApiResult<Vec<_>> = found
            .iter()
            .map(|(version, golden)| {
                Ok(view_of(&golden.record, version, &values_of(golden, day), None))
            })
            .collect();
        Ok(Json(CustomerPage { items: items?, next: next.map(|id| cursor::after_record(&id)) }))
    })
    .await
}

/// What is looked up in the indexes.
fn terms(params: &ListParams) -> Vec<(Lookup, String)> {
    let one = |lookup, text: &Option<String>| text.clone().map(|text| (lookup, text));
    // The index holds the number of a tax id alone.
    let tax_id = params.tax_id.as_ref().map(|id| id.rsplit(':').next().unwrap_or(id).to_owned());
    let words = params.name.iter().flat_map(|name| name.split(|c: char| !c.is_alphanumeric()));
    let words = words.filter(|word| !word.is_empty()).map(|word| (Lookup::Name, word.to_owned()));
    let exact = [
        one(Lookup::Number, &params.number),
        one(Lookup::TaxId, &tax_id),
        one(Lookup::Account, &params.iban),
    ];
    exact.into_iter().flatten().chain(words).collect()
}

type Found = Vec<(Version, GoldenRecord)>;

struct Search<'a> {
    records: Records<'a>,
    day: Date,
    terms: Vec<(Lookup, String)>,
    params: &'a ListParams,
}

impl Search<'_> {
    /// The records that the indexes give; none without a look-up.
    fn candidates(&self) -> ApiResult<Option<BTreeSet<RecordId>>> {
        let mut candidates: Option<BTreeSet<RecordId>> = None;
        for (lookup, text) in &self.terms {
            let found = self.records.find(*lookup, text, CANDIDATES_MAX + 1)?;
            if found.len() > CANDIDATES_MAX {
                // Too many for this word: the others narrow it down, this one is checked later.
                continue;
            }
            let found: BTreeSet<RecordId> = found.into_iter().collect();
            candidates = Some(match candidates {
                Some(before) => before.intersection(&found).copied().collect(),
                None => found,
            });
        }
        if candidates.is_none() && !self.terms.is_empty() {
            let text = format!("More than {CANDIDATES_MAX} customers match. Give more letters.");
            return Err(ApiError::new(&error::SEARCH_TOO_BROAD, text));
        }
        Ok(candidates)
    }

    fn among(
        &self,
        candidates: &BTreeSet<RecordId>,
        after: Option<RecordId>,
        limit: usize,
    ) -> ApiResult<(Found, Option<RecordId>)> {
        let mut found = Found::new();
        for record in candidates.iter().filter(|record| after.is_none_or(|a| **record > a)) {
            if found.len() == limit {
                let last = found.last().map(|(_, golden)| golden.record);
                return Ok((found, last));
            }
            let Some(document) = sound_document(&self.records, record)? else { continue };
            let version = document.version();
            let golden = self.records.golden(record)?.filter(|golden| self.matches(golden));
            found.extend(golden.map(|golden| (version, golden)));
        }
        Ok((found, None))
    }

    fn all(
        &self,
        mut after: Option<RecordId>,
        limit: usize,
    ) -> ApiResult<(Found, Option<RecordId>)> {
        let mut found = Found::new();
        for _ in 0..LOOKED_AT_MAX.div_ceil(STEP) {
            let page = self.records.list(after, STEP)?;
            let is_last = page.len() < STEP;
            for golden in page {
                if found.len() == limit {
                    return Ok((found, after));
                }
                after = Some(golden.record);
                if self.matches(&golden) {
                    found.extend(newest(self.records, golden.record)?);
                }
            }
            if is_last {
                return Ok((found, None));
            }
        }
        Ok((found, after))
    }

    fn matches(&self, golden: &GoldenRecord) -> bool {
        self.has_terms(golden) && self.has_values(&values_of(golden, self.day))
    }

    fn has_terms(&self, golden: &GoldenRecord) -> bool {
        let keys = index_keys(golden);
        self.terms.iter().all(|(lookup, text)| {
            let prefix = lookup.prefix(text);
            keys.range(prefix.clone()..).next().is_some_and(|key| key.starts_with(&prefix))
        })
    }

    fn has_values(&self, values: &Values) -> bool {
        let ListParams { country, region, blocked, .. } = self.params;
        let is = |scalar: Option<&Scalar>, wanted: &String| match scalar {
            Some(Scalar::Text(text)) => text.eq_ignore_ascii_case(wanted),
            Some(Scalar::Bool(_) | Scalar::Int(_)) | None => false,
        };
        country.as_ref().is_none_or(|country| {
            let mut addresses =
                values.iter().filter(|(path, _)| path.as_str().starts_with("address/"));
            addresses.any(|(_, value)| is(value.member("country"), country))
        }) && region.as_ref().is_none_or(|region| {
            values.iter().any(|(path, value)| {
                path.as_str() == "identity/home_region"
                    && value.as_text().is_some_and(|home| home.eq_ignore_ascii_case(region))
            })
        }) && blocked.is_none_or(|blocked| {
            let mut paths = values.keys();
            blocked == paths.any(|path| lookup(path).is_some_and(|row| row.is_block()))
        })
    }
}

/// A record with its version, read in the safe order (see [`read`]).
pub(crate) fn newest(
    records: Records<'_>,
    record: RecordId,
) -> ApiResult<Option<(Version, GoldenRecord)>> {
    let Some(document) = sound_document(&records, &record)? else { return Ok(None) };
    let version = document.version();
    Ok(records.golden(&record)?.map(|golden| (version, golden)))
}
