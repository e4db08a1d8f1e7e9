//! Three sources disagree about one customer: what people read, and why.
//!
//! Needs no node and no network: `cargo run -p crdt-model --example survivorship`.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};

use crdt_model::claim::{Claim, ClaimSet, Clock, Origin};
use crdt_model::golden_record::GoldenRecord;
use crdt_model::id::{CommitRef, LogId, RecordId};
use crdt_model::policy::Policy;
use crdt_model::survivorship::resolve;
use crdt_model::time::Hlc;
use crdt_model::value::{Assertion, Statement, Value};
use jiff::civil::date;

const PATH: &str = "company/1000/payment_terms";

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut io::stdout())
}

pub(crate) fn run(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    // EMEA opened company code 1000. AMER read its claim and proposes longer terms; APAC was offline.
    let (emea, amer, apac) = (commit(1), commit(2), commit(3));
    let claims = ClaimSet::new(
        vec![
            claim("erp-emea", "EMEA", emea, 1_000, "NT30")?,
            claim("crm-amer", "AMER", amer, 2_000, "NT60")?,
            claim("erp-apac", "APAC", apac, 3_000, "NT30")?,
        ],
        BTreeMap::from([
            (emea, Clock::from([(emea.log, 1)])),
            (amer, Clock::from([(amer.log, 1), (emea.log, 1)])),
            (apac, Clock::from([(apac.log, 1)])),
        ]),
    );
    writeln!(out, "Claims on {PATH}:")?;
    for claim in claims.claims() {
        if let Ok(Assertion::Stated(statement)) = &claim.assertion {
            let text = statement.value.as_text().unwrap_or_default();
            writeln!(out, "  {text} of {} ({})", claim.source, claim.origin.region)?;
        }
    }

    let resolved = resolve(&Policy::built_in(), &claims);
    let golden = GoldenRecord::from_resolved(RecordId::derive("crm", "4711"), &resolved);
    writeln!(out, "\nGolden record:")?;
    for (path, golden) in golden.at(date(2026, 11, 30)) {
        let text = golden.value.as_deref().and_then(Value::as_text).unwrap_or("nothing");
        writeln!(out, "  {path} = {text}")?;
    }

    let path = PATH.parse()?;
    if let Some(resolution) = resolved.at(&path, date(2026, 11, 30)) {
        writeln!(out, "\nWhy ({}):", resolution.rule.title())?;
        for loser in &resolution.losers {
            writeln!(out, "  {}", loser.sentence(&path, resolution))?;
        }
    }
    Ok(())
}

/// The first commit of a log.
fn commit(log: u8) -> CommitRef {
    CommitRef { log: LogId::from_bytes([log; 16]), seq: 1 }
}

fn claim(
    source: &str,
    region: &str,
    commit: CommitRef,
    unix_ms: u64,
    value: &str,
) -> Result<Claim, Box<dyn Error>> {
    Ok(Claim {
        path: PATH.parse()?,
        source: source.parse()?,
        assertion: Ok(Assertion::Stated(Statement::plain(Value::text(value)))),
        origin: Origin { commit, time: Hlc::from_ms(unix_ms), region: region.parse()? },
    })
}
