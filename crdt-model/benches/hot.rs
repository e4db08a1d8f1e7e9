//! What each change of a customer costs in the model: made, judged, read back, resolved, written.
//!
//! `cargo bench -p crdt-model --bench hot`. A customer here has 12 attributes and about a kilobyte.

use std::error::Error;

use crdt_model::document::{Author, ClaimEdit, CustomerDocument};
use crdt_model::golden_record::GoldenRecord;
use crdt_model::id::{CommitRef, LogId, RecordId};
use crdt_model::policy::Policy;
use crdt_model::survivorship::resolve;
use crdt_model::time::Hlc;
use crdt_model::value::{Assertion, Statement, Value};
use divan::{Bencher, black_box};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Edits that a record had before one more is judged.
const HISTORIES: [u64; 4] = [1, 10, 100, 1_000];

fn main() {
    divan::main();
}

struct Scene {
    author: Author,
    edits: Vec<ClaimEdit>,
    /// The change that makes the customer.
    change: Vec<u8>,
    document: CustomerDocument,
}

fn author(seq: u64) -> Result<Author, Box<dyn Error>> {
    Ok(Author {
        commit: CommitRef { log: LogId::from_bytes([7; 16]), seq },
        time: Hlc::from_ms(1_700_000_000_000 + seq),
        region: "EMEA".parse()?,
    })
}

fn edit(key: &str, text: &str) -> Result<ClaimEdit, Box<dyn Error>> {
    let assertion = Assertion::Stated(Statement::plain(Value::text(text)));
    Ok(ClaimEdit { key: key.parse()?, assertion })
}

/// A customer that nobody has changed yet.
fn scene() -> Result<Scene, Box<dyn Error>> {
    let mut edits = vec![
        edit("name/legal@erp-emea", "Vinahof Gru Dorlinwal GmbH")?,
        edit("general/website@erp-emea", "https://www.example.com/")?,
        edit("company/1000/payment_terms@erp-emea", "NT30")?,
        edit("company/1000/recon_account@erp-emea", "140000")?,
    ];
    for number in 0..8 {
        edits.push(edit(&format!("x/own{number}@erp-emea"), &"kerto lindor ".repeat(8))?);
    }
    let author = author(1)?;
    let empty = CustomerDocument::empty();
    let change = empty.propose(&author, &edits, None)?.ok_or("nothing to write")?;
    let document = empty.admit(&author, &change)?;
    Ok(Scene { author, edits, change, document })
}

/// A customer that was edited so often, and the next change.
fn edited(edits: u64) -> Result<(CustomerDocument, Author, Vec<u8>), Box<dyn Error>> {
    let mut document = scene()?.document;
    for seq in 2..=edits {
        let author = author(seq)?;
        let edit = edit("x/own0@erp-emea", &format!("turn {seq}"))?;
        let change = document.propose(&author, &[edit], None)?.ok_or("nothing to write")?;
        document = document.admit(&author, &change)?;
    }
    let author = author(edits + 1)?;
    let change = document.propose(&author, &[edit("x/own0@erp-emea", "last")?], None)?;
    Ok((document, author, change.ok_or("nothing to write")?))
}

#[divan::bench]
fn make_a_customer(bencher: Bencher<'_, '_>) {
    let Ok(scene) = scene() else { return };
    let empty = CustomerDocument::empty();
    bencher.bench(|| empty.propose(&scene.author, black_box(&scene.edits), None));
}

#[divan::bench]
fn judge_a_customer(bencher: Bencher<'_, '_>) {
    let Ok(scene) = scene() else { return };
    let empty = CustomerDocument::empty();
    bencher.bench(|| empty.admit(&scene.author, black_box(&scene.change)));
}

#[divan::bench(args = HISTORIES)]
fn judge_an_edit(bencher: Bencher<'_, '_>, edits: u64) {
    let Ok((document, author, change)) = edited(edits) else { return };
    bencher.bench(|| document.admit(&author, black_box(&change)));
}

#[divan::bench(args = HISTORIES)]
fn load_a_document(bencher: Bencher<'_, '_>, edits: u64) {
    let Ok((document, ..)) = edited(edits) else { return };
    let bytes = document.save();
    bencher.bench(|| CustomerDocument::load(black_box(&bytes)));
}

#[divan::bench]
fn read_the_claims(bencher: Bencher<'_, '_>) {
    let Ok(scene) = scene() else { return };
    bencher.bench(|| black_box(&scene.document).claims());
}

#[divan::bench]
fn resolve_the_claims(bencher: Bencher<'_, '_>) {
    let Ok(scene) = scene() else { return };
    let (policy, claims) = (Policy::built_in(), scene.document.claims());
    bencher.bench(|| resolve(&policy, black_box(&claims)));
}

#[divan::bench]
fn write_the_golden_record(bencher: Bencher<'_, '_>) {
    let Ok(scene) = scene() else { return };
    let resolved = resolve(&Policy::built_in(), &scene.document.claims());
    let record = RecordId::derive("bench", "1");
    bencher.bench(|| GoldenRecord::from_resolved(record, black_box(&resolved)).to_bytes());
}
