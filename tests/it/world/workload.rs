//! What clients do: every kind of claim that the rules know, from several sources, on few customers,
//! so that they meet.

use std::collections::BTreeMap;

use crdt_model::document::Version;
use crdt_model::id::RecordId;
use crdt_model::path::AttributePath;
use crdt_model::value::{Assertion, Scalar, Statement, Value};
use node::replica::event::{
    Precondition, Provenance, RecordWrite, WriteReceipt, WriteRefusal, WriteRequest,
};

use super::numbers::Numbers;

const CUSTOMERS: u64 = 200;

pub(super) struct Workload {
    edits: usize,
    done: usize,
    /// Versions of each customer that a client has seen, the newest last.
    seen: BTreeMap<RecordId, Vec<Version>>,
}

impl Workload {
    pub(super) const fn new(edits: usize) -> Self {
        Self { edits, done: 0, seen: BTreeMap::new() }
    }

    pub(super) const fn is_done(&self) -> bool {
        self.done >= self.edits
    }

    /// A pause so that all the work is done in the time given, with some to spare.
    pub(super) fn pause_ms(&self, random: &mut Numbers, within_ms: u64) -> u64 {
        // A request has four edits, about, and some requests get no answer.
        let mean = within_ms * 5 / 2 / (self.edits as u64);
        random.below(2 * mean) + 1
    }

    pub(super) fn answered(&mut self, receipt: &WriteReceipt) {
        for record in &receipt.records {
            self.done += record.fields.len();
            let seen = self.seen.entry(record.record).or_default();
            seen.push(record.version.clone());
            if seen.len() > 8 {
                seen.remove(0);
            }
        }
    }

    pub(super) fn request(&mut self, random: &mut Numbers, region: &str) -> WriteRequest {
        let region = region.to_lowercase();
        let sources = [format!("erp-{region}"), format!("manual-{region}"), "crm".to_owned()];
        let source = if random.one_in(12) { "register".to_owned() } else { random.pick(&sources) };
        let mut records: BTreeMap<RecordId, RecordWrite> = BTreeMap::new();
        for _ in 0..=random.below(2) {
            // Some customers get more of the writes than others.
            let limit = if random.one_in(3) { CUSTOMERS / 10 } else { CUSTOMERS };
            let record = RecordId::derive("world", &random.below(limit).to_string());
            let mut edits = BTreeMap::new();
            for _ in 0..=random.below(5) {
                let (path, assertion) = edit(random);
                edits.insert(path, assertion);
            }
            let precondition = self.precondition(random, &record);
            let edits = edits.into_iter().collect();
            records.insert(record, RecordWrite { record, precondition, edits, numbered: false });
        }
        WriteRequest {
            source: source.parse().unwrap(),
            propose: false,
            restate: false,
            provenance: Provenance { principal: "client".to_owned(), ..Provenance::default() },
            records: records.into_values().collect(),
        }
    }

    fn precondition(&self, random: &mut Numbers, record: &RecordId) -> Precondition {
        match self.seen.get(record) {
            Some(seen) if random.one_in(6) => Precondition::AsOf(random.pick(seen)),
            Some(_) | None => Precondition::None,
        }
    }
}

/// Whether a refusal is a fair answer: the client saw a version elsewhere that is not here yet, or the
/// node is fetching back what a restore took.
pub(super) const fn may_be_refused(refusal: &WriteRefusal) -> bool {
    matches!(
        refusal,
        WriteRefusal::UnknownVersion { .. } | WriteRefusal::Unknown { .. } | WriteRefusal::NotReady
    )
}

fn text(text: impl Into<String>) -> Assertion {
    stated(Value::text(text))
}

fn stated(value: Value) -> Assertion {
    Assertion::Stated(Statement::plain(value))
}

fn group<const N: usize>(members: [(&str, Scalar); N]) -> Assertion {
    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
    stated(Value::Group(members.collect()))
}

const IBANS: [&str; 3] =
    ["DE89370400440532013000", "GB82WEST12345698765432", "FR1420041010050500013M02606"];

/// Kinds of edits that [`kind_of_edit`] knows.
const KINDS: usize = 13;

fn edit(random: &mut Numbers) -> (AttributePath, Assertion) {
    let kind = random.index(KINDS);
    let (path, assertion) = kind_of_edit(kind, random);
    // Sources fall silent about anything; a block or an item is rather lifted for all.
    let removal = random.below(10);
    let assertion = match (kind, removal) {
        (_, 0) => Assertion::Tombstone,
        (6.., 1..=3) => Assertion::Release { reason: "settled".to_owned() },
        _ => assertion,
    };
    (path, assertion)
}

/// One edit of each kind, with and without a removal: the test of the workload itself.
pub(crate) fn every_edit(seed: u64) -> Vec<(AttributePath, Assertion)> {
    let mut random = Numbers::new(seed);
    (0..500).map(|_| edit(&mut random)).collect()
}

fn kind_of_edit(kind: usize, random: &mut Numbers) -> (AttributePath, Assertion) {
    let number = random.below(1_000);
    let amount = i64::try_from(number * 100).unwrap();
    let word = |words: &[&str], random: &mut Numbers| text(random.pick(words));
    let segment = random.pick(&["1000", "2000"]);
    let (path, assertion) = match kind {
        0 => ("name/legal".to_owned(), text(format!("Acme {number}"))),
        1 => ("general/website".to_owned(), text(format!("https://acme{number}.example/"))),
        2 => {
            let words = ["prospect", "active", "inactive", "archived"];
            ("identity/status".to_owned(), word(&words, random))
        }
        3 => {
            let terms = word(&["N10", "N30", "N60", "N90"], random);
            (format!("company/{segment}/payment_terms"), terms)
        }
        4 => {
            let currency = random.pick(&["EUR", "EUR", "EUR", "USD"]);
            let limit = group([
                ("amount", Scalar::Int(amount)),
                ("currency", Scalar::Text(currency.to_owned())),
            ]);
            (format!("credit/{segment}/limit"), limit)
        }
        5 => {
            let mut statement = Statement::plain(Value::text(format!("s{}", number % 7)));
            statement.valid_from =
                Some(jiff::civil::date(2027, 1, 1 + i8::try_from(number % 28).unwrap()));
            ("x/segment".to_owned(), Assertion::Stated(statement))
        }
        6 | 7 => {
            let reason = Scalar::Text(format!("case {number}"));
            (format!("company/{segment}/payment_block"), group([("reason", reason)]))
        }
        8 => ("block/order".to_owned(), group([("reason", Scalar::Text("overdue".to_owned()))])),
        9 | 10 => {
            let iban = random.pick(&IBANS);
            let account = group([("iban", Scalar::Text(iban.to_owned()))]);
            (format!("bank/{iban}"), account)
        }
        11 => {
            let there = stated(Value::One(Scalar::Bool(true)));
            (format!("identity/customer_number/K{}", number % 5), there)
        }
        _ => {
            let there = stated(Value::One(Scalar::Bool(true)));
            (format!("company/{segment}/payment_methods/T"), there)
        }
    };
    (path.parse().unwrap(), assertion)
}
