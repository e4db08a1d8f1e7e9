//! Claims as a table that people read, and resolutions as lines that people compare.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::claim::{Claim, ClaimSet, Clock, Origin};
use crate::golden_record::{Candidate, LossReason, Resolution, Resolved};
use crate::id::{CommitRef, LogId};
use crate::path::AttributePath;
use crate::policy::Policy;
use crate::survivorship::resolve;
use crate::time::Hlc;
use crate::value::{Assertion, Cell, Scalar, Value};

/// Reads a table of claims. One line for each: `row | path | source | region | time | sees | says`.
///
/// `sees` are the rows that the writer had read, and with them what those writers had read. Every row
/// is a commit of its own log. `says` is a cell: `null`, `true`, a text, or a JSON object.
pub(super) fn claims(table: &str) -> ClaimSet {
    let mut claims = Vec::new();
    let mut clocks: BTreeMap<CommitRef, Clock> = BTreeMap::new();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let cells: Vec<&str> = line.splitn(7, '|').map(str::trim).collect();
        let [row, path, source, region, time, sees, says] = cells[..] else {
            panic!("not a claim: {line}")
        };
        let commit = commit(row);
        let mut clock = Clock::from([(commit.log, 1)]);
        for seen in sees.split_whitespace() {
            clock.extend(clocks[&self::commit(seen)].clone());
        }
        clocks.insert(commit, clock);
        let time = Hlc::from_ms(time.parse().unwrap());
        claims.push(Claim {
            path: path.parse().unwrap(),
            source: source.parse().unwrap(),
            assertion: Assertion::from_cell(&cell(says)),
            origin: Origin { commit, time, region: region.parse().unwrap() },
        });
    }
    ClaimSet::new(claims, clocks)
}

pub(super) fn commit(row: &str) -> CommitRef {
    CommitRef { log: LogId::from_bytes([row.parse().unwrap(); 16]), seq: 1 }
}

pub(super) fn cell(says: &str) -> Cell {
    match says {
        "null" => Cell::Null,
        "true" => Cell::Bool(true),
        "false" => Cell::Bool(false),
        text => Cell::Str(text.to_owned()),
    }
}

/// Resolves a table under the built-in policy and compares one attribute with `expected`: the winner
/// after `+`, each loser after `-` with its reason, the state after `=`. Days stand in lines of their
/// own before what begins on them.
#[track_caller]
pub(super) fn check(path: &str, table: &str, expected: &str) {
    check_under(&Policy::built_in(), path, &claims(table), expected);
}

#[track_caller]
pub(super) fn check_under(policy: &Policy, path: &str, claims: &ClaimSet, expected: &str) {
    let trimmed = expected.lines().map(str::trim).filter(|line| !line.is_empty());
    let expected: Vec<&str> = trimmed.collect();
    let actual = lines(&resolve(policy, claims), path);
    assert_eq!(actual, expected, "\n{}\n", actual.join("\n"));
}

fn lines(resolved: &Resolved, path: &str) -> Vec<String> {
    let path: AttributePath = path.parse().unwrap();
    let mut lines = Vec::new();
    for segment in resolved.attributes.get(&path).into_iter().flatten() {
        lines.extend(segment.from.map(|day: Date| day.to_string()));
        lines.extend(resolution_lines(&segment.resolution));
    }
    lines
}

fn resolution_lines(resolution: &Resolution) -> Vec<String> {
    let winner = resolution.winner.as_ref();
    let mut lines =
        vec![winner.map_or_else(|| "+ nothing".to_owned(), |c| format!("+ {}", name(c)))];
    for loser in &resolution.losers {
        lines.push(format!("- {}: {}", name(&loser.candidate), code(&loser.reason)));
    }
    lines.push(match (resolution.conflict, resolution.disagreement) {
        (true, true) => "= conflict".to_owned(),
        (false, true) => "= disagreement".to_owned(),
        (false, false) => "= agreement".to_owned(),
        (true, false) => panic!("a conflict without a disagreement"),
    });
    lines
}

fn name(candidate: &Candidate) -> String {
    let value = match candidate.value.as_deref() {
        None => "?".to_owned(),
        Some(Value::One(Scalar::Text(text))) => text.clone(),
        Some(value) => serde_json::to_string(value).unwrap().replace('"', ""),
    };
    format!("{value} {}", candidate.source)
}

fn code(reason: &LossReason) -> String {
    serde_json::to_value(reason).unwrap()["code"].as_str().unwrap().to_owned()
}
