//! The policy: which rule decides which attribute. Data, never code that reads the world.

use serde::{Deserialize, Serialize};

/// A survivorship rule: how the surviving value of an attribute is chosen among the live claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The claim that had seen the others; among claims made apart, the latest.
    LastWriter,
    /// The source that ranks highest; among equals, the last writer.
    SourcePriority,
    /// Only claims of the owner region take part; among them, the last writer.
    Owner,
    /// The item belongs to the set while any source claims it.
    AddWins,
    /// The least value: dates as days, money as an amount, `false` before `true`.
    Least,
    /// The greatest value: the most conservative word of a ranked list.
    Greatest,
    /// The owner region's least value; without one, the least of all.
    OwnerElseLeast,
    /// Blocked while any block stands that no release had seen.
    AnyBlock,
}
