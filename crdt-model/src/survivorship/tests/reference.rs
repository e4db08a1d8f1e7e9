//! Survivorship a second time, for comparison: slow, plain, from the definition, on the whole history
//! instead of on what a document keeps of it. It shares no code with what it is compared with; even the
//! order of the sample values is written down by hand.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::samples::{SAMPLES, SOURCES, Sample, Samples, day};
use crate::policy::Rule;

/// Kinds of sources, the best first.
const KINDS: [&str; 4] = ["register", "manual", "erp", "crm"];
const HOME: &str = "identity/home_region";

/// A commit as its writer knew the world. Commits are named by their place in the history.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) log: u8,
    pub(super) seq: u64,
    pub(super) ms: u64,
    pub(super) region: &'static str,
    /// All that the writer's node held.
    pub(super) held: BTreeSet<usize>,
    /// What was on the writer's screen: what the writer had seen.
    pub(super) saw: BTreeSet<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// A value of the path's samples, and the days on which it holds.
    Value {
        sample: usize,
        from: Option<u8>,
        to: Option<u8>,
    },
    Tombstone,
    Release,
}

impl Says {
    /// The same about a path: one of the values that it has.
    pub(super) fn on(self, path: usize) -> Self {
        match self {
            Self::Value { sample, from, to } => {
                Self::Value { sample: sample % SAMPLES[path].says.len(), from, to }
            }
            Self::Tombstone | Self::Release => self,
        }
    }
}

/// What one source says about one path in one commit.
#[derive(Debug, Clone)]
pub(super) struct Put {
    pub(super) commit: usize,
    pub(super) path: usize,
    pub(super) source: usize,
    pub(super) says: Says,
    /// It is not what the source said already.
    pub(super) is_new: bool,
    /// The change says something there, if only that what was said of other days has ended.
    pub(super) is_written: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// By path.
    pub(super) rules: Vec<Rule>,
    pub(super) follows: BTreeMap<usize, usize>,
    pub(super) owner: Option<(&'static str, &'static str)>,
}

pub(super) struct Reference<'a> {
    pub(super) commits: &'a [Commit],
    pub(super) puts: &'a [Put],
    pub(super) terms: &'a Terms,
}

/// A path on a day. `home`: whether the home region may be asked for.
#[derive(Clone, Copy)]
struct Question {
    path: usize,
    day: Date,
    home: bool,
}

impl<'a> Reference<'a> {
    /// The surviving put.
    pub(super) fn winner(&self, path: usize, day: Date) -> Option<&'a Put> {
        self.survivor(self.question(path, day), &[]).filter(|_| self.has_item(path, day))
    }

    /// Whether what the path belongs to is there; true for a path that belongs to nothing.
    fn has_item(&self, path: usize, day: Date) -> bool {
        let is_item = |samples: &Samples| {
            let rest = SAMPLES[path].path.strip_prefix(samples.path);
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let item = SAMPLES.iter().position(is_item);
        item.is_none_or(|item| self.survivor(self.question(item, day), &[]).is_some())
    }

    pub(super) fn disagrees(&self, path: usize, day: Date) -> bool {
        if !self.has_item(path, day) {
            return false;
        }
        let live = self.live(self.question(path, day));
        live.iter().any(|a| live.iter().any(|b| text(a) != text(b)))
    }

    pub(super) fn conflicts(&self, path: usize, day: Date) -> bool {
        if !self.has_item(path, day) {
            return false;
        }
        let live = self.live(self.question(path, day));
        live.iter().any(|a| {
            live.iter().any(|b| text(a) != text(b) && !self.seen(a, b) && !self.seen(b, a))
        })
    }

    fn question(&self, path: usize, day: Date) -> Question {
        Question { path, day, home: SAMPLES[path].path != HOME }
    }

    fn survivor(&self, question: Question, trail: &[usize]) -> Option<&'a Put> {
        let live = self.live(question);
        let owner = self.owner(question);
        let owned: Vec<&Put> =
            live.iter().copied().filter(|put| Some(self.region(put)) == owner).collect();
        match self.terms.rules[question.path] {
            // This release does not know the attribute.
            _ if !SAMPLES[question.path].known => self.last(&live),
            Rule::LastWriter | Rule::Override => self.last(&live),
            Rule::SourcePriority | Rule::AddWins => {
                let best = live.iter().map(|put| rank(put)).min();
                self.last(&only(&live, |put| Some(rank(put)) == best))
            }
            Rule::Owner => self.last(&owned),
            Rule::Least => self.extreme(&live, -1),
            Rule::Greatest => self.extreme(&live, 1),
            Rule::OwnerElseLeast if owned.is_empty() => self.extreme(&live, -1),
            Rule::OwnerElseLeast => {
                let latest = only(&owned, |put| !owned.iter().any(|by| self.supersedes(by, put)));
                self.extreme(&latest, -1)
            }
            Rule::LatestElseGreatest => {
                let latest = only(&live, |put| !live.iter().any(|by| self.supersedes(by, put)));
                self.extreme(&latest, 1)
            }
            Rule::AnyBlock => self.first(&live),
            Rule::Oldest => {
                let open = only(&live, |put| !live.iter().any(|other| self.supersedes(put, other)));
                self.first(&open)
            }
            Rule::MostFrequent => {
                let votes = |put: &Put| {
                    let same = live.iter().filter(|other| text(other) == text(put));
                    same.map(|other| other.source).collect::<BTreeSet<_>>().len()
                };
                let most = live.iter().map(|put| votes(put)).max();
                self.last(&only(&live, |put| Some(votes(put)) == most))
            }
            Rule::MostComplete => {
                let most = live.iter().map(|put| sample(put).size).max();
                self.last(&only(&live, |put| Some(sample(put).size) == most))
            }
            Rule::Follow => {
                let trail = [trail, &[question.path]].concat();
                let next = self.terms.follows.get(&question.path);
                let next = next.filter(|next| !trail.contains(next));
                // What the home region follows is asked for as before the customer had a home.
                let home = question.home && SAMPLES[question.path].path != HOME;
                let leader = next.and_then(|path| {
                    self.survivor(Question { path: *path, home, ..question }, &trail)
                });
                let led = only(&live, |put| leader.is_some_and(|it| it.source == put.source));
                self.last(if led.is_empty() { &live } else { &led })
            }
        }
    }

    /// The puts that take part.
    fn live(&self, question: Question) -> Vec<&'a Put> {
        let owner = self.owner(question);
        let asks = matches!(
            self.terms.rules[question.path],
            Rule::Owner | Rule::OwnerElseLeast if SAMPLES[question.path].known
        );
        let standing: Vec<&Put> = (self.puts.iter())
            .filter(|put| put.path == question.path && put.is_new && !self.is_replaced(put))
            .collect();
        let releases =
            only(&standing, |put| put.says == Says::Release && SAMPLES[question.path].releasable);
        let is_lifted = |put: &Put| {
            releases.iter().any(|release| {
                release.commit != put.commit
                    && self.commits[release.commit].saw.contains(&put.commit)
                    && (!asks
                        || Some(self.region(put)) != owner
                        || Some(self.region(release)) == owner)
            })
        };
        let holding = only(&standing, |put| self.holds(put, question.day) && !is_lifted(put));
        // Of one source, what it says from the latest day on.
        only(&holding, |put| {
            !holding.iter().any(|by| by.source == put.source && first_day(by) > first_day(put))
        })
    }

    fn is_replaced(&self, put: &Put) -> bool {
        self.puts.iter().any(|by| {
            (by.path, by.source) == (put.path, put.source)
                && by.commit != put.commit
                && self.commits[by.commit].saw.contains(&put.commit)
                && self.ends(by, put)
        })
    }

    /// Whether a source that says one thing no longer says the other.
    fn ends(&self, by: &Put, put: &Put) -> bool {
        let today = self.commits[by.commit].ms / 2;
        match (by.says, put.says) {
            (Says::Release, Says::Release) => by.is_new,
            (Says::Release, _) | (_, Says::Release) => false,
            (Says::Tombstone, _) => true,
            (Says::Value { from: Some(by_day), .. }, Says::Value { from: Some(day), .. }) => {
                by.is_new && by_day == day
            }
            (Says::Value { from: None, .. }, Says::Value { from: Some(day), .. }) => {
                u64::from(day) <= today
            }
            (Says::Value { from: None, .. }, _) => by.is_new,
            (Says::Value { from: Some(_), .. }, _) => false,
        }
    }

    fn holds(&self, put: &Put, on: Date) -> bool {
        let Says::Value { sample, from, to } = put.says else { return false };
        let sample = &SAMPLES[put.path].says[sample];
        let is_readable = from.zip(to).is_none_or(|(from, to)| from <= to);
        let is_block = self.terms.rules[put.path] == Rule::AnyBlock;
        let until = sample.until.filter(|_| is_block);
        sample.valid
            && is_readable
            && from.is_none_or(|from| day(from) <= on)
            && to.is_none_or(|to| on <= day(to))
            && until.is_none_or(|until| on <= day(until))
    }

    fn owner(&self, question: Question) -> Option<&'a str> {
        let path = SAMPLES[question.path].path;
        if let Some((part, region)) = self.terms.owner
            && path.starts_with(part)
        {
            return Some(region);
        }
        let parts: Vec<&str> = path.split('/').collect();
        if matches!(parts[0], "company" | "sales" | "credit") {
            return self.founder(&format!("{}/{}/", parts[0], parts[1]));
        }
        let founder = || self.founder("");
        if !question.home || path == HOME {
            return founder();
        }
        let home = SAMPLES.iter().position(|samples| samples.path == HOME).unwrap();
        let put = self.survivor(Question { path: home, home: false, ..question }, &[]);
        put.map(text).or_else(founder)
    }

    /// The region of the first commit that wrote anything there.
    fn founder(&self, part: &str) -> Option<&'a str> {
        let there = |put: &&Put| put.is_written && SAMPLES[put.path].path.starts_with(part);
        let there = self.puts.iter().filter(there);
        let commits = there.map(|put| &self.commits[put.commit]);
        commits.min_by_key(|commit| (commit.ms, commit.log, commit.seq)).map(|first| first.region)
    }

    fn region(&self, put: &Put) -> &'a str {
        self.commits[put.commit].region
    }

    fn seen(&self, later: &Put, earlier: &Put) -> bool {
        later.commit == earlier.commit || self.supersedes(later, earlier)
    }

    /// Written by someone who had seen it.
    fn supersedes(&self, later: &Put, earlier: &Put) -> bool {
        self.commits[later.commit].saw.contains(&earlier.commit)
    }

    fn age(&self, put: &Put) -> impl Ord {
        let commit = &self.commits[put.commit];
        (commit.ms, commit.log, commit.seq, SOURCES[put.source])
    }

    fn first(&self, among: &[&'a Put]) -> Option<&'a Put> {
        among.iter().copied().min_by_key(|put| self.age(put))
    }

    fn last(&self, among: &[&'a Put]) -> Option<&'a Put> {
        let open = only(among, |put| !among.iter().any(|by| self.supersedes(by, put)));
        open.into_iter().max_by_key(|put| self.age(put))
    }

    /// The least or greatest of those that compare with the first.
    fn extreme(&self, among: &[&'a Put], sign: i32) -> Option<&'a Put> {
        let class = sample(self.first(among)?).class;
        let comparable = only(among, |put| sample(put).class == class);
        let best = comparable.iter().map(|put| sign * sample(put).rank).max();
        self.last(&only(&comparable, |put| Some(sign * sample(put).rank) == best))
    }
}

fn only<'a>(puts: &[&'a Put], which: impl Fn(&Put) -> bool) -> Vec<&'a Put> {
    puts.iter().copied().filter(|put| which(put)).collect()
}

fn first_day(put: &Put) -> Option<u8> {
    match put.says {
        Says::Value { from, .. } => from,
        Says::Tombstone | Says::Release => None,
    }
}

fn sample(put: &Put) -> &'static Sample {
    match put.says {
        Says::Value { sample, .. } => &SAMPLES[put.path].says[sample],
        Says::Tombstone | Says::Release => panic!("says no value"),
    }
}

fn text(put: &Put) -> &'static str {
    sample(put).cell
}

fn rank(put: &Put) -> usize {
    let kind = SOURCES[put.source].split('-').next().unwrap();
    KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len())
}
