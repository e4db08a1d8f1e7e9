//! How long it takes to resolve one customer: 5 sources of 3 regions on each of 60 attributes.
//!
//! `cargo bench -p crdt-model` prints the median and the 99th percentile of resolving alone, and of
//! resolving and writing the golden record. It measures and judges nothing.

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use crdt_model::attribute;
use crdt_model::claim::{Claim, ClaimSet, Clock, Origin};
use crdt_model::golden_record::GoldenRecord;
use crdt_model::id::{CommitRef, LogId, RecordId};
use crdt_model::policy::Policy;
use crdt_model::survivorship::resolve;
use crdt_model::time::Hlc;
use crdt_model::value::{Assertion, Cell};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sources and the regions in which they write.
const SOURCES: [(&str, &str); 5] = [
    ("register-de", "EMEA"),
    ("erp-emea", "EMEA"),
    ("erp-amer", "AMER"),
    ("crm-amer", "AMER"),
    ("web-apac", "APAC"),
];
const ATTRIBUTES: usize = 60;
const WARM_UP: usize = 2_000;
const RUNS: usize = 20_000;
const SPINS: u64 = 60_000;

/// An attribute and three values that sources may state.
type Listed = (String, Says);
type Says = [&'static str; 3];
type Names = &'static [(&'static str, Says)];

const CODES: [&str; 3] = ["A1", "B2", "C3"];

/// What belongs to the customer as a whole.
const OF_CUSTOMER: [(&str, Says); 20] = [
    ("identity/home_region", ["EMEA", "EMEA", "EMEA"]),
    ("identity/party_kind", ["organisation", "organisation", "person"]),
    ("identity/account_group", CODES),
    ("identity/status", ["active", "prospect", "inactive"]),
    ("name/legal", ["ACME GmbH", "Acme", "ACME Inc"]),
    ("name/local", [r#"{"name":"ACME"}"#, r#"{"name":"Acme"}"#, r#"{"name":"ACME Inc"}"#]),
    ("general/legal_form", ["2HBR", "6QQB", "8888"]),
    ("general/language", ["de", "en", "fr"]),
    ("general/website", ["https://a.example", "https://b.example", "https://c.example"]),
    ("general/preferred_channel", ["email", "phone", "post"]),
    ("identifier/duns", ["150483782", "060704780", "001368083"]),
    (
        "address/hq",
        [
            r#"{"city":"Hamburg","country":"DE","house_number":"1","postcode":"20095","street":"Ballindamm"}"#,
            r#"{"city":"Hamburg","country":"DE","postcode":"20095"}"#,
            r#"{"city":"Hamburg","country":"DE","valid_from":"2027-01-01"}"#,
        ],
    ),
    ("address/hq/usage/bill-to", ["", "", ""]),
    ("email/ann%40acme.example", [r#"{"address":"ann@acme.example"}"#; 3]),
    ("phone/%2B4940123456", [r#"{"number":"+4940123456"}"#; 3]),
    ("bank/DE89370400440532013000", [r#"{"holder":"ACME","iban":"DE89370400440532013000"}"#; 3]),
    ("bank/DE89370400440532013000/verification", ["verified", "pending", "verified"]),
    (
        "consent/marketing",
        [r#"{"state":"granted"}"#, r#"{"state":"withdrawn"}"#, r#"{"state":"granted"}"#],
    ),
    ("compliance/sanctions", ["clear", "clear", "hit"]),
    ("x/fleet", ["12 trucks", "14 trucks", "15 trucks"]),
];

const OF_COMPANY: [(&str, Says); 10] = [
    ("recon_account", CODES),
    ("payment_terms", CODES),
    ("dunning_procedure", CODES),
    ("dunning_area", CODES),
    ("dunning_clerk", CODES),
    ("interest", CODES),
    ("tolerance", CODES),
    ("sort_key", CODES),
    ("planning_group", CODES),
    (
        "payment_block",
        [r#"{"reason":"dispute"}"#, r#"{"reason":"fraud"}"#, r#"{"reason":"dispute"}"#],
    ),
];

const OF_SALES_AREA: [(&str, Says); 5] = [
    ("price_group", CODES),
    ("price_list", CODES),
    ("shipping_condition", CODES),
    ("delivering_plant", CODES),
    ("sales_terms", CODES),
];

const OF_SEGMENT: [(&str, Says); 5] = [
    (
        "limit",
        [
            r#"{"amount":500000,"currency":"EUR"}"#,
            r#"{"amount":300000,"currency":"EUR"}"#,
            r#"{"amount":100000,"currency":"USD"}"#,
        ],
    ),
    ("risk_class", ["low", "medium", "high"]),
    ("score", ["250", "700", "512.5"]),
    ("check_rule", CODES),
    ("block", [r#"{"reason":"limit"}"#; 3]),
];

/// What a customer with two company codes, two sales areas and two credit segments has.
fn attributes() -> Vec<Listed> {
    let mut listed: Vec<Listed> = Vec::new();
    listed.extend(OF_CUSTOMER.map(|(path, says)| (path.to_owned(), says)));
    let parts: [([&str; 2], Names); 3] = [
        (["company/1000", "company/2000"], &OF_COMPANY),
        (["sales/1000:10:00", "sales/2000:10:00"], &OF_SALES_AREA),
        (["credit/EU01", "credit/US01"], &OF_SEGMENT),
    ];
    for (scopes, attributes) in parts {
        for scope in scopes {
            let of = attributes.iter().map(|(name, says)| (format!("{scope}/{name}"), *says));
            listed.extend(of);
        }
    }
    listed
}

/// Every source states every attribute. The first three had seen each other in turn; the last two
/// wrote apart from everyone.
fn claims() -> Result<ClaimSet, Box<dyn Error>> {
    let attributes = attributes();
    if attributes.len() != ATTRIBUTES {
        return Err(format!("{} attributes are listed", attributes.len()).into());
    }
    let mut claims = Vec::new();
    let mut clocks: BTreeMap<CommitRef, Clock> = BTreeMap::new();
    let mut seen = Clock::new();
    for (number, (source, region)) in (1_u8..).zip(SOURCES) {
        let commit = CommitRef { log: LogId::from_bytes([number; 16]), seq: 1 };
        if number <= 3 {
            seen.insert(commit.log, 1);
            clocks.insert(commit, seen.clone());
        } else {
            clocks.insert(commit, Clock::from([(commit.log, 1)]));
        }
        for (path, says) in &attributes {
            let text = says[usize::from(number) % says.len()];
            let cell = match text {
                "" => Cell::Bool(true),
                text => Cell::Str(text.to_owned()),
            };
            claims.push(Claim {
                path: path.parse()?,
                source: source.parse()?,
                assertion: Assertion::from_cell(&cell),
                origin: Origin {
                    commit,
                    time: Hlc::from_ms(1_796_040_000_000 + u64::from(number)),
                    region: region.parse()?,
                },
            });
        }
    }
    for claim in &claims {
        let attribute = attribute::lookup(&claim.path).ok_or("an attribute is unknown")?;
        if let Ok(assertion) = &claim.assertion {
            attribute.check(&claim.path, assertion).map_err(|fault| fault.text)?;
        }
    }
    Ok(ClaimSet::new(claims, clocks))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures the time of this machine")]
fn now() -> Instant {
    Instant::now()
}

/// What `run` gives is taken down after its time was taken: that is its caller's work.
fn measure<T>(name: &str, mut run: impl FnMut() -> T) -> io::Result<()> {
    (0..WARM_UP).for_each(|_| drop(black_box(run())));
    let mut took: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = now();
            let made = black_box(run());
            let took = start.elapsed();
            drop(made);
            took
        })
        .collect();
    took.sort();
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
    writeln!(
        io::stdout(),
        "{name}: p50 {:.1} us, p99 {:.1} us, least {:.1} us",
        micros(at(50)),
        micros(at(99)),
        micros(at(0))
    )
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn main() -> Result<(), Box<dyn Error>> {
    let claims = claims()?;
    let policy = Policy::built_in();
    let record = RecordId::derive("bench", "1");
    let golden = GoldenRecord::from_resolved(record, &resolve(&policy, &claims));
    let digest = blake3::hash(&golden.to_bytes());
    writeln!(
        io::stdout(),
        "{} claims, {} bytes of golden record, {digest}",
        claims.claims().len(),
        golden.to_bytes().len()
    )?;
    // Arithmetic that takes about as long and touches no memory: what the machine adds to its tail, it
    // adds to all others.
    measure("counting alone", || {
        (0..SPINS).fold(1_u64, |sum, n| black_box(sum.rotate_left(5) ^ n))
    })?;
    measure("resolve", || resolve(black_box(&policy), black_box(&claims)))?;
    measure("resolve and write", || {
        let resolved = resolve(black_box(&policy), black_box(&claims));
        GoldenRecord::from_resolved(record, &resolved).to_bytes()
    })?;
    Ok(())
}
