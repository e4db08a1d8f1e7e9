//! The stage of the demo: a network, three node processes in directories of their own, and the
//! relays that can cut a line. Leaving the stage stops everything.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value as Json;
use tempfile::TempDir;

use super::interrupt::Interrupt;
use crate::cli::{CliError, Client, Context, Request, Target};
use crate::clock::Stopwatch;
use crate::relay::{RelayControl, UdpRelay};
use crate::sample;

/// The regions, with the customer file and the mapping of each among the samples.
const REGIONS: [(&str, &str, &str); 3] = [
    ("EMEA", "data/emea.csv", "mappings/emea.toml"),
    ("AMER", "data/amer.csv", "mappings/amer.toml"),
    ("APAC", "data/apac.csv", "mappings/apac.toml"),
];

/// What differs from the defaults, so that a cut shows within seconds.
const QUICK: [(&str, &str); 2] =
    [("CONCORD_SYNC_IDLE_TIMEOUT_MS", "2000"), ("CONCORD_SYNC_HEARTBEAT_MS", "500")];

/// How long a node may take to start.
const START_TIME: Duration = Duration::from_secs(60);
/// How long a node may take to end by itself.
const END_TIME: Duration = Duration::from_secs(5);
/// How often the nodes are asked while something is awaited.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// One node of the demo.
pub(super) struct Node {
    pub(super) region: String,
    pub(super) client: Client,
    dir: PathBuf,
    /// The node's own socket, behind the relay.
    socket: SocketAddr,
    process: Child,
    _relay: UdpRelay,
}

/// What all nodes agree on.
pub(super) struct Totals {
    pub(super) records: u64,
    pub(super) conflicted: u64,
}

/// Everything that runs.
pub(super) struct Stage {
    program: PathBuf,
    control: RelayControl,
    nodes: Vec<Node>,
    /// Deletes the directory at the end, unless it is to be kept.
    _temporary: Option<TempDir>,
}

impl Drop for Node {
    fn drop(&mut self) {
        // The node ends when its standard input does, even when this process is killed.
        drop(self.process.stdin.take());
        let watch = Stopwatch::start();
        while watch.elapsed() < END_TIME && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(ASK_EVERY);
        }
        // One that has ended already is what is wanted.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What is laid out for a node before it is started.
struct Plan {
    region: &'static str,
    dir: PathBuf,
    socket: SocketAddr,
    relay: UdpRelay,
    key: String,
}

impl Stage {
    pub(super) fn set(
        keep: Option<&Path>,
        runtime: &tokio::runtime::Runtime,
        interrupt: &Interrupt,
        context: &Context,
    ) -> Result<Self, CliError> {
        let program =
            std::env::current_exe().map_err(|error| failed("find its program", &error))?;
        let (dir, temporary) = directory(keep)?;
        let control = RelayControl::new();
        let network = dir.join("network");
        concord(&program, ["network", "create", "demo", "--dir", text(&network)])?;
        let mut plans = Vec::new();
        for (region, ..) in REGIONS {
            plans.push(plan(&program, &dir, region, &control, runtime)?);
        }
        for plan in &plans {
            let (name, relay) = (name(plan.region), plan.relay.address().to_string());
            let member = ["--node", &plan.key, "--name", &name, "--region", plan.region];
            let admit = ["network", "admit", "--dir", text(&network), "--address", &relay];
            concord(&program, admit.into_iter().chain(member))?;
        }
        let roster = network.join("roster");
        let mut nodes = Vec::new();
        for plan in plans {
            concord(&program, ["network", "join", "--dir", text(&plan.dir), text(&roster)])?;
            interrupt.check()?;
            nodes.push(start(&program, plan, context)?);
        }
        Ok(Self { program, control, nodes, _temporary: temporary })
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn client(&self, index: usize) -> &Client {
        &self.nodes[index].client
    }

    pub(super) fn cut(&self, index: usize) {
        self.control.cut(self.nodes[index].socket);
    }

    pub(super) fn heal(&self, index: usize) {
        self.control.heal(self.nodes[index].socket);
    }

    /// Bytes of UDP payload that the relays passed on.
    pub(super) fn traffic(&self) -> u64 {
        self.control.traffic().bytes
    }

    /// Imports the file of each region with the command that a user would give; gives what each said
    /// last.
    pub(super) fn import(&self, customers: u32) -> Result<Vec<String>, CliError> {
        let files = sample::files(sample::SEED, customers);
        let write = |sample: &str, path: &Path| {
            let file = files.iter().find(|file| file.path == sample);
            let bytes = file.map_or(&[][..], |file| &file.bytes);
            std::fs::write(path, bytes).map_err(|error| failed("write a sample file", &error))
        };
        let mut said = Vec::new();
        for (node, (_, data, rules)) in self.nodes.iter().zip(REGIONS) {
            let (file, mapping) = (node.dir.join("customers.csv"), node.dir.join("mapping.toml"));
            write(data, &file)?;
            write(rules, &mapping)?;
            let import = ["import", "--dir", text(&node.dir), "--mapping", text(&mapping)];
            let output = concord(&self.program, import.into_iter().chain([text(&file)]))?;
            let lines = String::from_utf8_lossy(&output.stdout);
            let last = lines.lines().rfind(|line| !line.trim().is_empty());
            said.push(last.unwrap_or_default().trim().to_owned());
        }
        Ok(said)
    }

    pub(super) fn statuses(&self) -> Result<Vec<Json>, CliError> {
        self.nodes.iter().map(|node| node.client.ask(&Request::get("/v1/status"))).collect()
    }

    /// What the nodes agree on; none while they differ.
    pub(super) fn totals(&self) -> Result<Option<Totals>, CliError> {
        let statuses = self.statuses()?;
        let digests = |status: &Json| {
            (status["history_digest"].to_string(), status["golden_digest"].to_string())
        };
        let equal = statuses.iter().all(|status| digests(status) == digests(&statuses[0]));
        let number = |name: &str| statuses[0][name].as_u64().unwrap_or_default();
        Ok(equal.then(|| Totals {
            records: number("records"),
            conflicted: number("conflicted_records"),
        }))
    }

    /// Whether a node has a link to the node of a region.
    pub(super) fn connected(&self, index: usize, region: &str) -> Result<bool, CliError> {
        let status = self.nodes[index].client.ask(&Request::get("/v1/status"))?;
        let peers = status["peers"].as_array().map_or(&[][..], Vec::as_slice);
        let peer = peers.iter().find(|peer| peer["region"] == region);
        Ok(peer.is_some_and(|peer| peer["connected"] == true))
    }

    /// Waits for a condition; gives how long it took, or none when the time is over.
    pub(super) fn wait(
        &self,
        time: Duration,
        mut condition: impl FnMut() -> Result<bool, CliError>,
    ) -> Result<Option<Duration>, CliError> {
        let clock = Stopwatch::start();
        loop {
            if condition()? {
                return Ok(Some(clock.elapsed()));
            }
            if clock.elapsed() > time {
                return Ok(None);
            }
            std::thread::sleep(ASK_EVERY);
        }
    }

    /// Commands with which a user can look around.
    pub(super) fn commands(&self, customer: &str) -> Vec<String> {
        let (emea, apac) = (self.nodes[0].dir.display(), self.nodes[2].dir.display());
        let program = self.program.display();
        let client = &self.nodes[1].client;
        vec![
            format!("{program} status --dir {emea}"),
            format!("{program} peers --dir {apac}"),
            format!("{program} conflicts --dir {emea}"),
            format!("{program} get --dir {apac} {customer} --explain"),
            format!("{program} history --dir {emea} {customer}"),
            format!("{program} set --dir {apac} {customer} general/website=https://example.com"),
            format!(
                "curl -H 'Authorization: Bearer {}' {}/v1/customers/{customer}",
                client.token(),
                client.url()
            ),
        ]
    }
}

fn directory(keep: Option<&Path>) -> Result<(PathBuf, Option<TempDir>), CliError> {
    match keep {
        Some(dir) => {
            std::fs::create_dir(dir).map_err(|error| {
                CliError::Refused(format!(
                    "The directory {} cannot be made ({error}). Name one that does not exist yet.",
                    dir.display()
                ))
            })?;
            let dir = dir.canonicalize().map_err(|error| failed("find its directory", &error))?;
            Ok((dir, None))
        }
        None => {
            let dir = TempDir::with_prefix("concord-demo-")
                .map_err(|error| failed("make a temporary directory", &error))?;
            Ok((dir.path().to_owned(), Some(dir)))
        }
    }
}

fn plan(
    program: &Path,
    dir: &Path,
    region: &'static str,
    control: &RelayControl,
    runtime: &tokio::runtime::Runtime,
) -> Result<Plan, CliError> {
    let free = |error: std::io::Error| failed("find a free port", &error);
    let udp = UdpSocket::bind("127.0.0.1:0").map_err(free)?.local_addr().map_err(free)?;
    let tcp = TcpListener::bind("127.0.0.1:0").map_err(free)?.local_addr().map_err(free)?;
    let relay = runtime
        .block_on(UdpRelay::start(udp, control.clone()))
        .map_err(|error| failed("start a relay", &error))?;
    let (own, name) = (dir.join(name(region)), name(region));
    let (listen, http, address) = (udp.to_string(), tcp.to_string(), relay.address().to_string());
    let init = ["--json", "init", "--dir", text(&own), "--name", &name, "--region", region];
    let ports = ["--listen", &listen, "--http", &http, "--advertise", &address];
    let output = concord(program, init.into_iter().chain(ports))?;
    let said: Json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let key = said["node"].as_str().unwrap_or_default().to_owned();
    Ok(Plan { region, dir: own, socket: udp, relay, key })
}

/// Starts a node and waits until it answers.
fn start(program: &Path, plan: Plan, context: &Context) -> Result<Node, CliError> {
    let log = |name: &str| {
        File::create(plan.dir.join(name)).map_err(|error| failed("write a log file", &error))
    };
    let mut command = command(program);
    command
        .args(["run", "--until-stdin-closes", "--dir", text(&plan.dir)])
        .envs(QUICK)
        .stdin(Stdio::piped())
        .stdout(log("out.log")?)
        .stderr(log("err.log")?);
    // Ctrl-C is for the demo: it ends the nodes when the last figures are read.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let process = command.spawn().map_err(|error| failed("start a node", &error))?;
    let client = context.client(&Target { dir: plan.dir.clone(), url: None, token: None })?;
    let region = plan.region.to_owned();
    let (dir, socket, relay) = (plan.dir, plan.socket, plan.relay);
    let mut node = Node { region, client, dir, socket, process, _relay: relay };
    let clock = Stopwatch::start();
    while node.client.ask(&Request::get("/v1/health")).is_err() {
        let ended = node.process.try_wait().ok().flatten();
        if ended.is_some() || clock.elapsed() > START_TIME {
            return Err(CliError::Unreachable(format!(
                "The node {} did not start. {}",
                node.region,
                last_words(&node.dir.join("err.log"))
            )));
        }
        std::thread::sleep(ASK_EVERY);
    }
    Ok(node)
}

fn last_words(log: &Path) -> String {
    let lines = File::open(log).map(|file| BufReader::new(file).lines().map_while(Result::ok));
    lines.ok().and_then(Iterator::last).unwrap_or_default()
}

/// This same program, without what the user's environment says about other nodes.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CONCORD_")) {
            command.env_remove(name);
        }
    }
    command
}

/// Gives a command to this same program and waits for its end.
fn concord<'a>(
    program: &Path,
    arguments: impl IntoIterator<Item = &'a str>,
) -> Result<Output, CliError> {
    let arguments: Vec<&str> = arguments.into_iter().collect();
    let output = command(program)
        .args(&arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed("run a command", &error))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(CliError::Unreachable(format!(
        "The command \"concord {}\" failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

fn name(region: &str) -> String {
    region.to_lowercase()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

fn failed(what: &str, error: &dyn std::error::Error) -> CliError {
    CliError::Unreachable(format!("The demo cannot {what}: {error}."))
}
