//! What requests and overrides do to the claims of a record.

use std::collections::BTreeMap;

use super::fact::{self, Fact, Override};
use super::request::{Reading, Request, RequestState};
use crate::claim::{Claim, ClaimSet, Effect, Mark, Origin, scope};
use crate::id::{Region, SourceName};
use crate::path::AttributePath;
use crate::value::{Assertion, CellError, Scalar, Statement, Value};

/// The attribute that shows a block while a request on a bank account is pending.
const PAYMENT_BLOCK: &str = "block/payment";
/// The section of the bank accounts.
const BANK: &str = "bank/";
/// What the derived block says.
const BLOCK_REASON: &str = "bank change pending approval";

/// One edit of an effective request, as a claim.
struct Effective<'a> {
    claim: Claim,
    effect: &'a Effect,
    opened: &'a Origin,
}

/// By attribute and source, what stands there.
type BySource<'a, T> = BTreeMap<(&'a AttributePath, &'a SourceName), Vec<T>>;

/// The claims without the facts of governance, with what these do.
pub(super) fn apply(claims: &ClaimSet, readings: &[Reading]) -> ClaimSet {
    let effective = effective(readings);
    let stated: Vec<&Claim> = claims.claims().iter().filter(|claim| is_stated(claim)).collect();
    let mut by_source: BySource<'_, &Effective<'_>> = BTreeMap::new();
    for edit in &effective {
        by_source.entry((&edit.claim.path, &edit.claim.source)).or_default().push(edit);
    }
    let mut stated_by_source: BySource<'_, &Claim> = BTreeMap::new();
    for claim in &stated {
        stated_by_source.entry((&claim.path, &claim.source)).or_default().push(claim);
    }
    let mut marked = Vec::new();
    for claim in &stated {
        // As a source that writes again replaces what it had said.
        let commit = &claim.origin.commit;
        let mut edits = on(&by_source, claim).filter(|edit| edit.claim.replaces(claim));
        if !edits.any(|edit| claims.has_seen(&edit.effect.opened, commit)) {
            marked.push(((*claim).clone(), Mark::default()));
        }
    }
    for edit in &effective {
        let others = on(&by_source, &edit.claim).filter(|other| !std::ptr::eq(**other, edit));
        let others = others.filter(|other| other.claim.replaces(&edit.claim));
        let requests = others.map(|other| &other.effect.opened);
        let direct = on(&stated_by_source, &edit.claim);
        let direct = direct.filter(|claim| claim.replaces(&edit.claim));
        let direct = direct.map(|claim| &claim.origin.commit);
        if !requests.chain(direct).any(|commit| edit.effect.is_seen_by(claims, commit)) {
            let mark = Mark { effect: Some(edit.effect.clone()), ..Mark::default() };
            marked.push((edit.claim.clone(), mark));
        }
    }
    let founded: Vec<(Option<String>, Origin)> = effective.iter().filter_map(founded).collect();
    let marked = marked.into_iter().filter_map(overriding).chain(derived_blocks(readings));
    claims.governed(marked.collect(), &founded)
}

/// What the source of a claim has on its attribute.
fn on<'a, T>(by_source: &'a BySource<'a, T>, claim: &'a Claim) -> impl Iterator<Item = &'a T> {
    by_source.get(&(&claim.path, &claim.source)).into_iter().flatten()
}

/// Whether a claim stands by itself: an attribute's, or an override.
fn is_stated(claim: &Claim) -> bool {
    matches!(Fact::of(&claim.path), None | Some(Fact::Override))
}

/// The edits of effective requests, the latest request first: that is the one which saw the others.
fn effective(readings: &[Reading]) -> Vec<Effective<'_>> {
    let mut effective: Vec<Effective<'_>> = Vec::new();
    for Reading { request, effect, .. } in readings {
        let RequestState::Effective { since } = &request.state else { continue };
        effective.extend(request.edits.iter().map(|(path, assertion)| Effective {
            claim: Claim {
                path: path.clone(),
                source: request.source.clone(),
                assertion: Ok(assertion.clone()),
                origin: since.clone(),
            },
            effect,
            opened: &request.opened,
        }));
    }
    effective.sort_by_key(|edit| std::cmp::Reverse((edit.opened.time, edit.opened.commit)));
    effective
}

/// A part of the record that a request begins belongs to the region that asked for it.
fn founded(edit: &Effective<'_>) -> Option<(Option<String>, Origin)> {
    let scope = scope(&edit.claim.path)?.to_owned();
    let region = edit.opened.region.clone();
    Some((Some(scope), Origin { region, ..edit.claim.origin.clone() }))
}

/// Puts an override under the attribute that it overrides. One that is not readable stays as a claim
/// that is not readable, if its path tells of what.
fn overriding((claim, mark): (Claim, Mark)) -> Option<(Claim, Mark)> {
    if !fact::is_fact(&claim.path) {
        return Some((claim, mark));
    }
    match &claim.assertion {
        Ok(Assertion::Tombstone) => return None,
        Ok(assertion) => {
            if let Some(Override { path, statement, ends }) = Override::read(&claim.path, assertion)
            {
                let assertion = Ok(Assertion::Stated(statement));
                return Some((
                    Claim { path, assertion, ..claim },
                    Mark { ends: Some(ends), ..mark },
                ));
            }
        }
        Err(_) => {}
    }
    let path = Override::named_by(&claim.path)?;
    Some((Claim { path, assertion: Err(CellError::NotAnObject), ..claim }, mark))
}

/// A block of payments while a request on a bank account is pending: one for each region, since every
/// region is heard for so many claims only.
fn derived_blocks(readings: &[Reading]) -> impl Iterator<Item = (Claim, Mark)> {
    let is_bank = |path: &AttributePath| {
        let overridden = Override::named_by(path).filter(|_| fact::is_fact(path));
        overridden.as_ref().unwrap_or(path).as_str().starts_with(BANK)
    };
    let open = readings.iter().map(|reading| &reading.request).filter(|request| request.is_open());
    let on_bank = open.filter(move |request| request.edits.keys().any(is_bank));
    let mut first: BTreeMap<&Region, &Request> = BTreeMap::new();
    let age = |request: &Request| (request.opened.time, request.opened.commit);
    for request in on_bank {
        let of_region = first.entry(&request.opened.region).or_insert(request);
        if age(request) < age(of_region) {
            *of_region = request;
        }
    }
    first.into_values().filter_map(|request| {
        let reason = ("reason".to_owned(), Scalar::Text(BLOCK_REASON.to_owned()));
        let block = Value::Group(BTreeMap::from([reason]));
        let claim = Claim {
            path: PAYMENT_BLOCK.parse().ok()?,
            source: request.source.clone(),
            assertion: Ok(Assertion::Stated(Statement::plain(block))),
            origin: request.opened.clone(),
        };
        Some((claim, Mark { is_derived: true, ..Mark::default() }))
    })
}
