//! What clients do: every kind of claim that the rules know, from several sources, on few customers,
//! so that they meet.

use std::collections::BTreeMap;

use crdt_model::document::Version;
use crdt_model::id::{RecordId, Region, SourceName};
use crdt_model::path::AttributePath;
use crdt_model::value::{Assertion, Scalar, Statement, Value};

use super::numbers::Numbers;
use crate::replica::event::{Precondition, Provenance, RecordWrite, WriteReceipt, WriteRequest};

/// Versions of a customer that clients remember.
const VERSIONS: usize = 8;

/// The clients of a world.
#[derive(Debug, Default)]
pub(super) struct Workload {
    /// Versions of each customer that a client has seen, the newest last.
    seen: BTreeMap<RecordId, Vec<Version>>,
}

impl Workload {
    /// Remembers what a client was answered.
    pub(super) fn answered(&mut self, receipt: &WriteReceipt) {
        for record in &receipt.records {
            let seen = self.seen.entry(record.record).or_default();
            seen.push(record.version.clone());
            let over = seen.len().saturating_sub(VERSIONS);
            seen.drain(..over);
        }
    }

    /// A write about up to `count` of the customers below `customers`; none when the region has no name
    /// that a source can have.
    pub(super) fn request(
        &self,
        seed: u64,
        region: &Region,
        count: u64,
        customers: u64,
    ) -> Option<WriteRequest> {
        let random = &mut Numbers::new(seed);
        let mut records: BTreeMap<RecordId, RecordWrite> = BTreeMap::new();
        for _ in 0..random.within(1, count) {
            // Some customers get more of the writes than others.
            let limit = if random.one_in(3) { customers.div_ceil(10) } else { customers };
            let record = RecordId::derive("world", &random.below(limit).to_string());
            let drawn = (0..=random.below(5)).filter_map(|_| edit(random));
            let edits: BTreeMap<AttributePath, Assertion> = drawn.collect();
            let precondition = self.precondition(random, &record);
            let edits = edits.into_iter().collect();
            records.insert(record, RecordWrite { record, precondition, edits, numbered: false });
        }
        Some(WriteRequest {
            source: source(random, region)?,
            propose: false,
            restate: false,
            // A client that gets no answer asks again with the same id.
            provenance: Provenance {
                principal: "client".to_owned(),
                request: format!("{seed:016x}"),
                ..Provenance::default()
            },
            records: records.into_values().collect(),
        })
    }

    fn precondition(&self, random: &mut Numbers, record: &RecordId) -> Precondition {
        match self.seen.get(record) {
            Some(seen) if random.one_in(6) => {
                random.pick(seen).cloned().map_or(Precondition::None, Precondition::AsOf)
            }
            Some(_) | None => Precondition::None,
        }
    }
}

fn source(random: &mut Numbers, region: &Region) -> Option<SourceName> {
    let region = region.as_str().to_lowercase();
    let own = ["erp", "manual"].map(|kind| format!("{kind}-{region}"));
    let name = match random.below(12) {
        0 => "register",
        1..=4 => "crm",
        5..=8 => &own[0],
        _ => &own[1],
    };
    name.parse().ok()
}

fn stated(value: Value) -> Assertion {
    Assertion::Stated(Statement::plain(value))
}

fn text(text: impl Into<String>) -> Assertion {
    stated(Value::text(text))
}

fn there() -> Assertion {
    stated(Value::One(Scalar::Bool(true)))
}

fn group<const N: usize>(members: [(&str, Scalar); N]) -> Assertion {
    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
    stated(Value::Group(members.collect()))
}

const IBANS: [&str; 3] =
    ["DE89370400440532013000", "GB82WEST12345698765432", "FR1420041010050500013M02606"];

/// Kinds of edits that [`kind_of_edit`] knows.
const KINDS: u64 = 13;

/// An edit of an attribute of the table, valid by it.
pub(super) fn edit(random: &mut Numbers) -> Option<(AttributePath, Assertion)> {
    let kind = random.below(KINDS);
    let (path, assertion) = kind_of_edit(kind, random);
    // Sources fall silent about anything; a block or an item is rather lifted for all.
    let removal = random.below(10);
    let assertion = match (kind, removal) {
        (_, 0) => Assertion::Tombstone,
        (6.., 1..=3) => Assertion::Release { reason: "settled".to_owned() },
        _ => assertion,
    };
    Some((path.parse().ok()?, assertion))
}

fn one_of(random: &mut Numbers, words: &[&'static str]) -> &'static str {
    random.pick(words).copied().unwrap_or_default()
}

fn kind_of_edit(kind: u64, random: &mut Numbers) -> (String, Assertion) {
    let number = random.below(1_000);
    let segment = one_of(random, &["1000", "2000"]);
    match kind {
        0 => ("name/legal".to_owned(), text(format!("Acme {number}"))),
        1 => ("general/website".to_owned(), text(format!("https://acme{number}.example/"))),
        2 => {
            let words = ["prospect", "active", "inactive", "archived"];
            ("identity/status".to_owned(), text(one_of(random, &words)))
        }
        3 => {
            let terms = one_of(random, &["N10", "N30", "N60", "N90"]);
            (format!("company/{segment}/payment_terms"), text(terms))
        }
        4 => {
            let currency = one_of(random, &["EUR", "EUR", "EUR", "USD"]);
            let amount = i64::try_from(number * 100).unwrap_or(0);
            let limit = group([
                ("amount", Scalar::Int(amount)),
                ("currency", Scalar::Text(currency.to_owned())),
            ]);
            (format!("credit/{segment}/limit"), limit)
        }
        5 => {
            let mut statement = Statement::plain(Value::text(format!("s{}", number % 7)));
            let day = 1 + i8::try_from(number % 28).unwrap_or(0);
            statement.valid_from = jiff::civil::Date::new(2027, 1, day).ok();
            ("x/segment".to_owned(), Assertion::Stated(statement))
        }
        6 | 7 => {
            let reason = Scalar::Text(format!("case {number}"));
            (format!("company/{segment}/payment_block"), group([("reason", reason)]))
        }
        8 => ("block/order".to_owned(), group([("reason", Scalar::Text("overdue".to_owned()))])),
        9 | 10 => {
            let iban = one_of(random, &IBANS);
            let account = group([("iban", Scalar::Text(iban.to_owned()))]);
            (format!("bank/{iban}"), account)
        }
        11 => (format!("identity/customer_number/K{}", number % 5), there()),
        _ => (format!("company/{segment}/payment_methods/T"), there()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_write_keeps_to_the_attribute_table() {
        let mut random = Numbers::new(1);
        for _ in 0..500 {
            let (path, assertion) = edit(&mut random).unwrap();
            let attribute = crdt_model::attribute::lookup(&path).unwrap();
            assert_eq!(attribute.check(&path, &assertion), Ok(()), "{path} {assertion:?}");
        }
    }
}
