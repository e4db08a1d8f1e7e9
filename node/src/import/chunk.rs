//! Rows that are posted together.

use std::collections::BTreeSet;

use serde_json::json;

use super::RowFault;
use super::customer::Customer;
use super::mapping::Mapping;
use super::rows::Row;

/// The most rows of a chunk.
const ROWS_MAX: usize = 500;
/// The bytes at which a chunk is closed; a row more fits what a node takes in one request.
const BYTES_MAX: usize = 4 << 20;

/// A row that waits for its verdict.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) raw: Vec<u8>,
    pub(super) is_whole: bool,
    pub(super) texts: Vec<String>,
    /// What is wrong with it, when that is known before it is posted: then it is not.
    pub(super) faults: Option<Vec<RowFault>>,
}

/// Rows in the order of the input, and the lines for those that can be posted.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) rows: Vec<Waiting>,
    /// How much of the input was read up to its last row.
    pub(super) bytes: u64,
    body: Vec<u8>,
    keys: BTreeSet<String>,
    sent: usize,
    held: usize,
}

impl Chunk {
    pub(super) fn add(
        &mut self,
        row: Row,
        customer: Result<Customer, Vec<RowFault>>,
        mapping: &Mapping,
    ) {
        let faults = match customer {
            Ok(customer) => {
                let mut line = json!({
                    "key": {"system": mapping.key_system, "value": customer.key},
                    "customer": customer.tree,
                });
                if let Some(country) = customer.default_country {
                    line["default_country"] = country.into();
                }
                self.body.extend_from_slice(line.to_string().as_bytes());
                self.body.push(b'\n');
                self.keys.insert(customer.key);
                self.sent += 1;
                None
            }
            Err(faults) => Some(faults),
        };
        self.held += row.raw.len();
        let Row { raw, is_whole, texts } = row;
        self.rows.push(Waiting { raw, is_whole, texts: texts.unwrap_or_default(), faults });
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) const fn is_full(&self) -> bool {
        self.rows.len() >= ROWS_MAX || self.body.len() >= BYTES_MAX || self.held >= BYTES_MAX
    }

    /// How many of its rows are posted.
    pub(super) const fn sent(&self) -> usize {
        self.sent
    }

    /// The lines to post; none when every row was rejected before.
    pub(super) fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }

    pub(super) fn shares_a_customer(&self, other: &Self) -> bool {
        !self.keys.is_disjoint(&other.keys)
    }
}
