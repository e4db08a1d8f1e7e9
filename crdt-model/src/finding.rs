//! Findings: what is wrong with golden values that are there already, and what to do about it.
//!
//! A finding refuses nothing; faults at the door do that. It is derived and never stored, so it goes
//! away when its cause does.

use crate::id::RecordId;
use crate::path::AttributePath;

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What kind of finding it is. Stable: programs match on it.
    pub code: &'static str,
    /// The attribute where it shows.
    pub path: AttributePath,
    /// What is wrong, where, and what to do: a sentence for a clerk.
    pub text: String,
    /// The other records that it is about.
    pub about: Vec<RecordId>,
}

impl Finding {
    /// A finding about one record alone.
    #[must_use]
    pub const fn new(code: &'static str, path: AttributePath, text: String) -> Self {
        Self { code, path, text, about: Vec::new() }
    }

    /// The finding with the other records that it is about.
    #[must_use]
    pub fn about(self, about: &[RecordId]) -> Self {
        Self { about: about.to_vec(), ..self }
    }
}
