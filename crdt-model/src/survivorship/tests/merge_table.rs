//! The merge table of the domain, as data: `merge_table.txt` says what must survive in every row, and
//! nothing in it was printed by the code.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::date;

use super::scenario::cell;
use crate::attribute;
use crate::claim::{Claim, ClaimSet, Clock, Origin};
use crate::id::{CommitRef, LogId, RecordKind, SourceName};
use crate::path::AttributePath;
use crate::policy::Policy;
use crate::survivorship::resolve;
use crate::time::Hlc;
use crate::value::{Assertion, Statement, Value};

const TABLE: &str = include_str!("merge_table.txt");
/// The rows of the domain's table.
const ROWS: u8 = 75;
/// The row number of attributes that customers define, which the domain's table does not list.
const DEFINED: u8 = 0;

struct Case {
    line: &'static str,
    row: u8,
    path: AttributePath,
    claims: ClaimSet,
    /// The value that people must read.
    survivor: Option<Value>,
    conflict: bool,
}

fn lines() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| (line, line.split(" | ").map(str::trim).collect()))
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (line, columns) in lines() {
        match columns[..] {
            [_, _, _, _, _, _] => cases.push(case(line, &columns)),
            [_, "later" | "differs", _] => {}
            _ => panic!("not a row: {line}"),
        }
    }
    cases
}

fn case(line: &'static str, columns: &[&str]) -> Case {
    let [row, path, how, written, survivor, conflict] = *columns else {
        panic!("not a case: {line}")
    };
    let is_apart = word(line, how, "apart", "sequential");
    let path: AttributePath = path.parse().unwrap();
    let said: Vec<(&str, &str)> =
        written.split(" ; ").map(|claim| claim.split_once('=').expect(line)).collect();
    let value = (survivor != "nothing").then(|| {
        let (_, says) = said.iter().rfind(|(source, _)| *source == survivor).expect(line);
        match assertion(says) {
            Assertion::Stated(Statement { value, .. }) => Value::clone(&value),
            Assertion::Tombstone | Assertion::Release { .. } => panic!("no value: {line}"),
        }
    });
    Case {
        line,
        row: row.parse().expect(line),
        claims: claims(&path, &said, is_apart),
        path,
        survivor: value,
        conflict: word(line, conflict, "yes", "no"),
    }
}

fn word(line: &str, said: &str, yes: &str, no: &str) -> bool {
    assert!(said == yes || said == no, "{said} is neither {yes} nor {no}: {line}");
    said == yes
}

fn assertion(says: &str) -> Assertion {
    match says.strip_prefix("release:") {
        Some(reason) => Assertion::Release { reason: reason.to_owned() },
        None => Assertion::from_cell(&cell(says)).unwrap(),
    }
}

/// The account, address or tax id that a path belongs to: without it the row would have no answer.
fn item(path: &AttributePath) -> Option<Claim> {
    let says = match attribute::lookup(path)?.item_of(path)? {
        "address/hq" => r#"{"country":"DE"}"#,
        "tax_id/DE:VAT:DE136695976" => r#"{"country":"DE","number":"DE136695976","type":"VAT"}"#,
        "bank/DE89370400440532013000" => r#"{"iban":"DE89370400440532013000"}"#,
        other => panic!("no item {other}"),
    };
    let path = attribute::lookup(path)?.item_of(path)?.parse().unwrap();
    let origin = Origin {
        commit: CommitRef { log: LogId::from_bytes([0; 16]), seq: 1 },
        time: Hlc::from_ms(0),
        region: "EMEA".parse().unwrap(),
    };
    let source = "erp".parse().unwrap();
    Some(Claim { path, source, assertion: Ok(assertion(says)), origin })
}

/// The claims as they stand after the last one. Every claim is a commit of its own log; a source that
/// had seen its own claim replaced it.
fn claims(path: &AttributePath, said: &[(&str, &str)], is_apart: bool) -> ClaimSet {
    let mut claims: Vec<Claim> = Vec::new();
    let mut clocks: BTreeMap<CommitRef, Clock> = BTreeMap::new();
    let mut seen = Clock::new();
    let mut founders = BTreeMap::new();
    for (number, (name, says)) in (1_u8..).zip(said) {
        let source: SourceName = name.parse().unwrap();
        let region = name.rsplit_once('-').unwrap().1.to_uppercase();
        let commit = CommitRef { log: LogId::from_bytes([number; 16]), seq: 1 };
        let time = Hlc::from_ms(u64::from(number) * 10);
        let origin = Origin { commit, time, region: region.parse().unwrap() };
        if is_apart {
            seen.clear();
        } else {
            claims.retain(|claim| claim.source != source);
        }
        seen.insert(commit.log, 1);
        clocks.insert(commit, seen.clone());
        for scope in [None, crate::claim::scope(path)] {
            founders.entry(scope.map(str::to_owned)).or_insert_with(|| origin.clone());
        }
        let assertion = Ok(assertion(says));
        if let Some(item) = item(path) {
            claims.push(Claim { origin: origin.clone(), source: source.clone(), ..item });
        }
        claims.push(Claim { path: path.clone(), source, assertion, origin });
    }
    ClaimSet::new(claims, clocks).with_founders(founders)
}

#[test]
fn every_row_of_the_merge_table_holds() {
    let mut wrong = Vec::new();
    for case in cases() {
        let resolved = resolve(&Policy::built_in(), &case.claims);
        let resolution = resolved.at(&case.path, date(2026, 6, 1));
        let winner = resolution.and_then(|resolution| resolution.winner.as_ref());
        let value = winner.and_then(|winner| winner.value.as_deref().cloned());
        let conflict = resolution.is_some_and(|resolution| resolution.conflict);
        if value != case.survivor || conflict != case.conflict {
            let source = winner.map_or("nothing", |winner| winner.source.as_str());
            wrong.push(format!("{}\n    is {source}, conflict {conflict}", case.line));
        }
        let reasons = resolution.into_iter().flat_map(|resolution| &resolution.losers);
        for loser in reasons {
            let code = serde_json::to_string(&loser.reason).unwrap();
            assert!(!code.contains("invalid"), "{}\n{code}", case.line);
        }
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_attribute_that_customers_carry_has_a_row() {
    let covered: BTreeSet<&str> =
        cases().iter().map(|case| attribute::lookup(&case.path).unwrap().pattern).collect();
    let missing: Vec<&str> = attribute::table()
        .iter()
        .filter(|row| row.record_kind() == RecordKind::Customer)
        .map(|row| row.pattern)
        .filter(|pattern| !covered.contains(pattern))
        .collect();
    assert!(missing.is_empty(), "without a row: {}", missing.join(", "));
}

#[test]
fn every_row_of_the_domain_is_tried_or_put_off_with_a_reason() {
    let rows: BTreeSet<u8> =
        lines().map(|(line, columns)| columns[0].parse().expect(line)).collect();
    assert_eq!(rows, (DEFINED..=ROWS).collect());
}

#[test]
fn every_attribute_is_written_by_two_and_by_three_sources_in_order_and_apart() {
    let mut ways: BTreeMap<&str, BTreeSet<(usize, bool)>> = BTreeMap::new();
    for case in cases() {
        let pattern = attribute::lookup(&case.path).unwrap().pattern;
        let sources: BTreeSet<_> = case.claims.claims().iter().map(|c| &c.source).collect();
        let is_apart = case.line.contains("| apart |");
        ways.entry(pattern).or_default().insert((sources.len(), is_apart));
        assert!(case.row <= ROWS, "{}", case.line);
    }
    for (pattern, ways) in ways {
        for way in [(2, false), (2, true), (3, false), (3, true)] {
            assert!(ways.contains(&way), "{pattern} is not written by {way:?}");
        }
    }
}
