//! Networks of real `concord` processes, set up by the commands that a user gives.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use node::cli::{Client, Request};
use serde_json::Value as Json;
use tempfile::TempDir;

/// The program under test.
pub(crate) const CONCORD: &str = env!("CARGO_BIN_EXE_concord");

/// A node that may or may not be running.
pub(crate) struct Process {
    pub(crate) dir: PathBuf,
    pub(crate) client: Client,
    /// The secret of its command line.
    pub(crate) secret: String,
    child: Option<Child>,
}

/// A network of processes in one temporary directory.
pub(crate) struct Processes {
    pub(crate) nodes: Vec<Process>,
    dir: TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Processes {
    /// Sets up a network with a node for each region; none runs yet.
    pub(crate) fn set_up(regions: &[&str]) -> Self {
        Self::set_up_behind(regions, &[]).0
    }

    /// The same with nodes whose peers know other addresses than those on which they listen; gives
    /// the latter.
    pub(crate) fn set_up_behind(
        regions: &[&str],
        advertised: &[SocketAddr],
    ) -> (Self, Vec<SocketAddr>) {
        let mut listening = Vec::new();
        let dir = TempDir::new().unwrap();
        let network = dir.path().join("network");
        let network = network.to_str().unwrap();
        concord(&["network", "create", "test", "--dir", network]);
        let mut nodes = Vec::new();
        for (at, region) in regions.iter().enumerate() {
            let name = region.to_lowercase();
            let own = dir.path().join(&name);
            let own_text = own.to_str().unwrap();
            let listens = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            listening.push(listens);
            let known = advertised.get(at).unwrap_or(&listens).to_string();
            let udp = listens.to_string();
            let http = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
            let init = ["--json", "init", "--dir", own_text, "--name", &name, "--region", region];
            let ports = ["--listen", &udp, "--http", &http, "--advertise", &known];
            let said: Json =
                serde_json::from_slice(&concord(&[&init[..], &ports[..]].concat()).stdout).unwrap();
            let key = said["node"].as_str().unwrap();
            let admit = ["network", "admit", "--dir", network, "--node", key, "--name", &name];
            concord(&[&admit[..], &["--region", region, "--address", &known]].concat());
            let secret = std::fs::read_to_string(own.join("admin.token")).unwrap();
            let secret = secret.trim();
            let client = Client::new(&format!("http://{http}"), secret).unwrap();
            nodes.push(Process { dir: own, client, secret: secret.to_owned(), child: None });
        }
        let roster = dir.path().join("network").join("roster");
        for node in &nodes {
            let own = node.dir.to_str().unwrap();
            concord(&["network", "join", "--dir", own, roster.to_str().unwrap()]);
        }
        (Self { nodes, dir }, listening)
    }

    /// A file beside the directories of the network and its nodes.
    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Starts every node.
    pub(crate) fn start(&mut self) {
        self.nodes.iter_mut().for_each(Process::start);
    }

    /// Waits until every node holds and shows the same.
    pub(crate) fn converge(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let digests: Vec<_> = self.nodes.iter().map(Process::digests).collect();
            if digests.windows(2).all(|pair| pair[0] == pair[1]) {
                return;
            }
            assert!(Instant::now() < deadline, "the nodes do not converge: {digests:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Process {
    /// Starts the node and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.spawn();
        self.await_ready();
    }

    /// Waits until the node serves.
    pub(crate) fn await_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.client.ask(&Request::get("/v1/health")).is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "the node ended: {}", self.log());
            assert!(Instant::now() < deadline, "the node does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts the node and waits for nothing.
    pub(crate) fn spawn(&mut self) {
        self.spawn_with(&[]);
    }

    /// Starts the node with further flags and waits for nothing.
    pub(crate) fn spawn_with(&mut self, flags: &[&str]) {
        let log = File::options().append(true).create(true).open(self.dir.join("log")).unwrap();
        let child = Command::new(CONCORD)
            .args(["run", "--dir", self.dir.to_str().unwrap()])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Kills the node as a power switch would, if it runs.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// What the node has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Audits the store of the stopped node.
    pub(crate) fn verify(&self) {
        assert!(self.child.is_none(), "an audit needs a stopped node");
        concord(&["verify", "--dir", self.dir.to_str().unwrap()]);
    }

    /// The digests of history and golden records.
    pub(crate) fn digests(&self) -> (String, String) {
        let status = self.client.ask(&Request::get("/v1/status")).unwrap();
        let text = |name: &str| status[name].as_str().unwrap().to_owned();
        (text("history_digest"), text("golden_digest"))
    }
}

/// Gives a command that must end with this code, and reads what it says as JSON.
pub(crate) fn concord_json(code: i32, arguments: &[&str]) -> Json {
    let output =
        Command::new(CONCORD).arg("--json").args(arguments).stdin(Stdio::null()).output().unwrap();
    let (out, error) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
    assert_eq!(output.status.code(), Some(code), "concord {}: {error}", arguments.join(" "));
    let said = if out.is_empty() { error.into_bytes() } else { out };
    serde_json::from_slice(&said).unwrap()
}

/// Gives a command that must succeed.
pub(crate) fn concord(arguments: &[&str]) -> Output {
    let output = Command::new(CONCORD).args(arguments).stdin(Stdio::null()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "concord {}: {error}", arguments.join(" "));
    output
}
