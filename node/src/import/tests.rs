//! Whole imports, with a door of the model instead of a node.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;

use crdt_model::normalize::{Context, normalize_patch};
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};
use serde_json::{Value as Json, json};

use super::{ImportError, Mapping, Options, Report, Stop, import};

const MAPPING: &str = r#"
source = "crm"
key = { system = "s", column = "K" }
[[columns]]
column = "N"
attribute = "name/legal"
[[columns]]
column = "I"
attribute = "bank/{value}"
"#;

/// Judges lines as a node does, and remembers what it accepted.
#[derive(Default)]
struct Door {
    held: Mutex<BTreeMap<String, Json>>,
    chunks: Mutex<usize>,
    /// After so many chunks the door is shut.
    ends_after: Option<usize>,
}

impl Door {
    fn post(&self, body: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut chunks = self.chunks.lock().unwrap();
        if self.ends_after.is_some_and(|end| *chunks >= end) {
            return Err("gone");
        }
        *chunks += 1;
        let mut answer = Vec::new();
        for (line, text) in (1..).zip(body.split(|byte| *byte == b'\n').filter(|l| !l.is_empty())) {
            let json: Json = serde_json::from_slice(text).unwrap();
            let json = match normalize_patch(&json["customer"], &Context::default()) {
                Ok(_) => {
                    let key = json["key"]["value"].as_str().unwrap().to_owned();
                    let new = json["customer"].clone();
                    let old = self.held.lock().unwrap().insert(key, new.clone());
                    json!({"line": line, "created": old.is_none(), "written": old != Some(new)})
                }
                Err(faults) => json!({"line": line, "errors": faults}),
            };
            writeln!(answer, "{json}").unwrap();
        }
        Ok(answer)
    }

    fn take(&self, input: &[u8], max_rejects: u8) -> (Report<&'static str>, String) {
        let mapping = Mapping::parse("m", MAPPING).unwrap();
        let options = Options { max_rejects, ..Options::default() };
        let mut rejects = Vec::new();
        let post = |body: &[u8]| self.post(body);
        let report = import(input, &mapping, &options, &post, &mut rejects, &mut |_| {}).unwrap();
        (report, String::from_utf8_lossy(&rejects).into_owned())
    }
}

fn rows(count: u32) -> String {
    (0..count).fold("K,N,I\n".to_owned(), |text, at| text + &format!("{at},Customer {at},\n"))
}

#[test]
fn every_row_has_a_verdict_and_the_same_file_again_changes_nothing() {
    let door = Door::default();
    let input = rows(1_700) + "x,,\n,No key,\nbad,Bad,DE89370400440532013001\n1,Other,\n";
    let (report, rejects) = door.take(input.as_bytes(), 100);
    assert_eq!((report.read, report.accepted, report.rejected), (1_704, 1_701, 3));
    assert_eq!((report.created, report.changed, report.unchanged), (1_700, 1, 0));
    assert!(report.stopped.is_none());
    let lines: Vec<&str> = rejects.lines().collect();
    assert_eq!(lines.len(), 4, "{rejects}");
    assert!(lines[1].starts_with("x,,,row-empty,"), "{rejects}");
    assert!(lines[2].starts_with(",No key,,key-empty,,\"Column K: "), "{rejects}");
    let bad =
        "bad,Bad,DE89370400440532013001,iban-checksum,/bank/DE89370400440532013001,Column I: ";
    let bad_quoted = bad.replace(",Column", ",\"Column");
    assert!(lines[3].starts_with(bad) || lines[3].starts_with(&bad_quoted), "{rejects}");
    assert!(*door.chunks.lock().unwrap() >= 4);

    let (again, _) = door.take(rows(1_700).replace("1,Customer 1,", "1,Other,").as_bytes(), 100);
    assert_eq!((again.accepted, again.unchanged), (1_700, 1_700));
}

#[test]
fn a_later_row_about_a_customer_is_a_later_write() {
    // Each row is about the same customer, in chunks that would otherwise be under way at once.
    let input: String =
        (0..5_000).fold("K,N,I\n".to_owned(), |text, at| text + &format!("1,Name {at},\n"));
    let door = Door::default();
    let (report, _) = door.take(input.as_bytes(), 100);
    assert_eq!((report.created, report.changed), (1, 4_999));
    assert_eq!(door.held.lock().unwrap()["1"], json!({"name": {"legal": "Name 4999"}}));
}

#[test]
fn an_import_whose_node_is_gone_says_what_is_durable() {
    let door = Door { ends_after: Some(3), ..Door::default() };
    let (report, _) = door.take(rows(10_000).as_bytes(), 100);
    assert!(matches!(report.stopped, Some(Stop::Post("gone"))));
    assert_eq!((report.read, report.accepted), (1_500, 1_500));
    assert_eq!(door.held.lock().unwrap().len(), 1_500);
    assert!(report.unanswered > 0);
    // Again, with a node that stays.
    let door = Door { held: Mutex::new(door.held.into_inner().unwrap()), ..Door::default() };
    let (report, _) = door.take(rows(10_000).as_bytes(), 100);
    assert_eq!((report.created, report.unchanged, report.rejected), (8_500, 1_500, 0));
}

#[test]
fn too_many_rejected_rows_stop_the_import_when_that_is_asked_for() {
    let input = rows(400) + &",x,\n".repeat(200) + &rows(20_000)[6..];
    let (report, _) = Door::default().take(input.as_bytes(), 10);
    assert!(matches!(report.stopped, Some(Stop::Rejects)));
    assert_eq!(report.read, report.accepted + report.rejected);
    assert!(report.read < 5_000, "{}", report.read);
    let (report, _) = Door::default().take(input.as_bytes(), 100);
    assert_eq!((report.read, report.rejected), (20_600, 200));
    // A handful of rows is no ground for a verdict on a file.
    let (report, _) = Door::default().take(b"K,N,I\n,x,\n1,y,\n", 0);
    assert!(report.stopped.is_none());
}

#[test]
fn a_file_of_rejects_alone_asks_no_node() {
    let door = Door::default();
    let (report, _) = door.take(b"K,N,I\n1\n2\n,x,\n", 100);
    assert_eq!((report.read, report.rejected, *door.chunks.lock().unwrap()), (3, 3, 0));
}

#[test]
fn an_input_that_breaks_off_keeps_what_was_read() {
    struct Broken(usize);
    impl std::io::Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let text = if self.0 == 0 { "K,N,I\n1,a,\n2,b,\n3,c" } else { "" };
            self.0 += 1;
            if text.is_empty() {
                return Err(std::io::Error::other("the disk is gone"));
            }
            let count = text.len().min(buffer.len());
            buffer[..count].copy_from_slice(&text.as_bytes()[..count]);
            self.0 = usize::from(count == text.len());
            Ok(count)
        }
    }
    let mapping = Mapping::parse("m", MAPPING).unwrap();
    let door = Door::default();
    let post = |body: &[u8]| door.post(body);
    let input = std::io::BufReader::new(Broken(0));
    let report =
        import(input, &mapping, &Options::default(), &post, &mut Vec::new(), &mut |_| {}).unwrap();
    assert!(matches!(report.stopped, Some(Stop::Read(_))));
    assert_eq!((report.read, report.accepted), (2, 2));
}

#[test]
fn progress_ends_with_the_last_byte() {
    let mapping = Mapping::parse("m", MAPPING).unwrap();
    let (door, input) = (Door::default(), rows(2_000));
    let post = |body: &[u8]| door.post(body);
    let mut seen = Vec::new();
    let mut progress = |at| seen.push(at);
    let options = Options { lanes: 1, ..Options::default() };
    import(input.as_bytes(), &mapping, &options, &post, &mut Vec::new(), &mut progress).unwrap();
    assert!(seen.is_sorted_by_key(|at: &super::Progress| (at.bytes, at.read)));
    assert_eq!(seen.last().map(|at| (at.bytes, at.read)), Some((input.len() as u64, 2_000)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is in a file: no row without a verdict, and as many in the reject file as are said to be.
    #[test]
    fn accepted_and_rejected_are_what_was_read(
        garbage in prop::collection::vec(prop_oneof_bytes(), 0..60),
        is_json in any::<bool>(),
    ) {
        let mut input = if is_json { Vec::new() } else { b"K,N,I\n".to_vec() };
        input.extend(garbage.concat());
        let top = if is_json { "format = \"jsonl\"\n" } else { "" };
        let mapping = Mapping::parse("m", &format!("{top}{MAPPING}")).unwrap();
        let door = Door::default();
        let post = |body: &[u8]| door.post(body);
        let mut rejects = Vec::new();
        let report = match import(
            &input[..], &mapping, &Options::default(), &post, &mut rejects, &mut |_| {},
        ) {
            Ok(report) => report,
            // Random bytes may begin like another encoding.
            Err(ImportError::Encoding(_)) => return Ok(()),
            Err(error) => return Err(proptest::test_runner::TestCaseError::fail(error.to_string())),
        };
        prop_assert!(report.stopped.is_none());
        prop_assert_eq!(report.read, report.accepted + report.rejected);
        prop_assert_eq!(report.accepted, report.created + report.changed + report.unchanged);
        // The reject file is itself an input of the same format with as many rows.
        if report.rejected > 0 {
            let again = import(
                &rejects[..], &mapping, &Options::default(), &post, &mut Vec::new(), &mut |_| {},
            ).unwrap();
            prop_assert_eq!(again.read, report.rejected, "{}", String::from_utf8_lossy(&rejects));
            prop_assert_eq!(again.accepted, 0);
        }
    }
}

/// Pieces that meet in awkward ways.
fn prop_oneof_bytes() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::strategy::Strategy as _;
    let pieces: Vec<&[u8]> = vec![
        b"1,a,\n",
        b"\n",
        b"\r\n",
        b"\r",
        b",",
        b"\"",
        b"\"\"",
        b"x",
        b"K,N,I\n",
        b"\xff",
        b"\xc3",
        b" ",
        b"\0",
        b"{\"K\":1,\"N\":\"a\"}\n",
        b"{",
        b"}",
        b"{\"K\":",
        b"null\n",
        b"2,b,c\n",
        b";",
        b"\xef\xbb\xbf",
        b"{}\n",
        b"3,\"a\nb\",\n",
    ];
    proptest::prop_oneof![
        9 => prop::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ]
}
