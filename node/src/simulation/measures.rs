//! What a run is measured by: who was behind for how long, what went over the wire, what clients did.
//! It judges nothing.

use std::collections::BTreeMap;

use crdt_model::id::{CommitRef, LogId};

use super::outcome::{HEALS_MAX, Heal, LinkBytes, MOMENTS_MAX, Moment, Series, Writes};
use super::plan::{Plan, pair};
use super::scenario::What;
use crate::replica::vector::Vector;

/// Points of a curve.
pub(super) const SAMPLES: u64 = 240;

/// What a heal of many is called by after its first ones.
const MORE: &str = "; and more";

/// How far each log had got when something was mended.
#[derive(Debug)]
struct OpenHeal {
    number: usize,
    frontier: BTreeMap<LogId, u64>,
}

#[derive(Debug, Default)]
pub(super) struct Measures {
    /// Of every log, the commits that clients were told of: number and time.
    written: BTreeMap<LogId, Vec<(u64, u64)>>,
    heals: Vec<Heal>,
    open: Vec<OpenHeal>,
    pub(super) writes: Writes,
    wire: BTreeMap<(usize, usize), (u64, u64)>,
    staleness: Vec<(u64, Vec<u64>)>,
    faults: BTreeMap<What, u64>,
    /// Proofs of forks that nodes took.
    forks: u64,
    timeline: Vec<Moment>,
}

impl Measures {
    pub(super) fn promised(&mut self, commit: CommitRef, now_ms: u64) {
        self.written.entry(commit.log).or_default().push((commit.seq, now_ms));
    }

    pub(super) fn sent(&mut self, from: usize, to: usize, bytes: usize) {
        let (sum, frames) = self.wire.entry(pair(from, to)).or_default();
        *sum += bytes as u64;
        *frames += 1;
    }

    pub(super) fn fired(&mut self, what: What) {
        *self.faults.entry(what).or_default() += 1;
    }

    pub(super) fn forked(&mut self) {
        self.forks += 1;
    }

    pub(super) fn tell(&mut self, moment: Moment) {
        if self.timeline.len() < MOMENTS_MAX {
            self.timeline.push(moment);
        }
    }

    /// Something was mended: from now on it is waited until everybody holds what was written before.
    pub(super) fn healed(&mut self, at_ms: u64, what: &str) {
        if self.heals.len() >= HEALS_MAX {
            return;
        }
        let frontier: BTreeMap<LogId, u64> = self
            .written
            .iter()
            .filter_map(|(log, commits)| Some((*log, commits.last()?.0)))
            .collect();
        // What is mended in one moment is one heal.
        match self.heals.last_mut().filter(|heal| heal.at_ms == at_ms) {
            Some(heal) if heal.what.ends_with(MORE) => {}
            Some(heal) if heal.what.len() > 100 => heal.what.push_str(MORE),
            Some(heal) => heal.what = format!("{}; {what}", heal.what),
            None => {
                self.open.push(OpenHeal { number: self.heals.len(), frontier });
                self.heals.push(Heal { at_ms, what: what.to_owned(), took_ms: None });
            }
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.open.is_empty()
    }

    /// Closes the heals after which all these nodes have what was written before.
    pub(super) fn compare(&mut self, now_ms: u64, nodes: &[&Vector]) {
        let heals = &mut self.heals;
        self.open.retain(|open| {
            let has_all =
                |vector: &&Vector| open.frontier.iter().all(|(log, seq)| vector.seq(log) >= *seq);
            let done = nodes.iter().all(has_all);
            if done && let Some(heal) = heals.get_mut(open.number) {
                heal.took_ms = Some(now_ms - heal.at_ms);
            }
            !done
        });
    }

    /// For how long a node has lacked something that a client elsewhere was told is done.
    pub(super) fn lag_ms(&self, now_ms: u64, held: &Vector) -> u64 {
        let oldest = |(log, commits): (&LogId, &Vec<(u64, u64)>)| {
            let seq = held.seq(log);
            let first = commits.partition_point(|(number, _)| *number <= seq);
            commits.get(first).map(|(_, at_ms)| *at_ms)
        };
        let oldest = self.written.iter().filter_map(oldest).min();
        oldest.map_or(0, |at_ms| now_ms.saturating_sub(at_ms))
    }

    pub(super) fn sample(&mut self, now_ms: u64, lags: Vec<u64>) {
        self.staleness.push((now_ms, lags));
    }

    /// The worst lag of each region's nodes over time.
    pub(super) fn series(&self, plan: &Plan) -> Vec<Series> {
        let mut regions: Vec<&str> = Vec::new();
        for place in &plan.places {
            if !regions.contains(&place.region.as_str()) {
                regions.push(place.region.as_str());
            }
        }
        let worst = |region: &str, lags: &[u64]| {
            let own = plan.places.iter().zip(lags);
            let own = own.filter(|(place, _)| place.region.as_str() == region);
            own.map(|(_, lag)| *lag).max().unwrap_or(0)
        };
        let series = |region: &str| Series {
            region: region.to_owned(),
            points: self.staleness.iter().map(|(at, lags)| (*at, worst(region, lags))).collect(),
        };
        regions.into_iter().map(series).collect()
    }

    pub(super) fn links(&self, plan: &Plan) -> Vec<LinkBytes> {
        let name = |node: usize| plan.places[node].name.clone();
        let wire = self.wire.iter();
        wire.map(|((a, b), (bytes, frames))| LinkBytes {
            a: name(*a),
            b: name(*b),
            bytes: *bytes,
            frames: *frames,
        })
        .collect()
    }

    pub(super) fn faults(&self) -> BTreeMap<String, u64> {
        let fired = self.faults.iter().map(|(what, count)| (what.to_string(), *count));
        // A liar that signed two histories, and was found out.
        let forks = (self.forks > 0).then(|| ("fork".to_owned(), self.forks));
        fired.chain(forks).collect()
    }

    pub(super) fn into_told(self) -> (Vec<Heal>, Vec<Moment>) {
        (self.heals, self.timeline)
    }
}
