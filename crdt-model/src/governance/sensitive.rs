//! Which writes need a second person, by the policy. Who may write at all is told elsewhere.

use std::cmp::Ordering;

use super::fact::{self, Override, ProposedEdit};
use crate::attribute::{self, Class};
use crate::claim::{ClaimEdit, ClaimSet};
use crate::path::AttributePath;
use crate::policy::{FourEyes, Policy, Rule};
use crate::survivorship::resolve;
use crate::value::{Assertion, Statement};

/// How many principals other than the requester must approve some edits: as many as the strictest of
/// them asks for, and at least one.
pub fn needed<'a>(policy: &Policy, edits: impl IntoIterator<Item = &'a ProposedEdit>) -> u8 {
    let edits = edits.into_iter();
    let terms = edits.flat_map(|edit| terms(policy, &target(&edit.path, &edit.assertion)));
    terms.map(|terms| terms.approvals).max().unwrap_or(1).max(1)
}

/// What the policy asks of changes of an attribute: the entry of the path itself or, without one, those
/// of every pattern that fits it. All of them must be kept.
///
/// By the text of the pattern alone, so that a release which does not know an attribute asks for the
/// same as one which does.
pub(super) fn terms<'p>(policy: &'p Policy, path: &AttributePath) -> Vec<&'p FourEyes> {
    if let Some(terms) = policy.four_eyes.get(path.as_str()) {
        return vec![terms];
    }
    let fitting = policy.four_eyes.iter().filter(|(pattern, _)| fits(pattern, path.as_str()));
    fitting.map(|(_, terms)| terms).collect()
}

fn fits(pattern: &str, path: &str) -> bool {
    let is_same = |(part, segment): (&str, &str)| part.starts_with('{') || part == segment;
    pattern.split('/').count() == path.split('/').count()
        && pattern.split('/').zip(path.split('/')).all(is_same)
}

/// The attribute that an edit is about: of an override, the attribute that it overrides.
pub(super) fn target(path: &AttributePath, assertion: &Assertion) -> AttributePath {
    if !fact::is_fact(path) {
        return path.clone();
    }
    let read = Override::read(path, assertion).map(|overriding| overriding.path);
    read.or_else(|| Override::named_by(path)).unwrap_or_else(|| path.clone())
}

/// Whether an override of an attribute needs a second person: where the policy says so and, since
/// nobody's haste shall move money or lift a block, wherever money, compliance or a block is at stake.
pub(super) fn is_override_sensitive(policy: &Policy, path: &AttributePath) -> bool {
    let attribute = attribute::lookup(path);
    let is_at_stake =
        attribute.is_some_and(|row| matches!(row.class, Class::Money | Class::Compliance));
    is_at_stake
        || policy.rule_for(attribute, path) == Rule::AnyBlock
        || !terms(policy, path).is_empty()
}

/// How many others must approve an edit; `None` when it needs no second person. `past` is what the
/// author of the edit had seen; `creates` says that it is the first data of the record.
pub(super) fn second_person(
    policy: &Policy,
    edit: &ClaimEdit,
    creates: bool,
    past: &dyn Fn() -> ClaimSet,
) -> Option<u8> {
    let source = &edit.key.source;
    let is_exempt = |terms: &FourEyes| {
        terms.exempt.iter().any(|name| name == source.as_str() || name == source.kind())
    };
    let terms = terms(policy, &edit.key.path).into_iter();
    let asking = terms.filter(|terms| !is_exempt(terms) && (terms.at_creation || !creates));
    let asking: Vec<&FourEyes> =
        asking.filter(|terms| !(terms.only_raise && is_cautious(policy, edit, past))).collect();
    asking.into_iter().map(|terms| terms.approvals.max(1)).max()
}

/// Whether an edit makes nothing less conservative, on any day.
///
/// It states a value without an end or a beginning that is at least as conservative as everything which
/// survives in what its author had seen. So it depends on the commit and its past alone, and neither on
/// the day nor on what a receiver holds. The first value of all, a removal, a release and values that
/// cannot be compared are not cautious.
fn is_cautious(policy: &Policy, edit: &ClaimEdit, past: &dyn Fn() -> ClaimSet) -> bool {
    let path = &edit.key.path;
    let Assertion::Stated(statement) = &edit.assertion else { return false };
    let Statement { value, valid_from: None, valid_to: None, .. } = statement else {
        return false;
    };
    let Some(attribute) = attribute::lookup(path) else { return false };
    if attribute.check(path, &edit.assertion).is_err() {
        return false;
    }
    let wanted = match policy.rule_for(Some(attribute), path) {
        Rule::Least | Rule::OwnerElseLeast => Ordering::Less,
        Rule::Greatest | Rule::LatestElseGreatest => Ordering::Greater,
        // A block more is cautious, unless it takes the place of one that stands longer.
        Rule::AnyBlock => return value.member("until").is_none(),
        Rule::LastWriter
        | Rule::SourcePriority
        | Rule::Owner
        | Rule::AddWins
        | Rule::Oldest
        | Rule::MostFrequent
        | Rule::MostComplete
        | Rule::Follow
        | Rule::Override => return false,
    };
    let resolved = resolve(policy, &past());
    let Some(segments) = resolved.attributes.get(path) else { return false };
    let winners: Vec<_> =
        segments.iter().filter_map(|segment| segment.resolution.winner.as_ref()).collect();
    !winners.is_empty()
        && winners.iter().all(|winner| {
            let compared = winner.value.as_ref().and_then(|old| attribute.compare(value, old));
            compared.is_some_and(|order| order == Ordering::Equal || order == wanted)
        })
}
