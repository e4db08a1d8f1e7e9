//! Changes of a record with a true checksum: judged, never a panic; what is taken leaves a document that
//! can be stored and loaded.
#![no_main]

use crdt_model::document::hostile::with_valid_checksum;
use crdt_model::document::{Author, ClaimEdit, CustomerDocument};
use crdt_model::id::{CommitRef, LogId};
use crdt_model::time::Hlc;
use crdt_model::value::{Assertion, Statement, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let author = author(2);
    let document = document();
    if let Ok(after) = document.admit(&author, &with_valid_checksum(bytes)) {
        assert!(CustomerDocument::load(&after.save()).is_ok());
        drop(after.claims());
    }
});

fn author(log: u8) -> Author {
    Author {
        commit: CommitRef { log: LogId::from_bytes([log; 16]), seq: 1 },
        time: Hlc::from_u64(1_800_000_000_000 << 20).expect("a time"),
        region: "EMEA".parse().expect("a region"),
    }
}

/// A document with two claims.
fn document() -> CustomerDocument {
    let edit = |path: &str| {
        let said = Assertion::Stated(Statement::plain(Value::text("Acme")));
        ClaimEdit::new(path.parse().expect("a path"), "erp".parse().expect("a source"), said)
    };
    let empty = CustomerDocument::empty();
    let edits = [edit("name/legal"), edit("general/website")];
    let change = empty.propose(&author(1), &edits, None).expect("a change").expect("edits");
    empty.admit(&author(1), &change).expect("an honest change")
}
