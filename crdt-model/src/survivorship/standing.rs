//! Which claims on an attribute take part, and on which days. What beats what is not decided here.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

use crate::attribute::{Attribute, CheckedPath, Fault};
use crate::claim::{Claim, ClaimSet};
use crate::golden_record::LossReason;
use crate::id::Region;
use crate::policy::Rule;
use crate::value::{Assertion, Scalar, Statement, Value};

/// The most claims that one region may have on one attribute; the latest count.
///
/// What a resolution costs grows with the square of the claims. Without a bound, one member could
/// stall every node with one change; with it, it can crowd out the claims of its own region only.
pub const CLAIMS_PER_REGION_MAX: usize = 32;

/// The most bytes that the values of one region on one attribute may have together; the latest count,
/// and the very latest always does.
///
/// A golden record keeps a contest for each day on which it changes, so values would be stored as
/// often as there are claims with a day.
pub const CLAIM_BYTES_PER_REGION_MAX: usize = 16 << 10;

/// The largest whole number that JSON keeps exactly (RFC 8785 writes numbers as IEEE 754 doubles).
const EXACT_MAX: u64 = (1 << 53) - 1;

/// A claim that asks to be heard.
pub(super) struct Entry<'a> {
    pub(super) claim: &'a Claim,
    /// Its standing, or why it has none on any day.
    pub(super) fate: Result<Standing<'a>, LossReason>,
    /// Releases that had seen it, under a rule for which it matters whose they are.
    pub(super) lifted_by: Vec<&'a Claim>,
}

/// A value and the days on which it holds, both ends included.
#[derive(Clone, Copy)]
pub(super) struct Standing<'a> {
    pub(super) value: &'a Value,
    pub(super) from: Option<Date>,
    pub(super) to: Option<Date>,
}

impl Standing<'_> {
    /// Whether it holds on a day; `None` is the time before the first day that any claim names.
    pub(super) fn holds(&self, day: Option<Date>) -> bool {
        match day {
            None => self.from.is_none(),
            Some(day) => {
                self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
            }
        }
    }
}

impl Entry<'_> {
    /// Whether a release that counts had seen it: under an owner's rule, the owner's claim is not for
    /// others to lift.
    pub(super) fn is_lifted(&self, owner: Option<&Region>) -> bool {
        let is_owners = |claim: &Claim| Some(&claim.origin.region) == owner;
        let mut lifted_by = self.lifted_by.iter();
        lifted_by.any(|release| is_owners(release) || !is_owners(self.claim))
    }

    /// The value and its raw form, as far as they can be shown.
    pub(super) fn stated(&self) -> (Option<Arc<Value>>, Option<String>) {
        match &self.claim.assertion {
            // There is no end of them.
            _ if matches!(self.fate, Err(LossReason::Surplus)) => (None, None),
            Ok(Assertion::Stated(statement)) => {
                let value = is_exact(&statement.value).then(|| Arc::clone(&statement.value));
                (value, statement.raw.clone())
            }
            Ok(Assertion::Tombstone | Assertion::Release { .. }) | Err(_) => (None, None),
        }
    }
}

/// Every claim on one attribute but tombstones and valid releases, in the order of the set.
///
/// A tombstone says that its source is silent, and stands in that source's register alone. A release
/// is heard by what it does to the claims that its writer had seen.
pub(super) fn entries<'a>(
    claims: &ClaimSet,
    attribute: Option<&Attribute>,
    rule: Rule,
    group: &'a [Claim],
) -> Vec<Entry<'a>> {
    let mut releases = Vec::new();
    let mut entries = Vec::with_capacity(group.len());
    let known = attribute.zip(group.first());
    let known = known.map(|(attribute, first)| attribute.check_path(&first.path));
    for claim in group {
        let fate = match &claim.assertion {
            Err(error) => Err(invalid(error.to_string())),
            Ok(Assertion::Tombstone) => continue,
            Ok(assertion) => match (check(known.as_ref(), assertion), assertion) {
                (Err(text), _) => Err(invalid(text)),
                (Ok(()), Assertion::Stated(statement)) => Ok(standing(rule, statement)),
                (Ok(()), Assertion::Release { .. } | Assertion::Tombstone) => {
                    releases.push(claim);
                    continue;
                }
            },
        };
        entries.push(Entry { claim, fate, lifted_by: Vec::new() });
    }
    for entry in entries.iter_mut().filter(|entry| entry.fate.is_ok()) {
        let lifts = |release: &&Claim| claims.lifts(release, entry.claim);
        if rule.asks_owner() {
            entry.lifted_by = releases.iter().copied().filter(lifts).collect();
        } else if releases.iter().any(lifts) {
            entry.fate = Err(LossReason::Released);
        }
    }
    drop_surplus(&mut entries);
    entries
}

const fn invalid(text: String) -> LossReason {
    LossReason::Invalid { text }
}

fn check(known: Option<&Result<CheckedPath<'_>, Fault>>, said: &Assertion) -> Result<(), String> {
    if let Assertion::Stated(statement) = said
        && !is_exact(&statement.value)
    {
        return Err("A whole number is beyond ±9007199254740991. State a smaller one.".to_owned());
    }
    match known {
        Some(Ok(path)) => path.check(said).map_err(|fault| fault.text),
        Some(Err(fault)) => Err(fault.text.clone()),
        None => Ok(()),
    }
}

fn standing(rule: Rule, statement: &Statement) -> Standing<'_> {
    let Statement { value, valid_from, valid_to, .. } = statement;
    let until = match (rule, value.member("until")) {
        (Rule::AnyBlock, Some(Scalar::Text(until))) => until.parse().ok(),
        _ => None,
    };
    let to = match (*valid_to, until) {
        (Some(to), Some(until)) => Some(Date::min(to, until)),
        (to, until) => to.or(until),
    };
    Standing { value, from: *valid_from, to }
}

fn is_exact(value: &Value) -> bool {
    let is_exact = |scalar: &Scalar| match scalar {
        Scalar::Int(number) => number.unsigned_abs() <= EXACT_MAX,
        Scalar::Bool(_) | Scalar::Text(_) => true,
    };
    match value {
        Value::One(scalar) => is_exact(scalar),
        Value::Group(members) => members.values().all(is_exact),
    }
}

/// About how many bytes a claim takes where it is shown.
fn size(claim: &Claim) -> usize {
    let Ok(Assertion::Stated(Statement { value, raw, .. })) = &claim.assertion else { return 0 };
    let text = |scalar: &Scalar| match scalar {
        Scalar::Text(text) => text.len(),
        Scalar::Bool(_) | Scalar::Int(_) => 8,
    };
    let value = match &**value {
        Value::One(scalar) => text(scalar),
        Value::Group(members) => members.iter().map(|(name, it)| name.len() + text(it)).sum(),
    };
    value + raw.as_ref().map_or(0, String::len)
}

/// Keeps the latest claims of each region.
fn drop_surplus(entries: &mut [Entry<'_>]) {
    let bytes: usize = entries.iter().map(|entry| size(entry.claim)).sum();
    if entries.len() <= CLAIMS_PER_REGION_MAX && bytes <= CLAIM_BYTES_PER_REGION_MAX {
        return;
    }
    let mut by_region: BTreeMap<&Region, Vec<usize>> = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.fate.is_ok()) {
        by_region.entry(&entry.claim.origin.region).or_default().push(place);
    }
    let mut surplus = Vec::new();
    for mut places in by_region.into_values() {
        let key = |place: &usize| {
            let origin = &entries[*place].claim.origin;
            (origin.time, origin.commit, *place)
        };
        places.sort_by_key(|place| std::cmp::Reverse(key(place)));
        let mut bytes = 0;
        let counts = |(before, place): &(usize, usize)| {
            bytes += size(entries[*place].claim);
            let has_room = *before < CLAIMS_PER_REGION_MAX && bytes <= CLAIM_BYTES_PER_REGION_MAX;
            *before == 0 || has_room
        };
        let taken = places.iter().copied().enumerate().take_while(counts).count();
        surplus.extend(places.into_iter().skip(taken));
    }
    for place in surplus {
        entries[place].fate = Err(LossReason::Surplus);
    }
}
