//! Made-up customers of about a kilobyte each, all different, and what writes them.

use crdt_model::id::RecordId;
use crdt_model::normalize::{Context, normalize_patch};
use crdt_model::value::Value;
use serde_json::json;

use super::BenchError;
use crate::handle::Handle;
use crate::replica::event::{Precondition, Provenance, RecordWrite, WriteRequest};

/// The most customers that can be asked for.
pub const CUSTOMERS_MAX: u64 = 10_000_000;

/// Numbers that a seed decides (SplitMix64).
struct Words(u64);

impl Words {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A text of so many words of one to three syllables: it compresses as such text does.
    fn text(&mut self, words: u64) -> String {
        const SYLLABLES: [&str; 16] = [
            "ba", "ker", "to", "lin", "ma", "ru", "sen", "vi", "dor", "pel", "na", "gru", "hof",
            "es", "ti", "wal",
        ];
        let mut text = String::new();
        for word in 0..words {
            if word > 0 {
                text.push(' ');
            }
            let mut number = self.number();
            for _ in 0..=number % 3 {
                number /= 3;
                text.push_str(
                    SYLLABLES.get(usize::from(number.to_le_bytes()[0] & 15)).unwrap_or(&"o"),
                );
                number >>= 4;
            }
        }
        text
    }
}

/// The record of a customer by its number.
pub(super) fn record(number: u64) -> RecordId {
    RecordId::derive("bench", &number.to_string())
}

/// Everything about one customer: 12 attributes, about 1,000 bytes of text.
fn whole(number: u64) -> Result<RecordWrite, BenchError> {
    let words = &mut Words(number);
    let tree = json!({
        "name": { "legal": format!("{} {number} GmbH", words.text(3)) },
        "general": { "website": format!("https://customer{number}.example/") },
        "company": { "1000": { "payment_terms": "N30" } },
        "credit": { "1000": { "limit": { "amount": number % 1_000_000, "currency": "EUR" } } },
        "x": {
            "street": words.text(4), "city": words.text(2), "contact": words.text(4),
            "dunning": words.text(12), "delivery": words.text(25), "note": words.text(88),
            "segment": words.text(1), "account": format!("{:020}", words.number()),
        },
    });
    edited(number, &tree)
}

fn edited(number: u64, tree: &serde_json::Value) -> Result<RecordWrite, BenchError> {
    let edits = normalize_patch(tree, &Context::default())
        .map_err(|errors| BenchError::new("make a customer", &format!("{errors:?}")))?;
    Ok(RecordWrite {
        record: record(number),
        precondition: Precondition::None,
        edits: edits.into_iter().collect(),
        numbered: false,
    })
}

fn request(records: Vec<RecordWrite>) -> Result<WriteRequest, BenchError> {
    Ok(WriteRequest {
        source: "erp-bench"
            .parse()
            .map_err(|error| BenchError::new("name a source", &format!("{error:?}")))?,
        propose: false,
        restate: false,
        provenance: Provenance { principal: "bench".to_owned(), ..Provenance::default() },
        records,
    })
}

/// Writes these customers as a whole.
pub(super) fn all_of(numbers: std::ops::Range<u64>) -> Result<WriteRequest, BenchError> {
    request(numbers.map(whole).collect::<Result<_, _>>()?)
}

/// Changes one attribute of one customer.
pub(super) fn change(number: u64, turn: u64) -> Result<WriteRequest, BenchError> {
    let tree = json!({ "x": { "segment": format!("turn {turn}") } });
    request(vec![edited(number, &tree)?])
}

/// Whether a node shows what [`change`] said.
pub(super) fn shows_change(node: &Handle, number: u64, turn: u64) -> Result<bool, BenchError> {
    let golden = node.records().golden(&record(number));
    let golden = golden.map_err(|error| BenchError::new("read", &error))?;
    let shown = golden.iter().flat_map(|golden| &golden.attributes);
    let segment = shown.filter(|(path, _)| path.as_str() == "x/segment").flat_map(|(_, it)| it);
    let said = Value::text(format!("turn {turn}"));
    Ok(segment.filter_map(|golden| golden.value.as_deref()).any(|value| *value == said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_has_about_a_kilobyte_and_none_is_like_another() {
        let length = |number: u64| {
            let write = whole(number).unwrap();
            format!("{:?}", write.edits.iter().map(|(_, said)| said.to_cell()).collect::<Vec<_>>())
                .len()
        };
        let mean = (0..200).map(length).sum::<usize>() / 200;
        assert!((900..1_300).contains(&mean), "{mean} bytes");
        assert_ne!(whole(1).unwrap().edits, whole(2).unwrap().edits);
        assert_eq!(all_of(0..100).unwrap().records.len(), 100);
    }
}
