//! The real program: what it makes, what it refuses and with which exit code.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use node::clock::Stopwatch;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::support::free_address;

/// What a command said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// A directory in which commands are given, as a user would.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_concord"));
        command.args(line.split_whitespace()).current_dir(self.dir.path()).stdin(Stdio::null());
        for variable in ["CONCORD_DIR", "CONCORD_URL", "CONCORD_TOKEN"] {
            command.env_remove(variable);
        }
        command
    }

    fn say(&self, line: &str) -> Said {
        let output = self.command(line).output().unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Gives a command that must succeed.
    fn done(&self, line: &str) -> String {
        let said = self.say(line);
        assert_eq!(said.code, 0, "{line}: {} {}", said.out, said.err);
        said.out
    }

    fn json(&self, line: &str) -> Json {
        serde_json::from_str(&self.done(&format!("--json {line}"))).unwrap()
    }

    /// Gives a command that must end so; gives what it said about it.
    fn refused(&self, line: &str, code: i32) -> String {
        let said = self.say(line);
        assert_eq!(said.code, code, "{line}: {} {}", said.out, said.err);
        said.err
    }

    /// A network and one member of it, in the directories `network` and `name`.
    fn member(&self, name: &str) -> String {
        if !self.path("network").exists() {
            self.done("network create acme");
        }
        let (peers, http) = (free_address(), free_http());
        let made = self.json(&format!(
            "init --dir {name} --name {name} --region EMEA --listen {peers} --http {http} \
             --advertise {peers}"
        ));
        let id = made["node"].as_str().unwrap().to_owned();
        self.done(&format!(
            "network admit --node {id} --name {name} --region EMEA --address {peers}"
        ));
        self.done(&format!("network join --dir {name} network/roster"));
        id
    }

    fn start(&self, name: &str) -> RunningNode {
        let mut process = self
            .command(&format!("--json run --dir {name}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Json = serde_json::from_str(&line).unwrap_or_default();
        assert_eq!(ready["ready"], true, "{name} did not start: {line}");
        let http = ready["http"].as_str().unwrap().to_owned();
        RunningNode { process, http }
    }
}

struct RunningNode {
    process: Child,
    http: String,
}

impl RunningNode {
    /// Asks the node to stop, as a service manager does; gives its exit code.
    fn stop(mut self) -> Option<i32> {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.process.wait().unwrap().code()
    }
}

impl Drop for RunningNode {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn free_http() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The secret of a node's command line.
fn secret(place: &Place, name: &str) -> String {
    read(&place.path(name).join("admin.token")).trim().to_owned()
}

#[test]
fn init_makes_a_private_directory_once_and_prints_the_line_for_the_operator() {
    let place = Place::new();
    let said = place.done("init --dir d --name emea-1 --region EMEA --advertise a.example:7400");
    let id = said.lines().find_map(|line| line.strip_prefix("id ")).unwrap();
    assert_eq!(id.len(), 64);
    let admit = format!(
        "concord network admit --dir ./network --node {id} --name emea-1 --region EMEA --address \
         a.example:7400"
    );
    assert!(said.contains(&admit), "{said}");

    let before =
        ["node.key", "tokens.toml", "concord.toml"].map(|f| read(&place.path("d").join(f)));
    let error = place.refused("init --dir d --name other --region EMEA", 3);
    assert!(error.contains("There is a node in d already"), "{error}");
    let after = ["node.key", "tokens.toml", "concord.toml"].map(|f| read(&place.path("d").join(f)));
    assert_eq!(before, after);

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode =
            |path: &str| std::fs::metadata(place.path(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("d"), 0o700);
        for file in ["d/node.key", "d/tokens.toml", "d/admin.token", "d/concord.toml"] {
            assert_eq!(mode(file), 0o600, "{file}");
        }
    }
}

#[test]
fn a_wrong_line_or_value_makes_nothing() {
    let place = Place::new();
    for (line, code, part) in [
        ("frobnicate", 2, "unrecognized subcommand"),
        ("init --dir d --name a --region emea", 2, "upper-case"),
        ("init --dir d --name a/b --region EMEA", 2, "1 to 63 letters"),
        ("init --dir d --name a --region EMEA --advertise nowhere", 2, "advertise takes"),
        ("init --dir d --name a --region EMEA --network missing", 3, "cannot be read"),
        ("network create a/b", 2, "is not a name"),
        ("network list", 3, "cannot be read"),
        ("get 0190aaaa-0000-7000-8000-000000000000", 3, "There is no node in ./concord-data"),
        ("get xyz --url http://127.0.0.1:9 --token t", 2, "is not the id of a customer"),
        ("peers --url http://127.0.0.1:9", 2, "--token"),
        ("peers --url localhost --token t", 2, "http://HOST:PORT"),
        ("peers --url http://127.0.0.1:9 --token t", 4, "does not answer"),
        ("verify --dir d", 3, "There is no store"),
    ] {
        let error = place.refused(line, code);
        assert!(error.contains(part), "{line}: {error}");
    }
    assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 0);
    // For programs, the error is an object.
    let error: Json = serde_json::from_str(&place.refused("--json verify --dir d", 3)).unwrap();
    assert_eq!(error["code"], "refused");
}

#[test]
fn tokens_are_made_listed_and_revoked_and_only_their_hashes_are_kept() {
    let place = Place::new();
    place.done("init --dir d --name emea-1 --region EMEA");
    assert!(!read(&place.path("d").join("tokens.toml")).contains(&secret(&place, "d")));
    let made = "--json token create anna --dir d --principal anna --write --expires 2030-12-31";
    let made: Json = serde_json::from_str(&place.done(made)).unwrap();
    assert_eq!((&made["source"], &made["expires"]), (&json!("manual-emea"), &json!("2030-12-31")));
    let kept = read(&place.path("d").join("tokens.toml"));
    assert!(!kept.contains(made["secret"].as_str().unwrap()), "{kept}");
    place.refused("token create anna --dir d --principal anna", 3);
    place.refused("token create ben --dir d --principal ben --expires soon", 2);
    let listed: Json = serde_json::from_str(&place.done("--json token list --dir d")).unwrap();
    let names: Vec<&Json> =
        listed["tokens"].as_array().unwrap().iter().map(|token| &token["name"]).collect();
    assert_eq!(names, ["admin", "anna"]);
    assert!(place.done("token list --dir d").contains("2030-12-31"));
    place.done("token revoke anna --dir d");
    place.refused("token revoke anna --dir d", 3);
    // The last one stays: nobody could ask the node anything.
    place.refused("token revoke admin --dir d", 3);
}

#[test]
fn version_and_completions_are_there() {
    let place = Place::new();
    assert!(place.done("--version").starts_with("concord 0."));
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.done(&format!("completions {shell}")).contains("concord"));
    }
}

#[test]
fn a_network_is_kept_in_files_that_only_grow() {
    let place = Place::new();
    let id = place.member("emea-1");
    let error = place.refused("network create other", 3);
    assert!(error.contains("There is a network in ./network already"), "{error}");
    // The same entry is not made twice.
    let height = || place.json("network list")["height"].as_u64().unwrap();
    let before = height();
    let address = place.json("network list")["members"][0]["addresses"][0].clone();
    let address = address.as_str().unwrap();
    let admit = format!("network admit --node {id} --name emea-1 --region EMEA --address");
    let said = place.done(&format!("{admit} {address}"));
    assert!(said.contains("is a member already"), "{said}");
    assert_eq!(height(), before);
    place.done(&format!("{admit} other.example:7400"));
    assert_eq!(height(), before + 1);
    // A second member of the same name is refused.
    let other = "ab".repeat(32);
    let error =
        place.refused(&format!("network admit --node {other} --name emea-1 --region EMEA"), 3);
    assert!(error.contains("taken by another member"), "{error}");
    // A node does not change its network, nor take a file that is no roster.
    place.done("network create other --dir other");
    let error = place.refused("network join --dir emea-1 other/roster", 3);
    assert!(error.contains("another network"), "{error}");
    let error = place.refused("network join --dir emea-1 network/network.key", 3);
    assert!(error.contains("not a roster"), "{error}");
    // A revocation draws a line that only a running node knows.
    let error = place.refused("network revoke --node emea-1", 2);
    assert!(error.contains("--to"), "{error}");
}

#[test]
fn a_wrong_configuration_stops_the_start_with_its_line() {
    let place = Place::new();
    place.member("d");
    let file = place.path("d").join("concord.toml");
    let good = read(&file);
    std::fs::write(&file, format!("lisen = \"0.0.0.0:1\"\n{good}")).unwrap();
    let error = place.refused("run --dir d", 3);
    assert!(error.contains("d/concord.toml:1: there is no key \"lisen\""), "{error}");
    assert!(error.contains("Did you mean \"listen\"?"), "{error}");
    std::fs::write(&file, &good).unwrap();
    let error = place.refused("run --dir d --http nowhere", 3);
    assert!(error.contains("--http: http takes"), "{error}");
    std::fs::remove_file(place.path("d").join("roster")).unwrap();
    let error = place.refused("run --dir d", 3);
    assert!(error.contains("d has no roster"), "{error}");
}

#[test]
fn a_taken_port_or_directory_is_exit_4_with_what_to_do() {
    let place = Place::new();
    place.member("d");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = place.refused(&format!("run --dir d --http {address}"), 4);
    assert!(
        error.contains(&format!("TCP port {} on 127.0.0.1 is taken", address.port())),
        "{error}"
    );
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = udp.local_addr().unwrap();
    let error = place.refused(&format!("run --dir d --listen {address}"), 4);
    assert!(
        error.contains(&format!("UDP port {} on 127.0.0.1 is taken", address.port())),
        "{error}"
    );

    let node = place.start("d");
    for line in ["run --dir d", "verify --dir d"] {
        let error = place.refused(line, 4);
        assert!(error.contains("is in use by another node (process"), "{error}");
    }
    assert_eq!(node.stop(), Some(0));
    assert!(place.done("verify --dir d").contains("Sound"));
}

#[test]
fn a_customer_is_written_read_and_explained_from_the_command_line() {
    let place = Place::new();
    place.member("d");
    let node = place.start("d");
    let made = place.json(
        "set --dir d --create name/legal=Acme company/1000/payment_terms=NT30 \
         credit/1000/limit#amount=5000.00 credit/1000/limit#currency=EUR --reason first",
    );
    let id = made["id"].as_str().unwrap();
    let version = made["version"].as_str().unwrap();
    let said = place.done("get --dir d --name Acme");
    assert!(said.contains("EUR 5000.00") && said.contains(id), "{said}");
    place.done(&format!("set --dir d {id} company/1000/payment_terms=NT45 --source erp-emea"));
    let said = place.done(&format!("get --dir d {id} --explain"));
    assert!(said.contains("company/1000/payment_terms = NT"), "{said}");
    assert!(said.contains("written by admin on d: first"), "{said}");
    let said = place.done(&format!("get --dir d {id} --claims"));
    assert!(said.contains("erp-emea") && said.contains("manual-emea"), "{said}");
    let said = place.done(&format!("history --dir d {id}"));
    assert!(said.contains(version) && said.contains("admin on d as manual-emea: first"), "{said}");

    // What was seen has changed: refused with the difference, or written as of then.
    let stale = format!("set --dir d {id} name/legal=Acme2 --if-match {version}");
    let error = place.refused(&stale, 3);
    assert!(error.contains("company/1000/payment_terms: you saw NT30"), "{error}");
    place.done(&format!("{stale} --merge"));
    // A part of a group keeps the rest; withdrawing leaves nothing.
    place.done(&format!("set --dir d {id} credit/1000/limit#amount=70.5"));
    let said = place.done(&format!("get --dir d {id}"));
    assert!(said.contains("EUR 70.50"), "{said}");
    place.done(&format!("set --dir d {id} --clear credit/1000/limit"));
    assert!(!place.done(&format!("get --dir d {id}")).contains("credit/1000/limit"));

    let error = place.refused(&format!("set --dir d {id} company/1000/payment_termz=X"), 3);
    assert!(error.contains("Did you mean payment_terms?"), "{error}");
    assert_eq!(place.say("get --dir d --name Nobody").code, 1);
    let export = place.done("export --dir d");
    assert_eq!(export.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Json>(&export).unwrap()["id"], id);
    place.done("export --dir d --out all.jsonl");
    assert_eq!(read(&place.path("all.jsonl")), export);
    place.refused("export --dir d --out all.jsonl", 3);
    assert!(place.done("changes --dir d").contains("new"));
    assert!(place.done("status --dir d").contains("customers    1"));
    assert!(place.done("peers --dir d").contains("no other member"));
    assert!(place.done("conflicts --dir d").contains("No conflicts"));

    // The secret of a directory goes to no other address, and a wrong one is refused.
    let error = place.refused("peers --dir d --url http://127.0.0.1:9", 2);
    assert!(error.contains("--token"), "{error}");
    place.done(&format!("peers --dir d --url {}", node.http));
    place.refused(&format!("peers --url {} --token wrong", node.http), 3);
    drop(node);
    assert_eq!(place.say("peers --dir d").code, 4);
}

#[test]
fn a_node_joins_a_running_network_and_is_revoked() {
    let place = Place::new();
    place.member("a");
    let first = place.start("a");
    let token = secret(&place, "a");
    // The newcomer has only a roster that does not name it, and calls others only.
    let (peers, http) = (free_address(), free_http());
    let made = place.json(&format!(
        "init --dir b --name b --region APAC --listen {peers} --http {http} --advertise none \
         --network network/roster"
    ));
    let id = made["node"].as_str().unwrap();
    let second = place.start("b");
    let admit = made["admit"].as_str().unwrap().strip_prefix("concord ").unwrap();
    place.done(&format!("{admit} --to {} --token {token}", first.http));
    wait_until("b is linked", || place.say("peers --dir a").out.contains("in step"));
    place.done("set --dir b --create name/legal=Southern");
    wait_until("a has it", || place.say("get --dir a --name Southern").code == 0);

    let said = place.done(&format!("network revoke --node b --to {} --token {token}", first.http));
    assert!(said.contains("Its first 1 commits count"), "{said}");
    let list = place.json(&format!("network list --to {} --token {token}", first.http));
    let members = list["members"].as_array().unwrap();
    let revoked = members.iter().find(|member| member["node"] == id).unwrap();
    assert_eq!(revoked["revoked"], true);
    assert!(!place.done("network list").contains(id));
    drop(second);
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let watch = Stopwatch::start();
    while !condition() {
        assert!(watch.elapsed().as_secs() < 60, "it takes too long until {what}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

/// Small enough for any machine; the figures themselves are nobody's promise here.
#[test]
fn bench_prints_one_object_a_line_with_its_limit_beside_it() {
    let printed = |bench: &str| -> Vec<Json> {
        let output = crate::process::concord(&["--json", "bench", bench, "--customers", "50"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let reconnect = printed("reconnect");
    let case = |name: &str| reconnect.iter().find(|figure| figure["case"] == name).unwrap();
    assert!(case("unchanged")["figure"].as_f64().unwrap() <= 400.0, "{reconnect:?}");
    // Ten commits and what it takes to say so: compressed they are fewer bytes than they are.
    assert!(case("10-changed")["ratio"].as_f64().unwrap() <= 1.1, "{reconnect:?}");
    let filled = printed("first-sync");
    for figure in reconnect.iter().chain(&filled) {
        let members: Vec<&String> = figure.as_object().unwrap().keys().collect();
        assert_eq!(
            members,
            ["bench", "case", "customers", "figure", "limit", "ratio", "unit"],
            "{figure}"
        );
        assert_eq!(figure["customers"], 50);
    }
}
