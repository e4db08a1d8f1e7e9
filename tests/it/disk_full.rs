//! A disk that fills up under a running node: one sentence, an exit code, and nothing acknowledged is
//! lost once there is room again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use node::cli::{Client, Method, Request};
use serde_json::json;

use crate::process::{CONCORD, Processes};

/// Runs the node on a small filesystem that a filler makes smaller, again without the filler, and
/// audits the store. `$1` program, `$2` directory of the node, `$3` mount point.
const ON_A_SMALL_DISK: &str = r#"
    mount -t tmpfs -o size=64m none "$3" && cp -a "$2"/. "$3"/ || exit 1
    head -c 40m /dev/zero > "$3"/filler
    "$1" run --dir "$3" > "$2"/log 2>&1; echo $? > "$2"/full
    rm "$3"/filler
    "$1" run --dir "$3" > "$2"/again 2>&1 & pid=$!
    while [ ! -e "$2"/done ]; do sleep 0.1; done
    kill -TERM $pid; wait $pid
    "$1" verify --dir "$3" > "$2"/audit 2>&1; echo $? > "$2"/verified
"#;

/// The same where no filesystem can be mounted: no file may grow beyond 16 MiB, and later may.
const BELOW_A_LIMIT: &str = r#"
    trap "" XFSZ
    (ulimit -f 32768; "$1" run --dir "$2" > "$2"/log 2>&1); echo $? > "$2"/full
    "$1" run --dir "$2" > "$2"/again 2>&1 & pid=$!
    while [ ! -e "$2"/done ]; do sleep 0.1; done
    kill -TERM $pid; wait $pid
    "$1" verify --dir "$2" > "$2"/audit 2>&1; echo $? > "$2"/verified
"#;

/// A script that is ended with the test.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts the script that this machine allows.
#[expect(clippy::print_stderr, reason = "a reader of the output must know which disk was full")]
fn start(dir: &Path, mount: &Path) -> Script {
    let in_namespace = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        command
    };
    let probe = in_namespace("mount -t tmpfs none \"$1\"").args(["sh".as_ref(), mount]).output();
    let mut command = if probe.is_ok_and(|probe| probe.status.success()) {
        in_namespace(ON_A_SMALL_DISK)
    } else {
        eprintln!("no filesystem can be mounted here: the files of the node are limited instead");
        let mut command = Command::new("sh");
        command.args(["-c", BELOW_A_LIMIT]);
        command
    };
    command.args(["sh".as_ref(), Path::new(CONCORD), dir, mount]).stdin(Stdio::null());
    Script(command.spawn().unwrap())
}

fn wait_for<T>(what: &str, attempt: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'))
}

/// Writes customers until the node takes no more; gives the ids of those that it acknowledged.
fn fill(client: &Client) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0..20_000_u32 {
        // Text that does not compress.
        let note: String = (0..128)
            .map(|part| blake3::hash(format!("{number}/{part}").as_bytes()).to_hex().to_string())
            .collect();
        let body = json!({"general": {"note": {"a": note}}});
        match client.ask(&Request::new(Method::POST, "/v1/customers").json(&body)) {
            Ok(answer) => acknowledged.push(answer["id"].as_str().unwrap().to_owned()),
            Err(_) => return acknowledged,
        }
    }
    panic!("the disk does not fill up");
}

#[test]
fn a_full_disk_is_told_in_a_sentence_and_loses_nothing() {
    let network = Processes::set_up(&["EMEA"]);
    let (dir, client) = (network.nodes[0].dir.clone(), &network.nodes[0].client);
    let mount = PathBuf::from(network.path("small"));
    fs::create_dir(&mount).unwrap();
    let _script = start(&dir, &mount);
    let health = || client.ask(&Request::get("/v1/health")).ok();
    wait_for("the node does not start", health);
    let acknowledged = fill(client);
    assert!(acknowledged.len() > 20, "only {} customers fitted", acknowledged.len());
    let code = wait_for("the node does not stop", || read(&dir.join("full")));
    let log = fs::read_to_string(dir.join("log")).unwrap();
    assert_eq!(code.trim(), "4", "{log}");
    assert!(!log.contains("panicked"), "{log}");
    let told = log.lines().filter(|line| line.starts_with("error: ")).collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains("full") || told[0].contains("cannot be written"), "{}", told[0]);
    wait_for("the node does not start again", health);
    for id in &acknowledged {
        client.ask(&Request::get(format!("/v1/customers/{id}"))).unwrap();
    }
    let body = json!({"name": {"legal": "There is room again"}});
    client.ask(&Request::new(Method::POST, "/v1/customers").json(&body)).unwrap();
    fs::write(dir.join("done"), "").unwrap();
    let code = wait_for("no audit", || read(&dir.join("verified")));
    assert_eq!(code.trim(), "0", "{}", fs::read_to_string(dir.join("audit")).unwrap());
}
