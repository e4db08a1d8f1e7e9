//! Imports by the real program into real nodes: the samples, the FEBRL data, bad files, and nodes
//! that go away in the middle.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use node::cli::{Client, Request};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::process::{CONCORD, Process, Processes};

/// What an import said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{} {}", self.out, self.err))
    }

    fn numbers(&self) -> [u64; 4] {
        let json = self.json();
        ["read", "accepted", "unchanged", "rejected"].map(|name| json[name].as_u64().unwrap())
    }
}

fn command(node: &Process, file: &Path, mapping: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(CONCORD);
    command.args(["--json", "import", "--dir"]).arg(&node.dir).arg("--mapping").arg(mapping);
    command.arg(file).args(more).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn import(node: &Process, file: &Path, mapping: &Path, more: &[&str]) -> Said {
    said(command(node, file, mapping, more).spawn().unwrap())
}

fn said(child: Child) -> Said {
    let output = child.wait_with_output().unwrap();
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// A file of the data that is not part of the repository.
fn shared(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    assert!(
        path.exists(),
        "{} is missing: this test needs the FEBRL data sets beside the workspace",
        path.display()
    );
    path
}

/// A directory with a mapping for `no,name,iban` and files made from text.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        desk.file(
            "mapping.toml",
            b"source = \"erp-emea\"\nkey = { system = \"s\", column = \"no\" }\n\
              [[columns]]\ncolumn = \"name\"\nattribute = \"name/legal\"\n\
              [[columns]]\ncolumn = \"iban\"\nattribute = \"bank/{value}\"\n",
        );
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn mapping(&self) -> PathBuf {
        self.path("mapping.toml")
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }
}

/// Every customer as a node shows it, without versions.
fn customers(client: &Client) -> Vec<String> {
    let export = String::from_utf8(client.ask_bytes(&Request::get("/v1/export")).unwrap()).unwrap();
    let shown = |line: &str| {
        let json: Json = serde_json::from_str(line).unwrap();
        format!("{} {}", json["id"], json["customer"])
    };
    export.lines().map(shown).collect()
}

/// How many customers a node says that it holds.
fn records(node: &Process) -> u64 {
    let status = node.client.ask(&Request::get("/v1/status"));
    status.ok().and_then(|status| status["records"].as_u64()).unwrap_or_default()
}

/// The digests once the node has had the time to show what it last wrote.
fn digests(node: &Process) -> (String, String) {
    std::thread::sleep(Duration::from_millis(500));
    node.digests()
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn three_regions_import_their_files_and_meet_in_shared_customers() {
    let mut network = Processes::set_up(&["EMEA", "AMER", "APAC"]);
    network.nodes.iter_mut().for_each(Process::start);
    let nodes = &network.nodes;
    let regions = ["emea", "amer", "apac"];
    let all = |expected: &str| {
        for (node, region) in nodes.iter().zip(regions) {
            let file = examples().join(format!("data/{region}.csv"));
            let mapping = examples().join(format!("mappings/{region}.toml"));
            let rejects = node.dir.join("rejects.csv");
            let said = import(node, &file, &mapping, &["--rejects", rejects.to_str().unwrap()]);
            let [read, accepted, unchanged, rejected] = said.numbers();
            assert_eq!((said.code, rejected), (0, 0), "{region}: {} {}", said.out, said.err);
            assert!(read > 60 && read == accepted, "{}", said.out);
            assert_eq!(unchanged == read, expected == "nothing", "{region}: {}", said.out);
            assert!(!rejects.exists());
        }
    };
    all("everything");
    let agree = || nodes.iter().all(|node| node.digests() == nodes[0].digests());
    until("convergence", || agree() && nodes.iter().all(|node| records(node) == 200));
    let imported = digests(&nodes[0]);

    all("nothing");
    assert_eq!(digests(&nodes[0]), imported, "the same files again change nothing");

    // A customer of several files is one record, with the terms of each company code.
    let shown = customers(&nodes[0].client);
    assert_eq!(shown.len(), 200);
    let in_two = shown.iter().filter(|c| c.contains("\"1000\":{") && c.contains("\"2000\":{"));
    assert!(in_two.count() > 10);
}

#[test]
fn the_febrl_data_are_imported_row_by_row() {
    let mut network = Processes::set_up(&["APAC"]);
    network.nodes[0].start();
    let node = &network.nodes[0];
    let (desk, mapping) = (Desk::new(), examples().join("mappings/febrl.toml"));
    let rejects = desk.path("rejects.csv");
    let options = ["--rejects", rejects.to_str().unwrap()];
    let said = import(node, &shared("febrl/dataset1.csv"), &mapping, &options);
    let [read, accepted, _, rejected] = said.numbers();
    assert_eq!((said.code, read), (1, 1_000), "{} {}", said.out, said.err);
    // Persons without a family name, and births on days that no calendar has.
    assert_eq!((accepted, rejected), (979, 21), "{}", std::fs::read_to_string(&rejects).unwrap());
    assert_eq!(customers(&node.client).len(), 979);
    let before = digests(node);
    let [read, _, unchanged, rejected] =
        import(node, &shared("febrl/dataset1.csv"), &mapping, &options).numbers();
    assert_eq!((read, unchanged, rejected), (1_000, 979, 21));
    assert_eq!(digests(node), before);
}

#[test]
fn rejected_rows_are_corrected_and_imported_again() {
    let mut network = Processes::set_up(&["EMEA"]);
    network.nodes[0].start();
    let (node, desk) = (&network.nodes[0], Desk::new());
    let mut bytes =
        b"no,name,iban\n1,Acme,\n2,\"Bad, Inc.\",DE89370400440532013001\n3,x\n4,".to_vec();
    bytes.resize(bytes.len() + (10 << 20), b'x');
    bytes.extend(b",\n5,Last,\n");
    let file = desk.file("c.csv", &bytes);

    let before = digests(node);
    let said = import(node, &file, &desk.mapping(), &["--dry-run"]);
    assert_eq!((said.code, said.numbers()), (1, [5, 2, 0, 3]), "{} {}", said.out, said.err);
    assert_eq!(digests(node), before, "a dry run writes nothing");

    let said = import(node, &file, &desk.mapping(), &["--reason", "Übernahme"]);
    assert_eq!((said.code, said.numbers()), (1, [5, 2, 0, 3]), "{} {}", said.out, said.err);
    let rejects = desk.path("c.csv.rejected.csv");
    assert_eq!(said.json()["rejects"], rejects.to_str().unwrap());
    let text = std::fs::read_to_string(&rejects).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    let expected = "2,\"Bad, Inc.\",DE89370400440532013001,iban-checksum,\
                    /bank/DE89370400440532013001,\"Column iban: ";
    assert!(lines[1].starts_with(expected), "{text}");
    assert!(lines[2].starts_with("3,x,row-ragged,,"), "{text}");
    assert!(lines[3].contains(",row-too-long,"), "{}", lines[3].len());

    let corrected = format!("{}\n{}\n", lines[0], lines[1].replace("13001,", "13000,"));
    let corrected = desk.file("corrected.csv", corrected.as_bytes());
    let said = import(node, &corrected, &desk.mapping(), &[]);
    assert_eq!((said.code, said.numbers()), (0, [1, 1, 0, 0]), "{} {}", said.out, said.err);
    let history = &customers(&node.client);
    assert_eq!(history.len(), 3);
}

#[test]
fn a_file_that_does_not_fit_is_refused_whole_and_says_why() {
    let mut network = Processes::set_up(&["EMEA"]);
    let desk = Desk::new();
    let good = desk.file("good.csv", b"no,name,iban\n1,Acme,\n");
    let said = import(&network.nodes[0], &good, &desk.mapping(), &[]);
    assert_eq!(said.code, 4, "nobody there: {}", said.err);

    network.nodes[0].start();
    let node = &network.nodes[0];
    let before = digests(node);
    let refused = |name: &str, bytes: &[u8], part: &str| {
        let said = import(node, &desk.file(name, bytes), &desk.mapping(), &[]);
        assert_eq!(said.code, 3, "{name}: {} {}", said.out, said.err);
        assert!(said.err.contains(part), "{name}: {}", said.err);
    };
    refused("header.csv", b"no,nam,iban\n1,a,\n", "The nearest one is nam.");
    refused("latin.csv", b"no,name,iban\n1,a,\n2,M\xfcller,\n", "windows-1252");
    refused("empty.csv", b"", "empty");
    let said = import(node, &desk.path("none.csv"), &desk.mapping(), &[]);
    assert_eq!(said.code, 3, "{}", said.err);
    let typo = desk.file("typo.toml", b"source = \"erp-emea\"\nkee = 1\n");
    let said = import(node, &good, &typo, &[]);
    assert!(said.code == 3 && said.err.contains("line 2"), "{}", said.err);
    let text = good.to_str().unwrap();
    let said = import(node, &good, &desk.mapping(), &["--rejects", text]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert_eq!(digests(node), before);

    // A pipe cannot be read twice, and is read all the same.
    let mut child = command(node, Path::new("-"), &desk.mapping(), &[])
        .current_dir(desk.0.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"no,name,iban\n1,Acme,\n").unwrap();
    let said = self::said(child);
    assert_eq!((said.code, said.numbers()), (0, [1, 1, 0, 0]), "{}", said.err);
}

#[test]
fn a_node_that_goes_away_costs_nothing_that_it_took() {
    let desk = Desk::new();
    let rows: String = (0..10_000).map(|at| format!("{at},Customer {at},\n")).collect();
    let file = desk.file("c.csv", format!("no,name,iban\n{rows}").as_bytes());
    let mut network = Processes::set_up(&["EMEA"]);

    // The node goes away for good: what is durable is said.
    network.nodes[0].start();
    let child = command(&network.nodes[0], &file, &desk.mapping(), &[]).spawn().unwrap();
    until("3,000 rows", || records(&network.nodes[0]) >= 3_000);
    network.nodes[0].kill();
    let first = said(child);
    assert_eq!(first.code, 4, "{} {}", first.out, first.err);
    let [read, accepted, ..] = first.numbers();
    assert!(read == accepted && (1_000..10_000).contains(&accepted), "{}", first.out);
    assert!(first.err.contains("rows are durable"), "{}", first.err);

    // It goes away and comes back: the import goes on.
    network.nodes[0].start();
    let held = records(&network.nodes[0]);
    assert!(held >= accepted, "{held} held, {accepted} said to be durable");
    let child = command(&network.nodes[0], &file, &desk.mapping(), &[]).spawn().unwrap();
    until("1,000 rows more", || records(&network.nodes[0]) >= held + 1_000);
    network.nodes[0].kill();
    network.nodes[0].start();
    let second = said(child);
    assert_eq!(second.code, 0, "{} {}", second.out, second.err);
    let [read, accepted, unchanged, rejected] = second.numbers();
    assert_eq!((read, accepted, rejected), (10_000, 10_000, 0));
    assert!(unchanged >= held, "{}", second.out);

    // What came of it is what an import without trouble gives.
    let shown = customers(&network.nodes[0].client);
    assert_eq!(shown.len(), 10_000);
    let before = digests(&network.nodes[0]);
    let third = import(&network.nodes[0], &file, &desk.mapping(), &[]);
    assert_eq!(third.numbers(), [10_000, 10_000, 10_000, 0]);
    assert_eq!(digests(&network.nodes[0]), before);
    network.nodes[0].kill();
    network.nodes[0].verify();
    let mut calm = Processes::set_up(&["EMEA"]);
    calm.nodes[0].start();
    assert_eq!(import(&calm.nodes[0], &file, &desk.mapping(), &[]).code, 0);
    assert_eq!(customers(&calm.nodes[0].client), shown);
}

#[test]
fn the_samples_are_written_once_and_are_those_of_the_examples() {
    let place = TempDir::new().unwrap();
    let sample = || {
        let mut command = Command::new(CONCORD);
        command.args(["sample", "--seed", "7", "--customers", "200", "--out"]).arg(place.path());
        command.output().unwrap()
    };
    assert!(sample().status.success());
    for name in ["data/emea.csv", "data/amer.csv", "data/apac.csv", "mappings/emea.toml"] {
        let (made, kept) = (place.path().join(name), examples().join(name));
        assert!(std::fs::read(made).unwrap() == std::fs::read(kept).unwrap(), "{name}");
    }
    let again = sample();
    assert_eq!(again.status.code(), Some(3), "{}", String::from_utf8_lossy(&again.stderr));
}
