//! A catalogue of hostile changes for test suites: what is known to hurt Automerge, each with a valid
//! checksum unless that is the point, and the code that it must be refused with.
//!
//! Built only with the feature `hostile`. Not a fuzzer: each entry is one attack that has a name.

use automerge::{Change, ExpandedChange};

use super::{Author, ClaimEdit, CustomerDocument, QuarantineCode};
use crate::value::{Assertion, Statement, Value};

mod bytes;
mod operations;
mod raw;

pub use self::raw::with_valid_checksum;

/// One attack.
#[derive(Debug, Clone, Copy)]
pub struct HostileChange {
    /// What it is, as a name for a test.
    pub name: &'static str,
    /// The code that it is refused with.
    pub code: QuarantineCode,
    build: fn(&Scene<'_>) -> Option<Vec<u8>>,
}

impl HostileChange {
    /// The bytes of the attack.
    ///
    /// The document must hold claims under two keys or more, and `author` must not have written on it.
    /// Empty when the document does not allow the attack.
    #[must_use]
    pub fn bytes(&self, author: &Author, document: &CustomerDocument) -> Vec<u8> {
        (self.build)(&Scene { author, document }).unwrap_or_default()
    }
}

/// Every attack of the catalogue.
#[must_use]
pub fn catalogue() -> Vec<HostileChange> {
    [bytes::ATTACKS, operations::ATTACKS].concat()
}

const fn attack(
    name: &'static str,
    code: QuarantineCode,
    build: fn(&Scene<'_>) -> Option<Vec<u8>>,
) -> HostileChange {
    HostileChange { name, code, build }
}

/// What an attack is built from.
struct Scene<'a> {
    author: &'a Author,
    document: &'a CustomerDocument,
}

impl Scene<'_> {
    /// The bytes of an honest change of two claims.
    fn honest(&self) -> Option<Vec<u8>> {
        let edits = ["x/hostile/one@manual", "x/hostile/two@manual"].map(|key| {
            let assertion = Assertion::Stated(Statement::plain(Value::text("harmless")));
            key.parse().map(|key| ClaimEdit { key, assertion }).ok()
        });
        let edits: Vec<ClaimEdit> = edits.into_iter().collect::<Option<_>>()?;
        self.document.propose(self.author, &edits, None).ok()?
    }

    /// An honest change that was altered before it was encoded.
    fn expanded(&self, alter: impl FnOnce(&mut ExpandedChange) -> Option<()>) -> Option<Vec<u8>> {
        let mut expanded = Change::try_from(self.honest()?.as_slice()).ok()?.decode();
        alter(&mut expanded)?;
        Some(Change::from(expanded).raw_bytes().to_vec())
    }

    /// An honest change that was altered after it was encoded.
    fn raw(&self, alter: impl FnOnce(&mut raw::RawChange) -> Option<()>) -> Option<Vec<u8>> {
        let mut raw = raw::RawChange::read(&self.honest()?)?;
        alter(&mut raw)?;
        Some(raw.to_bytes())
    }
}
