//! The hierarchy of customers: who a customer belongs to, who belongs to it, and where a circle was
//! cut.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use crdt_model::hierarchy::{ParentEdge, Place, Summit, ascend, descend};
use crdt_model::id::RecordId;
use crdt_model::policy::Policy;
use crdt_model::survivorship::resolve;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::error::{ApiResult, Problem};
use super::extract::{Id, Params};
use super::golden::document_of;
use crate::kv::ReadError;
use crate::replica::history::sound_document;
use crate::replica::records::Records;

/// The place of a customer in its hierarchy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HierarchyView {
    /// The id of the customer.
    pub(crate) id: String,
    /// From its parent to the ultimate parent.
    pub(crate) ancestors: Vec<String>,
    /// The customer at the top, as far as it is known; the customer itself where it belongs to nobody.
    pub(crate) ultimate_parent: String,
    /// How the way up ends: `top`, `circle` (at an edge that is left out), `missing` (a parent is not
    /// here) or `too-deep`.
    pub(crate) ends: &'static str,
    /// What a steward should do about it; null where it ends as it should.
    pub(crate) finding: Option<String>,
    /// The edge that is left out of a circle of parents.
    pub(crate) left_out: Option<EdgeView>,
    /// The parent that is not here.
    pub(crate) missing: Option<String>,
    /// Who belongs to the customer directly.
    pub(crate) children: Vec<String>,
    /// Everybody below, level by level, with `below=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) below: Option<Vec<MemberView>>,
    /// There are more below than are followed: over 64 levels or 5,000 customers.
    pub(crate) truncated: bool,
}

/// That one customer belongs to another.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EdgeView {
    /// Who belongs.
    pub(crate) child: String,
    /// To whom.
    pub(crate) parent: String,
    /// When that was stated, RFC 3339.
    pub(crate) since: String,
}

/// A customer below.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberView {
    /// Its id.
    pub(crate) id: String,
    /// Its parent.
    pub(crate) parent: Option<String>,
    /// How many levels below.
    pub(crate) depth: usize,
}

/// How to show the hierarchy.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HierarchyParams {
    /// Show what holds on this day (`YYYY-MM-DD`); default: today in UTC.
    #[param(value_type = Option<String>)]
    as_of: Option<Date>,
    /// Whether to list everybody below, and not the direct children alone.
    #[serde(default)]
    below: bool,
}

/// Shows who a customer belongs to and who belongs to it.
#[utoipa::path(
    get, path = "/v1/customers/{id}/hierarchy", tag = "customers",
    params(("id" = String, Path, description = "The id of the customer, a UUID"), HierarchyParams),
    responses(
        (status = 200, description = "Its place", body = HierarchyView),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    Id(record): Id,
    Params(params): Params<HierarchyParams>,
) -> ApiResult<Json<HierarchyView>> {
    let day = params.as_of.unwrap_or_else(|| app.today());
    let policy = app.handle.policy();
    app.read(move |records| {
        document_of(records, &record)?;
        let tree = Surroundings::new(records, &policy, day);
        let ascent = ascend(record, |id| tree.place(id));
        let below = descend(record, |id| tree.place(id), |id| tree.children(id));
        tree.finish()?;
        let (ends, left_out, missing) = match ascent.summit {
            Summit::Top => ("top", None, None),
            Summit::Cut(edge) => ("circle", Some(edge), None),
            Summit::Missing(parent) => ("missing", None, Some(parent)),
            Summit::TooDeep => ("too-deep", None, None),
        };
        let members = below.nodes.iter().skip(1);
        let children = members.clone().filter(|node| node.depth == 1);
        let member = |node: &crdt_model::hierarchy::Node| MemberView {
            id: node.record.to_string(),
            parent: node.parent.map(|parent| parent.to_string()),
            depth: node.depth,
        };
        Ok(Json(HierarchyView {
            id: record.to_string(),
            ancestors: ascent.path.iter().skip(1).map(ToString::to_string).collect(),
            ultimate_parent: ascent.ultimate().unwrap_or(record).to_string(),
            ends,
            finding: ascent.finding().map(|finding| finding.text),
            left_out: left_out.or(below.cut).map(|edge| EdgeView {
                child: edge.child.to_string(),
                parent: edge.parent.to_string(),
                since: edge.since.to_rfc3339(),
            }),
            missing: missing.map(|parent| parent.to_string()),
            children: children.map(|node| node.record.to_string()).collect(),
            below: params.below.then(|| members.map(member).collect()),
            truncated: below.truncated,
        }))
    })
    .await
}

/// The others as a hierarchy asks for them, each read once.
pub(crate) struct Surroundings<'a> {
    records: Records<'a>,
    policy: &'a Policy,
    day: Date,
    places: RefCell<BTreeMap<RecordId, Place>>,
    /// The first failure of a read; what was answered since then does not count.
    failed: Cell<Option<ReadError>>,
}

/// The most customers that name one another that are looked at as its children.
const CHILDREN_MAX: usize = crdt_model::hierarchy::MEMBERS_MAX + 1;

impl<'a> Surroundings<'a> {
    pub(crate) fn new(records: Records<'a>, policy: &'a Policy, day: Date) -> Self {
        let (places, failed) = (RefCell::new(BTreeMap::new()), Cell::new(None));
        Self { records, policy, day, places, failed }
    }

    /// Where a customer stands.
    pub(crate) fn place(&self, record: &RecordId) -> Place {
        if let Some(known) = self.places.borrow().get(record) {
            return *known;
        }
        let document = sound_document(&self.records, record).unwrap_or_else(|error| {
            self.failed.set(Some(error));
            None
        });
        let place = document.map_or(Place::Missing, |document| {
            let resolved = resolve(self.policy, &document.claims());
            ParentEdge::of(*record, &resolved, self.day).map_or(Place::Top, Place::Under)
        });
        self.places.borrow_mut().insert(*record, place);
        place
    }

    /// Who names a customer, as its parent or otherwise.
    pub(crate) fn children(&self, record: &RecordId) -> Vec<RecordId> {
        self.records.naming(record, CHILDREN_MAX).unwrap_or_else(|error| {
            self.failed.set(Some(error));
            Vec::new()
        })
    }

    /// The failure of a read, if there was one.
    pub(crate) fn finish(self) -> Result<(), ReadError> {
        self.failed.into_inner().map_or(Ok(()), Err)
    }
}
