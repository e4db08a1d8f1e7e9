//! The credit of a customer: effective limit, exposure, slices of regions, and the exposure of the
//! whole group; drawing on a slice and giving a part of it away.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crdt_model::attribute::lookup;
use crdt_model::credit::slice::{Slice, Slices, Transfer};
use crdt_model::credit::{self, Exposure, GroupExposure, Money};
use crdt_model::golden_record::GoldenRecord;
use crdt_model::hierarchy::descend;
use crdt_model::id::{RecordId, Region};
use crdt_model::normalize::Context;
use crdt_model::policy::Policy;
use crdt_model::survivorship::resolve;
use crdt_model::value::{Assertion, Scalar, Statement, Value};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::App;
use super::author::Author;
use super::error::{self, ApiError, ApiResult, Problem};
use super::extract::{Id, JsonBody, Params};
use super::golden::document_of;
use super::hierarchy::Surroundings;
use super::writes::{Edits, answer, edits_of};
use crate::replica::event::{Precondition, RecordWrite, WriteRefusal, WriteRequest};
use crate::replica::records::Records;

/// The credit of a customer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreditView {
    /// The id of the customer.
    pub(crate) id: String,
    /// By credit segment.
    pub(crate) segments: BTreeMap<String, SegmentView>,
}

/// The credit of a customer in one segment. Amounts are decimals as text, like `1200.50`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SegmentView {
    /// The limit that counts, conflict or not; null without one.
    pub(crate) limit: Option<MoneyView>,
    /// Why it counts, for people.
    pub(crate) why: Option<String>,
    /// What regions report as owed.
    pub(crate) exposure: BTreeMap<String, MoneyView>,
    /// The sum for each currency.
    pub(crate) total: BTreeMap<String, String>,
    /// Limit less exposure in the limit's currency; below zero it is exceeded.
    pub(crate) left: Option<String>,
    /// The state for people.
    pub(crate) headroom: Option<String>,
    /// Who deals slices; null: nobody, until the policy names an owner.
    pub(crate) owner: Option<String>,
    /// The slices of the regions; empty while none is dealt.
    pub(crate) slices: BTreeMap<String, SliceView>,
    /// Every transfer between slices.
    pub(crate) transfers: Vec<TransferView>,
    /// What the customer and everybody below it owe.
    pub(crate) group: GroupView,
}

/// An amount.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MoneyView {
    /// As a decimal: `1200.50`.
    pub(crate) amount: String,
    /// ISO 4217.
    pub(crate) currency: String,
}

/// What one region has of a limit, in the limit's currency.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SliceView {
    /// What the owner dealt.
    pub(crate) dealt: String,
    /// What other regions gave it.
    pub(crate) received: String,
    /// What it gave away.
    pub(crate) given: String,
    /// What it may draw in all.
    pub(crate) rights: String,
    /// What it has drawn.
    pub(crate) drawn: String,
    /// What it may still draw or give.
    pub(crate) available: String,
}

/// A part of a slice that a region gave to another.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TransferView {
    /// Its id.
    pub(crate) id: String,
    /// Who gives.
    pub(crate) from: String,
    /// Who receives.
    pub(crate) to: String,
    /// How much.
    pub(crate) money: MoneyView,
    /// Why it does not count; null: it counts.
    pub(crate) fault: Option<String>,
}

/// What a customer and everybody below it owe.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupView {
    /// The sum for each currency.
    pub(crate) total: BTreeMap<String, String>,
    /// How many customers owe or are owed anything.
    pub(crate) members: usize,
    /// Customers whose records are not here; what they owe is not in the sum.
    pub(crate) missing: Vec<String>,
    /// There are more customers below than are followed.
    pub(crate) truncated: bool,
}

/// On which day.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CreditParams {
    /// Show what holds on this day (`YYYY-MM-DD`); default: today in UTC.
    #[param(value_type = Option<String>)]
    as_of: Option<Date>,
}

/// Shows the credit of a customer.
#[utoipa::path(
    get, path = "/v1/customers/{id}/credit", tag = "credit",
    params(("id" = String, Path, description = "The id of the customer, a UUID"), CreditParams),
    responses(
        (status = 200, description = "By segment", body = CreditView),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    Id(record): Id,
    Params(params): Params<CreditParams>,
) -> ApiResult<Json<CreditView>> {
    let day = params.as_of.unwrap_or_else(|| app.today());
    let policy = app.handle.policy();
    app.read(move |records| {
        let book = Book::open(&records, &policy, record, day)?;
        let tree = Surroundings::new(records, &policy, day);
        let group = descend(record, |id| tree.place(id), |id| tree.children(id));
        let members: Vec<RecordId> = group.nodes.iter().map(|node| node.record).collect();
        tree.finish()?;
        let mut segments = BTreeMap::new();
        for segment in book.segments() {
            let failed = std::cell::RefCell::new(None);
            let owed = credit::group_exposure(members.iter().copied(), &segment, day, |id| {
                records.golden(id).unwrap_or_else(|error| {
                    failed.replace(Some(error));
                    None
                })
            });
            if let Some(error) = failed.into_inner() {
                return Err(error.into());
            }
            let view = book.segment(&segment, &owed, group.truncated);
            segments.insert(segment, view);
        }
        Ok(Json(CreditView { id: record.to_string(), segments }))
    })
    .await
}

/// A customer with what its sources say, on a day.
struct Book<'a> {
    policy: &'a Policy,
    claims: crdt_model::claim::ClaimSet,
    golden: GoldenRecord,
    version: crdt_model::document::Version,
    day: Date,
}

impl<'a> Book<'a> {
    fn open(
        records: &Records<'_>,
        policy: &'a Policy,
        record: RecordId,
        day: Date,
    ) -> ApiResult<Self> {
        let document = document_of(*records, &record)?;
        let claims = document.claims();
        let golden = GoldenRecord::from_resolved(record, &resolve(policy, &claims));
        Ok(Self { policy, claims, golden, version: document.version(), day })
    }

    /// The segments of which anything is said.
    fn segments(&self) -> std::collections::BTreeSet<String> {
        let claimed = self.claims.claims().iter().filter_map(|claim| {
            let rest = claim.path.as_str().strip_prefix("credit/")?;
            rest.split_once('/').map(|(segment, _)| segment.to_owned())
        });
        claimed.collect()
    }

    fn slices(&self, segment: &str) -> Slices {
        Slices::of(self.policy, &self.claims, &self.golden, segment, self.day)
    }

    fn segment(&self, segment: &str, owed: &GroupExposure, truncated: bool) -> SegmentView {
        let limit = credit::effective_limit(&self.golden, segment, self.day);
        let headroom = credit::headroom(&self.golden, segment, self.day);
        let Exposure { regions, totals } = credit::exposure(&self.golden, segment, self.day);
        let slices = self.slices(segment);
        let currency = slices.limit.as_ref().map_or("", |limit| limit.currency.as_str());
        let dealt = slices.regions.iter().filter(|_| slices.is_dealt());
        SegmentView {
            why: limit.as_ref().map(credit::EffectiveLimit::sentence),
            limit: limit.map(|limit| money_view(&limit.limit)),
            exposure: regions.iter().map(|(at, it)| (at.to_string(), money_view(it))).collect(),
            total: sums(&totals),
            left: headroom.as_ref().map(|it| credit::decimal(it.left, &it.limit.limit.currency)),
            headroom: headroom.as_ref().map(credit::Headroom::sentence),
            owner: slices.owner.as_ref().map(ToString::to_string),
            slices: dealt
                .map(|(region, slice)| (region.to_string(), slice_view(slice, currency)))
                .collect(),
            transfers: slices.transfers.iter().map(transfer_view).collect(),
            group: GroupView {
                total: sums(&owed.totals),
                members: owed.members,
                missing: owed.missing.iter().map(ToString::to_string).collect(),
                truncated,
            },
        }
    }
}

fn sums(totals: &BTreeMap<String, i128>) -> BTreeMap<String, String> {
    let sum = |(currency, amount): (&String, &i128)| {
        (currency.clone(), credit::decimal(*amount, currency))
    };
    totals.iter().map(sum).collect()
}

fn money_view(money: &Money) -> MoneyView {
    let amount = credit::decimal(i128::from(money.amount), &money.currency);
    MoneyView { amount, currency: money.currency.clone() }
}

fn slice_view(slice: &Slice, currency: &str) -> SliceView {
    let show = |amount: i128| credit::decimal(amount, currency);
    SliceView {
        dealt: show(i128::from(slice.granted())),
        received: show(slice.received),
        given: show(slice.given),
        rights: show(slice.rights()),
        drawn: show(i128::from(slice.exposure)),
        available: show(slice.available()),
    }
}

fn transfer_view(transfer: &Transfer) -> TransferView {
    TransferView {
        id: transfer.path.segments().pop().unwrap_or_default(),
        from: transfer.from.to_string(),
        to: transfer.to.to_string(),
        money: money_view(&transfer.money),
        fault: transfer.fault.map(|fault| fault.sentence(transfer)),
    }
}

/// What to draw.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReserveBody {
    /// The credit segment.
    segment: String,
    /// By how much to raise what the region of this node has drawn: text in major units (`1200.50`),
    /// or a number in minor ones; below zero it gives back.
    #[schema(value_type = String)]
    amount: serde_json::Value,
    /// ISO 4217; the limit's.
    currency: String,
}

/// What to give away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransferBody {
    /// The credit segment.
    segment: String,
    /// The region that receives.
    to: String,
    /// How much: text in major units (`1200.50`), or a number in minor ones.
    #[schema(value_type = String)]
    amount: serde_json::Value,
    /// ISO 4217; the limit's.
    currency: String,
}

/// How often a draw is counted anew because the record has changed meanwhile.
const ATTEMPTS: usize = 64;

/// Draws on the slice of this node's region: raises its exposure, up to what it may draw.
#[utoipa::path(
    post, path = "/v1/customers/{id}/credit/reserve", tag = "credit",
    params(
        ("id" = String, Path, description = "The id of the customer, a UUID"),
        ("Concord-Source" = Option<String>, Header, description = "Writes as another source"),
        ("Concord-Reason" = Option<String>, Header, description = "Why, percent-encoded UTF-8"),
        ("Concord-Durability" = Option<String>, Header, description = "`local`, or `sites:K; wait=S`: \
            answered when K other nodes hold the write, or with 202 after S seconds"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "A draw sent again with its key within a day is made once"),
    ),
    request_body = ReserveBody,
    responses(
        (status = 200, description = "The draw is durable", body = super::writes::WriteView),
        (status = 422, description = "It is beyond the slice (`slice-exceeded`), or another node \
            draws for the region (`not-teller`)", body = Problem,
            content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn reserve(
    State(app): State<App>,
    Id(record): Id,
    author: Author,
    JsonBody { value, digest }: JsonBody,
) -> ApiResult<Response> {
    let body: ReserveBody = read_body(value)?;
    let region = region_of(&app)?;
    let stated = exposure_edits(&body, &region)?;
    for _ in 0..ATTEMPTS {
        let (policy, day) = (app.handle.policy(), app.today());
        let (edits, segment, home) = (stated.clone(), body.segment.clone(), region.clone());
        let (edits, version) = app
            .read(move |records| {
                let book = Book::open(&records, &policy, record, day)?;
                Ok((book.raised(edits, &segment, &home)?, book.version))
            })
            .await?;
        let precondition = Precondition::IsAt(version);
        let write = RecordWrite { record, precondition, edits, numbered: false };
        let request = WriteRequest {
            source: author.source.clone(),
            provenance: author.provenance(&digest),
            records: vec![write],
            propose: false,
            restate: false,
        };
        match app.handle.write(request).await {
            Ok(receipt) => return answer(StatusCode::OK, &author.source, &receipt),
            Err(WriteRefusal::VersionMismatch { .. }) => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }
    let text = "Others change this customer again and again. Nothing was drawn; send it again.";
    Err(ApiError::new(&error::CUSTOMER_BUSY, text))
}

impl Book<'_> {
    /// The edits with what the region has drawn already on top.
    fn raised(&self, mut edits: Edits, segment: &str, region: &Region) -> ApiResult<Edits> {
        let slices = self.slices(segment);
        let drawn = if slices.is_dealt() {
            let slice = slices.regions.get(region);
            slice.map(|slice| (slice.exposure, slices.limit.map(|limit| limit.currency)))
        } else {
            let exposure = credit::exposure(&self.golden, segment, self.day);
            exposure.regions.get(region).map(|it| (it.amount, Some(it.currency.clone())))
        };
        let Some((drawn, currency)) = drawn.filter(|(drawn, _)| *drawn != 0) else {
            return Ok(edits);
        };
        for (_, assertion) in &mut edits {
            let Assertion::Stated(Statement { value, .. }) = assertion else { continue };
            let Value::Group(members) = Arc::make_mut(value) else { continue };
            let stated = members.get("currency");
            if currency.as_ref().is_some_and(|known| stated != Some(&Scalar::Text(known.clone()))) {
                let text = "The region has drawn in another currency, and amounts are not converted. \
                            State the draw in that one.";
                return Err(ApiError::new(&error::CUSTOMER_INVALID, text));
            }
            if let Some(Scalar::Int(amount)) = members.get_mut("amount") {
                *amount = amount.saturating_add(drawn);
            }
        }
        for (path, assertion) in &edits {
            if let Some(Err(fault)) = lookup(path).map(|row| row.check(path, assertion)) {
                return Err(ApiError::invalid(vec![fault]));
            }
        }
        Ok(edits)
    }
}

/// Gives a part of the slice of this node's region to another one, for good.
#[utoipa::path(
    post, path = "/v1/customers/{id}/credit/transfer", tag = "credit",
    params(
        ("id" = String, Path, description = "The id of the customer, a UUID"),
        ("Concord-Source" = Option<String>, Header, description = "Writes as another source"),
        ("Concord-Reason" = Option<String>, Header, description = "Why, percent-encoded UTF-8"),
        ("Concord-Durability" = Option<String>, Header, description = "`local`, or `sites:K; wait=S`: \
            answered when K other nodes hold the write, or with 202 after S seconds"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "A transfer sent again with its key within a day is made once"),
    ),
    request_body = TransferBody,
    responses(
        (status = 200, description = "The transfer is durable", body = super::writes::WriteView),
        (status = 422, description = "The region has not that much left (`transfer-uncovered`), or \
            another node gives for it (`not-teller`)", body = Problem,
            content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn transfer(
    State(app): State<App>,
    Id(record): Id,
    author: Author,
    JsonBody { value, digest }: JsonBody,
) -> ApiResult<Response> {
    let body: TransferBody = read_body(value)?;
    let from = region_of(&app)?;
    let id = super::writes::mint(app.now_ms())?;
    let tree = json!({"credit": {(body.segment.as_str()): {"transfer": {(id.to_string()): {
        "from": from.as_str(), "to": body.to, "amount": body.amount, "currency": body.currency,
    }}}}});
    let edits = edits_of(&tree, &Context::default())?;
    let precondition = Precondition::Exists;
    let write = RecordWrite { record, precondition, edits, numbered: false };
    let request = WriteRequest {
        source: author.source.clone(),
        provenance: author.provenance(&digest),
        records: vec![write],
        propose: false,
        restate: false,
    };
    let receipt = app.handle.write(request).await?;
    answer(StatusCode::OK, &author.source, &receipt)
}

fn read_body<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> ApiResult<T> {
    serde_json::from_value(value)
        .map_err(|fault| ApiError::new(&error::BODY_MALFORMED, error::sentence(&fault.to_string())))
}

fn exposure_edits(body: &ReserveBody, region: &Region) -> ApiResult<Edits> {
    let tree = json!({"credit": {(body.segment.as_str()): {"exposure": {(region.as_str()): {
        "amount": body.amount, "currency": body.currency,
    }}}}});
    edits_of(&tree, &Context::default())
}

/// The region of this node.
fn region_of(app: &App) -> ApiResult<Region> {
    app.handle.status().region.parse().map_err(|_| WriteRefusal::NotAMember.into())
}
