//! Mutated texts that people bring: policies, mappings and files of customers. Whatever is in them, it
//! is taken or refused with a sentence, and what is taken can be carried out.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use crdt_model::policy::{CompiledChecks, Policy, bundle};
use crdt_model::survivorship::resolve;
use node::import::{Mapping, Options, import};

use super::changes::customers;
use super::mutator::mutated_text;
use super::scene::record;
use crate::numbers::Numbers;

/// Rows of a file of customers that are altered: enough to fill a chunk and to go on.
const ROWS: usize = 12;

fn example(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples");
    fs::read_to_string(root.join(path)).unwrap()
}

/// Reads so many mutated policies; each that can be read is checked, written, and resolves a record.
pub(crate) fn policies(seed: u64, cases: u64, case: &Cell<u64>) {
    let mut numbers = Numbers::new(seed);
    let scene = customers(1);
    let claims = scene.records(0).document(&record(1)).unwrap().unwrap().claims();
    let corpus = [example("policy/policy.toml"), bundle::write(&Policy::built_in())];
    let others = corpus.clone().map(String::into_bytes);
    let mut read = 0;
    while case.get() < cases {
        case.set(case.get() + 1);
        let bytes = mutated_text(&numbers.pick(&corpus), &others, &mut numbers);
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let Ok(policy) = bundle::read(&text) else { continue };
        read += 1;
        assert_eq!(policy.lint().err(), policy.faults().into_iter().next());
        drop(CompiledChecks::of(&policy));
        let again = bundle::read(&bundle::write(&policy));
        assert_eq!(again.as_ref().map(Policy::digest).ok(), Some(policy.digest()), "{text}");
        // Also one that lint refuses: a node must live with what its governors sign.
        drop(resolve(&policy, &claims));
    }
    assert!(read > cases / 20, "only {read} policies could be read");
}

/// Imports so many mutated files through mutated mappings, as far as the first chunk.
pub(crate) fn imports(seed: u64, cases: u64, case: &Cell<u64>) {
    let mut numbers = Numbers::new(seed);
    let regions = ["emea", "amer", "apac"];
    let files = regions.map(|region| {
        let whole = example(&format!("data/{region}.csv"));
        whole.split_inclusive('\n').take(ROWS + 1).collect::<String>()
    });
    let mappings = regions.map(|region| example(&format!("mappings/{region}.toml")));
    let [other_files, other_mappings] =
        [&files, &mappings].map(|texts| texts.clone().map(String::into_bytes));
    let mut posted = 0;
    while case.get() < cases {
        case.set(case.get() + 1);
        let region = numbers.index(regions.len());
        let mut mapping = mappings[region].clone();
        if numbers.one_in(3) {
            let bytes = mutated_text(&mapping, &other_mappings, &mut numbers);
            mapping = String::from_utf8_lossy(&bytes).into_owned();
        }
        let Ok(mapping) = Mapping::parse("mapping.toml", &mapping) else { continue };
        let file = mutated_text(&files[region], &other_files, &mut numbers);
        posted += u64::from(chunk_of(&file, &mapping));
    }
    assert!(posted > cases / 20, "only {posted} files gave a chunk");
}

/// Whether a file gave a chunk of lines. The node goes away before it answers.
fn chunk_of(file: &[u8], mapping: &Mapping) -> bool {
    let (lines, mut rejects) = (std::sync::Mutex::new(Vec::new()), Vec::new());
    let post = |chunk: &[u8]| -> Result<Vec<u8>, ()> {
        lines.lock().unwrap().push(chunk.to_vec());
        Err(())
    };
    let report = import(file, mapping, &Options::default(), &post, &mut rejects, &mut |_| ());
    let lines = lines.into_inner().unwrap();
    for line in lines.iter().flat_map(|chunk| chunk.split(|byte| *byte == b'\n')) {
        assert!(line.is_empty() || serde_json::from_slice::<serde_json::Value>(line).is_ok());
    }
    if let Ok(report) = report {
        assert_eq!(report.read, report.accepted + report.rejected);
    }
    !lines.is_empty()
}
