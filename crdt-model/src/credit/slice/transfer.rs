//! Transfers between slices: which ones count, and why each other one does not.
//!
//! A transfer counts when the region that gives wrote it and had that much, by what its writer had
//! seen. Transfers of one region that were written apart are judged one after the other, so that
//! together they never give more than there was. One that does not count still lowers what its giver
//! has: it said itself that it gives this away, and a mistake must not make money.

use std::collections::BTreeMap;

use super::super::Money;
use super::{TRANSFERS_MAX, is_bounded, stated};
use crate::claim::ClaimSet;
use crate::id::{CommitRef, Region};
use crate::path::AttributePath;
use crate::time::Hlc;
use crate::value::{Scalar, Value};

/// A part of a slice that one region gives to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Where it stands.
    pub path: AttributePath,
    /// Who gives.
    pub from: Region,
    /// Who receives.
    pub to: Region,
    /// How much.
    pub money: Money,
    /// The region whose node wrote it.
    pub author: Region,
    /// Why it does not count.
    pub fault: Option<TransferFault>,
}

/// Why a transfer does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransferFault {
    /// Another region than the one that gives wrote it.
    NotGivers,
    /// It gives to itself.
    ToItself,
    /// It is in another currency than the limit.
    OtherCurrency,
    /// It has a validity.
    Bounded,
    /// Its id says different things.
    Ambiguous,
    /// The region has more transfers than count, and made the others before.
    Surplus,
    /// The region that gives did not have that much.
    Uncovered,
}

impl TransferFault {
    /// Why the transfer does not count, and what to do, for a clerk.
    #[must_use]
    pub fn sentence(self, transfer: &Transfer) -> String {
        let Transfer { from, to, money, author, .. } = transfer;
        let transfer = format!("The transfer of {money} from {from} to {to} does not count");
        match self {
            Self::NotGivers => format!(
                "{transfer}: {author} wrote it, and only {from} can give its slice away. Ask {from}."
            ),
            Self::ToItself => format!("{transfer}: a region cannot give to itself. Remove it."),
            Self::OtherCurrency => {
                format!("{transfer}: the limit is in another currency. Make it in that one.")
            }
            Self::Bounded => format!(
                "{transfer}: it has a validity. What is given stays given; make a new transfer \
                 without days."
            ),
            Self::Ambiguous => format!(
                "{transfer}: its id is used for another transfer as well. Make a new one under an id \
                 of its own."
            ),
            Self::Surplus => format!(
                "{transfer}: {from} made {TRANSFERS_MAX} before, and no more count. Let the owner \
                 raise the slice of {to} instead."
            ),
            Self::Uncovered => format!(
                "{transfer}: {from} did not have that much when it was made. {from} is held to it \
                 nevertheless; let another region give {from} as much."
            ),
        }
    }
}

impl Transfer {
    /// Whether what the giver has gets smaller by it.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        !matches!(
            self.fault,
            Some(TransferFault::NotGivers | TransferFault::ToItself | TransferFault::OtherCurrency)
        )
    }
}

/// A transfer and the commit that made it.
#[derive(Clone)]
struct Made {
    commit: CommitRef,
    time: Hlc,
    transfer: Transfer,
}

/// Every transfer of a segment, judged. `granted` is what the owner dealt to a region at most.
pub(super) fn read(
    claims: &ClaimSet,
    segment: &str,
    currency: &str,
    granted: impl Fn(&Region) -> i128,
) -> Vec<Transfer> {
    let mut by_id: BTreeMap<AttributePath, Vec<Made>> = BTreeMap::new();
    for (claim, statement) in stated(claims, &format!("credit/{segment}/transfer/")) {
        let Some((from, to, money)) = parse(&statement.value) else { continue };
        let author = claim.origin.region.clone();
        let fault = if author != from {
            Some(TransferFault::NotGivers)
        } else if from == to {
            Some(TransferFault::ToItself)
        } else if money.currency != currency {
            Some(TransferFault::OtherCurrency)
        } else {
            is_bounded(statement).then_some(TransferFault::Bounded)
        };
        let transfer = Transfer { path: claim.path.clone(), from, to, money, author, fault };
        let made = Made { commit: claim.origin.commit, time: claim.origin.time, transfer };
        by_id.entry(claim.path.clone()).or_default().push(made);
    }
    let mut made: Vec<Made> = by_id.into_values().flat_map(unite).collect();
    mark_surplus(&mut made);
    let mut made = in_causal_order(claims, &made);
    judge(claims, &mut made, granted);
    made.into_iter().map(|made| made.transfer).collect()
}

pub(super) fn parse(value: &Value) -> Option<(Region, Region, Money)> {
    let region = |name: &str| match value.member(name)? {
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Bool(_) | Scalar::Int(_) => None,
    };
    Some((region("from")?, region("to")?, Money::of(value)?))
}

/// The claims on one id as transfers: those that a region's own node wrote are one when they say the
/// same, and when they do not, each giver is held to the largest.
fn unite(claims: Vec<Made>) -> Vec<Made> {
    let (mut own, mut others): (Vec<Made>, Vec<Made>) =
        claims.into_iter().partition(|made| made.transfer.is_given());
    own.sort_by_key(|made| (made.time, made.commit));
    let differ = own.windows(2).any(|pair| pair[0].transfer != pair[1].transfer);
    if differ {
        own.sort_by(|a, b| {
            (&a.transfer.from, b.transfer.money.amount)
                .cmp(&(&b.transfer.from, a.transfer.money.amount))
        });
        own.dedup_by(|next, kept| next.transfer.from == kept.transfer.from);
        own.iter_mut().for_each(|made| made.transfer.fault = Some(TransferFault::Ambiguous));
    } else {
        own.truncate(1);
    }
    own.append(&mut others);
    own
}

/// Leaves each giver its earliest transfers: nobody can make judging slow for others.
fn mark_surplus(made: &mut [Made]) {
    made.sort_by(|a, b| {
        (a.time, a.commit, &a.transfer.path).cmp(&(b.time, b.commit, &b.transfer.path))
    });
    let mut counts: BTreeMap<Region, usize> = BTreeMap::new();
    for Made { transfer, .. } in made.iter_mut().filter(|made| made.transfer.fault.is_none()) {
        let count = counts.entry(transfer.from.clone()).or_default();
        *count += 1;
        if *count > TRANSFERS_MAX {
            transfer.fault = Some(TransferFault::Surplus);
        }
    }
}

/// Puts what was seen before what saw it. Who had seen more comes later; what was made apart is
/// ordered by time and commit.
fn in_causal_order(claims: &ClaimSet, made: &[Made]) -> Vec<Made> {
    let seen = |later: &Made| {
        let counts = made.iter().filter(|earlier| earlier.transfer.fault.is_none());
        counts.filter(|earlier| has_seen(claims, later, earlier)).count()
    };
    let mut keyed: Vec<(usize, Made)> =
        made.iter().map(|made| (seen(made), made.clone())).collect();
    keyed.sort_by(|(seen_a, a), (seen_b, b)| {
        (seen_a, a.time, a.commit, &a.transfer.path).cmp(&(
            seen_b,
            b.time,
            b.commit,
            &b.transfer.path,
        ))
    });
    keyed.into_iter().map(|(_, made)| made).collect()
}

fn has_seen(claims: &ClaimSet, later: &Made, earlier: &Made) -> bool {
    later.commit != earlier.commit && claims.has_seen(&later.commit, &earlier.commit)
}

/// Finds those for which there was not enough.
fn judge(claims: &ClaimSet, made: &mut [Made], granted: impl Fn(&Region) -> i128) {
    for at in 0..made.len() {
        let (before, rest) = made.split_at_mut(at);
        let Some(this) = rest.first_mut().filter(|this| this.transfer.fault.is_none()) else {
            continue;
        };
        let mut has = granted(&this.transfer.from);
        for earlier in before.iter() {
            let Transfer { from, to, money, fault, .. } = &earlier.transfer;
            let amount = i128::from(money.amount);
            if *from == this.transfer.from && earlier.transfer.is_given() {
                has -= amount;
            }
            if *to == this.transfer.from && fault.is_none() && has_seen(claims, this, earlier) {
                has += amount;
            }
        }
        if i128::from(this.transfer.money.amount) > has {
            this.transfer.fault = Some(TransferFault::Uncovered);
        }
    }
}
