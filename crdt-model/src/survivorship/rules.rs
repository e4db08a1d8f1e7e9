//! The rules: among the claims that hold on a day, which one survives, and why each other one does not.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

use crate::attribute::Attribute;
use crate::claim::{Claim, ClaimSet};
use crate::golden_record::LossReason;
use crate::id::{Region, SourceName};
use crate::policy::{Policy, Rule};
use crate::value::{Scalar, Value};

/// A claim that takes part.
pub(super) struct Live<'a> {
    pub(super) claim: &'a Claim,
    pub(super) value: &'a Value,
}

/// The claims on one attribute that hold on one day, and what decides among them.
pub(super) struct Contest<'a> {
    pub(super) policy: &'a Policy,
    pub(super) claims: &'a ClaimSet,
    pub(super) attribute: Option<&'static Attribute>,
    pub(super) owner: Option<&'a Region>,
    /// The source that wins the attribute that this one follows.
    pub(super) leader: Option<&'a SourceName>,
    /// In the order of the set: by source, then origin. Claims are named by their place here.
    pub(super) live: Vec<Live<'a>>,
}

/// The survivor, and the reason of every other claim, by place.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) winner: Option<usize>,
    pub(super) reasons: Vec<(usize, LossReason)>,
}

impl Verdict {
    pub(super) fn and(mut self, others: &[usize], reason: &LossReason) -> Self {
        self.reasons.extend(others.iter().map(|other| (*other, reason.clone())));
        self
    }
}

impl Contest<'_> {
    pub(super) fn decide(&self, rule: Rule) -> Verdict {
        let all: Vec<usize> = (0..self.live.len()).collect();
        let verdict = match rule {
            Rule::LastWriter | Rule::Override => self.last_writer(&all),
            Rule::SourcePriority | Rule::AddWins => self.source_priority(&all),
            Rule::Owner => {
                let (owned, others) = self.by_owner(&all);
                self.last_writer(&owned).and(&others, &LossReason::NotOwner)
            }
            Rule::Least => self.extreme(&all, Ordering::Less),
            Rule::Greatest => self.extreme(&all, Ordering::Greater),
            Rule::OwnerElseLeast => match self.by_owner(&all) {
                (owned, _) if owned.is_empty() => self.extreme(&all, Ordering::Less),
                // What the owner said having seen its own word stands in that word's place, a higher
                // limit too; what it said apart is the least.
                (owned, others) => self
                    .extreme_of_latest(&owned, Ordering::Less)
                    .and(&others, &LossReason::NotOwner),
            },
            Rule::LatestElseGreatest => self.extreme_of_latest(&all, Ordering::Greater),
            Rule::AnyBlock => self.any_block(&all),
            Rule::Oldest => self.oldest(&all),
            Rule::MostFrequent => self.most_frequent(&all),
            Rule::MostComplete => self.most_complete(&all),
            Rule::Follow => self.follow(&all),
        };
        self.agreed(verdict)
    }

    /// The verdict in which those who say what the survivor says have not lost.
    pub(super) fn agreed(&self, mut verdict: Verdict) -> Verdict {
        if let Some(winner) = verdict.winner {
            for (place, reason) in &mut verdict.reasons {
                if self.live[*place].value == self.live[winner].value {
                    *reason = LossReason::Agrees;
                }
            }
        }
        verdict
    }

    /// Live claims differ.
    pub(super) fn disagrees(&self) -> bool {
        self.live.windows(2).any(|pair| pair[0].value != pair[1].value)
    }

    /// Live claims differ and their writers had not seen each other.
    pub(super) fn conflicts(&self) -> bool {
        let others = |place: usize| self.live.iter().skip(place + 1);
        self.live.iter().enumerate().any(|(place, a)| {
            others(place).any(|b| {
                a.value != b.value
                    && !self.had_seen(a.claim, b.claim)
                    && !self.had_seen(b.claim, a.claim)
            })
        })
    }

    /// Drops what another claim's writer had seen, then takes the latest.
    ///
    /// Causality comes before clocks: a node whose clock runs ahead must not beat those who had read
    /// its value and decided otherwise.
    pub(super) fn last_writer(&self, among: &[usize]) -> Verdict {
        let is_superseded = |place: &usize| among.iter().any(|by| self.supersedes(*by, *place));
        let (superseded, latest) = split(among, is_superseded);
        // Real clocks have no cycle; forged ones must still give an answer.
        let open = if latest.is_empty() { among } else { &latest };
        let Some(winner) = open.iter().copied().max_by_key(|place| self.age(*place)) else {
            return Verdict::default();
        };
        let reasons = Vec::with_capacity(self.live.len());
        let mut verdict = Verdict { winner: Some(winner), reasons }
            .and(&latest, &LossReason::Older)
            .and(&superseded, &LossReason::Superseded);
        verdict.reasons.retain(|(place, _)| *place != winner);
        verdict
    }

    fn source_priority(&self, among: &[usize]) -> Verdict {
        self.highest(among, &LossReason::LowerPriority, |place| {
            Reverse(self.policy.rank(&self.live[place].claim.source))
        })
    }

    fn by_owner(&self, among: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let speaks = |owner, place: usize| self.claims.speaks_for(self.live[place].claim, owner);
        let is_owner = |place: &usize| self.owner.is_some_and(|owner| speaks(owner, *place));
        split(among, is_owner)
    }

    /// The extreme value among those that can be compared with the value that stood first.
    fn extreme(&self, among: &[usize], wanted: Ordering) -> Verdict {
        let Some(first) = among.iter().copied().min_by_key(|place| self.age(*place)) else {
            return Verdict::default();
        };
        let better = |best: usize, place: &usize| match self.compare(*place, best) {
            Some(ordering) if ordering == wanted => *place,
            _ => best,
        };
        let best = among.iter().fold(first, better);
        let order = |place: &usize| self.compare(*place, best);
        let (ties, others) = split(among, |place| order(place) == Some(Ordering::Equal));
        let (apart, others) = split(&others, |place| order(place).is_none());
        self.last_writer(&ties)
            .and(&apart, &LossReason::NotComparable)
            .and(&others, &LossReason::LessConservative)
    }

    /// Drops what another claim's writer had seen, then takes the extreme value.
    fn extreme_of_latest(&self, among: &[usize], wanted: Ordering) -> Verdict {
        let is_superseded = |place: &usize| among.iter().any(|by| self.supersedes(*by, *place));
        let (superseded, latest) = split(among, is_superseded);
        // As for the last writer: forged clocks that form a cycle must still give an answer.
        let open = if latest.is_empty() { among } else { &latest };
        let mut verdict = self.extreme(open, wanted).and(&superseded, &LossReason::Superseded);
        verdict.reasons.retain(|(place, _)| Some(*place) != verdict.winner);
        verdict
    }

    fn any_block(&self, among: &[usize]) -> Verdict {
        let winner = among.iter().copied().min_by_key(|place| self.age(*place));
        let others: Vec<usize> =
            among.iter().copied().filter(|place| Some(*place) != winner).collect();
        Verdict { winner, reasons: Vec::new() }.and(&others, &LossReason::AlsoBlocks)
    }

    /// The mirror of the last writer: drops whoever had seen another claim, then takes the earliest.
    fn oldest(&self, among: &[usize]) -> Verdict {
        let had_seen_another =
            |place: &usize| among.iter().any(|seen| self.supersedes(*place, *seen));
        let (_, first): (Vec<usize>, Vec<usize>) =
            among.iter().copied().partition(had_seen_another);
        let open = if first.is_empty() { among } else { &first };
        let winner = open.iter().copied().min_by_key(|place| self.age(*place));
        let others: Vec<usize> =
            among.iter().copied().filter(|place| Some(*place) != winner).collect();
        Verdict { winner, reasons: Vec::new() }.and(&others, &LossReason::Newer)
    }

    /// The value that most sources state. A source whose register two nodes wrote apart states both
    /// values, each of them once.
    fn most_frequent(&self, among: &[usize]) -> Verdict {
        let mut stated_by: BTreeMap<&Value, BTreeSet<&SourceName>> = BTreeMap::new();
        for place in among {
            let Live { claim, value } = &self.live[*place];
            stated_by.entry(value).or_default().insert(&claim.source);
        }
        self.highest(among, &LossReason::Rarer, |place| {
            stated_by.get(self.live[place].value).map(BTreeSet::len)
        })
    }

    fn most_complete(&self, among: &[usize]) -> Verdict {
        self.highest(among, &LossReason::LessComplete, |place| match self.live[place].value {
            Value::Group(members) => members.len(),
            Value::One(Scalar::Text(text)) => text.chars().count(),
            Value::One(Scalar::Bool(_) | Scalar::Int(_)) => 0,
        })
    }

    /// The last writer among the claims that score highest.
    fn highest<S: Ord>(
        &self,
        among: &[usize],
        reason: &LossReason,
        score: impl Fn(usize) -> S,
    ) -> Verdict {
        let scores: Vec<S> = among.iter().map(|place| score(*place)).collect();
        let best = scores.iter().max();
        let mut scores = scores.iter();
        let (highest, others) = split(among, |_| scores.next() == best);
        self.last_writer(&highest).and(&others, reason)
    }

    fn follow(&self, among: &[usize]) -> Verdict {
        let is_leader = |place: &usize| Some(&self.live[*place].claim.source) == self.leader;
        match split(among, is_leader) {
            (led, _) if led.is_empty() => self.last_writer(among),
            (led, others) => self.last_writer(&led).and(&others, &LossReason::NotFollowed),
        }
    }

    fn supersedes(&self, later: usize, earlier: usize) -> bool {
        let [later, earlier] = [later, earlier].map(|place| self.live[place].claim);
        later.origin.commit != earlier.origin.commit && self.had_seen(later, earlier)
    }

    /// Whether the writer of a claim had seen another one.
    fn had_seen(&self, later: &Claim, earlier: &Claim) -> bool {
        later.origin.commit == earlier.origin.commit || self.claims.saw(later, earlier)
    }

    /// A total order by time; commit, source and place settle what time leaves open.
    fn age(&self, place: usize) -> impl Ord {
        let Claim { source, origin, .. } = self.live[place].claim;
        (origin.time, origin.commit, source, place)
    }

    fn compare(&self, a: usize, b: usize) -> Option<Ordering> {
        let (a, b) = (self.live[a].value, self.live[b].value);
        if a == b {
            return Some(Ordering::Equal);
        }
        self.attribute?.compare(a, b)
    }
}

/// The places of which something holds, and the others.
fn split(among: &[usize], mut holds: impl FnMut(&usize) -> bool) -> (Vec<usize>, Vec<usize>) {
    let mut with = Vec::with_capacity(among.len());
    let mut without = Vec::with_capacity(among.len());
    for place in among {
        if holds(place) { with.push(*place) } else { without.push(*place) }
    }
    (with, without)
}
