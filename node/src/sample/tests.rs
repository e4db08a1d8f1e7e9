//! The committed files, and that a node takes every row of them.

use std::io::Write as _;
use std::path::Path;

use crdt_model::normalize::{Context, normalize_patch};
use serde_json::{Value as Json, json};

use super::{CUSTOMERS, SEED, files};
use crate::import::{Mapping, Options, import};

fn examples() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

#[test]
fn the_committed_files_are_the_ones_of_the_committed_seed() {
    for file in files(SEED, CUSTOMERS) {
        let path = examples().join(file.path);
        if std::env::var_os("CONCORD_BLESS").is_some() {
            std::fs::File::create(&path).unwrap().write_all(&file.bytes).unwrap();
        }
        let committed = std::fs::read(&path).unwrap();
        assert!(
            committed == file.bytes,
            "{} is not what the generator writes. Run this test with CONCORD_BLESS=1, look \
             at the difference, and commit it.",
            path.display()
        );
    }
}

#[test]
fn one_customer_more_changes_no_other() {
    let rows = |customers| -> Vec<String> {
        let files = files(11, customers);
        let lines = files[..3].iter().flat_map(|file| file.bytes.split(|byte| *byte == b'\n'));
        lines.map(|line| String::from_utf8(line.to_vec()).unwrap()).collect()
    };
    let more = rows(301);
    assert!(rows(300).iter().all(|row| more.contains(row)));
}

#[test]
fn a_seed_gives_its_own_files_and_sizes_are_as_asked() {
    assert_ne!(files(1, 50)[0].bytes, files(2, 50)[0].bytes);
    assert!(files(1, 0)[..3].iter().all(|file| file.bytes.split(|b| *b == b'\n').count() == 2));
}

#[test]
fn every_row_passes_the_door_under_its_mapping() {
    let files = files(SEED, CUSTOMERS);
    let mut known: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for (data, mapping) in files[..3].iter().zip(&files[3..]) {
        let mapping =
            Mapping::parse(mapping.path, std::str::from_utf8(&mapping.bytes).unwrap()).unwrap();
        let mut rejects = Vec::new();
        let keys = std::sync::Mutex::new(Vec::new());
        let post = |body: &[u8]| door(body, &keys);
        let report = import(
            &data.bytes[..],
            &mapping,
            &Options::default(),
            &post,
            &mut rejects,
            &mut |_| {},
        )
        .unwrap();
        assert!(rejects.is_empty(), "{}: {}", data.path, String::from_utf8_lossy(&rejects));
        assert_eq!(report.rejected, 0);
        assert!((60..=120).contains(&report.accepted), "{}: {}", data.path, report.accepted);
        for key in keys.into_inner().unwrap() {
            *known.entry(key).or_default() += 1;
        }
    }
    assert_eq!(known.len(), CUSTOMERS as usize);
    assert!(known.values().filter(|systems| **systems > 1).count() > 40);
}

/// Judges lines as a node does, and stores nothing.
fn door(body: &[u8], keys: &std::sync::Mutex<Vec<String>>) -> Result<Vec<u8>, ()> {
    let mut answer = Vec::new();
    for (line, text) in (1..).zip(body.split(|byte| *byte == b'\n').filter(|l| !l.is_empty())) {
        let json: Json = serde_json::from_slice(text).unwrap();
        let country = json["default_country"].as_str();
        let context = country.map_or_else(Context::default, |c| Context::with_country(c).unwrap());
        keys.lock().unwrap().push(json["key"]["value"].as_str().unwrap().to_owned());
        let line = match normalize_patch(&json["customer"], &context) {
            Ok(_) => json!({"line": line, "created": true, "written": true}),
            Err(faults) => json!({"line": line, "errors": faults}),
        };
        answer.extend_from_slice(line.to_string().as_bytes());
        answer.push(b'\n');
    }
    Ok(answer)
}
