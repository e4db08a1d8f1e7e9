//! `concord bootstrap`: a new node is filled from one peer, and then proved equal to others, before it
//! serves. It is the ordinary exchange without HTTP: what was applied stays, so it goes on after a kill.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value as Json, json};

use super::init::sentence;
use super::network::file::load_roster;
use super::run::{open_store, settings, start_error};
use super::{CliError, Context, Exit};
use crate::clock::Stopwatch;
use crate::config::{self, Config};
use crate::driver::{self, Running};
use crate::identity::NodeKey;
use crate::replica::roster::Roster;
use crate::replica::status::{PeerStatus, Status};
use crate::shutdown::Shutdown;

/// How often the state of the node is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long nothing more may come until a peer counts as having given what it told of.
const QUIET: Duration = Duration::from_secs(2);
/// The same for a peer that is written to all the time.
const LEVEL: Duration = Duration::from_secs(60);
/// Peers that must be proved equal, where there are so many.
const PROOFS: usize = 2;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the peer to fetch from, as the roster has it
    #[arg(long, value_name = "NAME")]
    from: String,
    /// Directory of the new node
    #[arg(long, env = "CONCORD_DIR", default_value = config::DIR, value_name = "DIR")]
    dir: PathBuf,
    /// Seconds without progress after which it gives up
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    patience: u32,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let refused = |error: &dyn std::fmt::Display| CliError::Refused(sentence(error));
    let config = Config::load(&args.dir).map_err(|error| CliError::Refused(error.to_string()))?;
    let key = NodeKey::load(&args.dir.join(config::KEY_FILE)).map_err(|error| refused(&error))?;
    let roster = load_roster(&args.dir.join(config::ROSTER_FILE))?;
    let members = roster.members();
    if !members.contains_key(&key.id()) {
        return Err(CliError::Refused(format!(
            "The roster does not name this node, so no peer talks to it. Let the operator admit {}, and \
             bring the new roster: concord network join --dir {} ROSTER.",
            key.id(),
            args.dir.display()
        )));
    }
    let others: Vec<&str> = members
        .values()
        .filter(|member| member.node != key.id())
        .map(|member| member.name.as_str())
        .collect();
    if !others.contains(&args.from.as_str()) {
        return Err(CliError::Refused(format!(
            "The roster names no peer {:?}. It has: {}.",
            args.from,
            others.join(", ")
        )));
    }
    let wanted = PROOFS.min(others.len());
    let node = New { dir: &args.dir, config, roster, patience: args.patience };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Unreachable(format!("No thread can be started: {error}.")))?;
    let ended = runtime.block_on(node.bootstrap(&args.from, wanted));
    runtime.shutdown_background();
    let said = ended?;
    let is_proved = said["proved"].as_bool() == Some(true);
    context.show(&said, people)?;
    Ok(if is_proved { Exit::Ok } else { Exit::Differences })
}

/// The new node.
struct New<'a> {
    dir: &'a Path,
    config: Config,
    roster: Roster,
    patience: u32,
}

/// Which peers were seen to hold and show the same, and by which digests.
type Proofs = BTreeMap<String, (String, String)>;

impl New<'_> {
    async fn bootstrap(mut self, from: &str, wanted: usize) -> Result<Json, CliError> {
        let mut shutdown = Shutdown::listen().map_err(|error| {
            CliError::Unreachable(format!("The system refuses to hand over signals: {error}."))
        })?;
        let clock = Stopwatch::start();
        // From one peer alone: from several, each would send everything.
        self.config.connect = vec![from.to_owned()];
        let running = self.start().await?;
        let filled = tokio::select! {
            filled = self.fill(&running, from) => filled,
            signal = shutdown.requested() => Err(CliError::Unreachable(stopped(signal))),
        };
        running.stop().await;
        let (bytes, begun) = filled?;
        self.config.connect = Vec::new();
        let running = self.start().await?;
        let (proofs, status) = tokio::select! {
            proved = self.prove(&running, wanted) => proved,
            signal = shutdown.requested() => {
                running.stop().await;
                return Err(CliError::Unreachable(stopped(signal)));
            }
        };
        running.stop().await;
        Ok(told(&status, &proofs, wanted, (bytes, begun, clock.elapsed())))
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.patience.into())
    }

    async fn start(&self) -> Result<Running, CliError> {
        let (store, identity, watermark) = open_store(self.dir, &self.config)?;
        let key = NodeKey::load(&self.dir.join(config::KEY_FILE))
            .map_err(|error| CliError::Refused(sentence(&error)))?;
        let settings = settings(&self.config, key, self.roster.clone(), identity);
        driver::start(settings, store, watermark).await.map_err(|error| start_error(&error))
    }

    /// Waits until the peer has nothing that this node lacks. Gives the bytes that came, and the
    /// commits that were there before.
    async fn fill(&self, running: &Running, from: &str) -> Result<(u64, u64), CliError> {
        let begun = running.handle.status().commits;
        let bar = progress();
        let (mut link, mut commits, mut level) =
            (Stillness::new(), Stillness::new(), Stillness::new());
        loop {
            let status = running.handle.status();
            let Some(peer) = status.peers.iter().find(|peer| peer.name == from) else {
                return Err(CliError::Refused(format!(
                    "The roster does not name {from} any more."
                )));
            };
            let came = status.commits.saturating_sub(begun);
            bar.set_length(came + peer.ahead);
            bar.set_position(came);
            bar.set_message(rate(peer, came, bar.elapsed()));
            let quiet = commits.look((status.commits, 0));
            let has_given = peer.ahead == 0 && came > 0;
            let given = level.look((has_given.into(), 0));
            // A peer that is written to all the time is never quite equal; and of logs that ended it
            // does not tell how long they are, so that something may come after all it told of.
            let is_level = has_given && (quiet >= QUIET || given >= LEVEL);
            if peer.connected && (peer.equal_history || is_level) {
                bar.finish_and_clear();
                return Ok((peer.bytes_received, begun));
            }
            // Heartbeats alone are no progress.
            if link.look((peer.bytes_received / 65_536, status.commits)) >= self.patience() {
                bar.finish_and_clear();
                return Err(CliError::Unreachable(format!(
                    "{from} gave nothing for {} seconds: {}. {came} commits came and stay; give the \
                     command again.",
                    self.patience,
                    why(peer)
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until so many peers were seen to hold and show the same, as long as patience lasts.
    async fn prove(&self, running: &Running, wanted: usize) -> (Proofs, Status) {
        let mut proofs = Proofs::new();
        let bar = super::stores::spinner();
        let mut peers = Stillness::new();
        loop {
            let status = running.handle.status();
            let is_equal =
                |peer: &&PeerStatus| peer.connected && peer.equal_history && peer.equal_golden;
            for peer in status.peers.iter().filter(is_equal) {
                let digests = (status.history_digest.clone(), status.golden_digest.clone());
                proofs.insert(peer.name.clone(), digests);
            }
            bar.set_message(format!("equal to {} of {wanted} peers", proofs.len()));
            // Catching up is progress; being written to all the time is none.
            let catches_up = status.peers.iter().any(|peer| peer.connected && peer.ahead > 0);
            let commits = if catches_up { status.commits } else { 0 };
            let still = peers.look((commits, proofs.len() as u64));
            if proofs.len() >= wanted || still >= self.patience() {
                bar.finish_and_clear();
                return (proofs, Status::clone(&status));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Since when something has stood still.
struct Stillness {
    seen: (u64, u64),
    since: Stopwatch,
}

impl Stillness {
    fn new() -> Self {
        Self { seen: (0, 0), since: Stopwatch::start() }
    }

    /// For how long it has been what it is now.
    fn look(&mut self, now: (u64, u64)) -> Duration {
        if now != self.seen {
            (self.seen, self.since) = (now, Stopwatch::start());
        }
        self.since.elapsed()
    }
}

fn stopped(signal: &str) -> String {
    format!("Stopped by {signal}. What came stays; give the command again to go on.")
}

fn why(peer: &PeerStatus) -> String {
    match (&peer.last_error, peer.connected) {
        (Some(error), false) => error.clone(),
        (None, false) => "it was not reached".to_owned(),
        (_, true) => "the link is up and nothing comes".to_owned(),
    }
}

fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let template = "fetch {bar:24} {pos}/{len} commits, {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// How much came, how fast, and how long the rest takes at that rate; the rest is what the peer told of.
fn rate(peer: &PeerStatus, came: u64, time: Duration) -> String {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    let bytes = peer.bytes_received;
    let a_second = bytes.saturating_mul(1_000) / milliseconds;
    let (bytes, a_second) = (indicatif::HumanBytes(bytes), indicatif::HumanBytes(a_second));
    if peer.ahead == 0 || came == 0 {
        return format!("{bytes}, {a_second}/s");
    }
    let left = milliseconds.saturating_mul(peer.ahead) / came;
    let left = indicatif::HumanDuration(Duration::from_millis(left));
    format!("{bytes}, {a_second}/s, at least {left} left")
}

fn told(
    status: &Status,
    proofs: &Proofs,
    wanted: usize,
    (bytes, begun, time): (u64, u64, Duration),
) -> Json {
    let proofs_json = proofs.iter().map(|(name, (history, golden))| {
        json!({"peer": name, "history_digest": history, "golden_digest": golden})
    });
    let open = status.peers.iter().filter(|peer| !proofs.contains_key(&peer.name)).map(|peer| {
        let what = match (peer.connected, peer.equal_history) {
            (false, _) => why(peer),
            (true, true) => "holds the same history and shows other golden records".to_owned(),
            (true, false) => {
                format!("differs: {} commits ahead, {} behind", peer.ahead, peer.behind)
            }
        };
        json!({"peer": peer.name, "why": what})
    });
    json!({
        "commits": status.commits, "customers": status.records, "before": begun, "bytes": bytes,
        "seconds": time.as_secs_f64(), "wanted": wanted, "proved": proofs.len() >= wanted,
        "equal": proofs_json.collect::<Vec<_>>(), "open": open.collect::<Vec<_>>(),
    })
}

fn people(json: &Json) -> String {
    let text = |json: &Json| super::show::text(json);
    let mut said = format!(
        "{} commits and {} customers are here; {} came in {:.1} s.\n",
        json["commits"],
        json["customers"],
        indicatif::HumanBytes(json["bytes"].as_u64().unwrap_or(0)),
        json["seconds"].as_f64().unwrap_or(0.0)
    );
    for proof in json["equal"].as_array().into_iter().flatten() {
        said.push_str(&format!(
            "{} holds and shows the same: history {}, golden {}.\n",
            text(&proof["peer"]),
            text(&proof["history_digest"]),
            text(&proof["golden_digest"])
        ));
    }
    let is_proved = json["proved"].as_bool() == Some(true);
    for peer in json["open"].as_array().into_iter().flatten().filter(|_| !is_proved) {
        said.push_str(&format!("{}: {}.\n", text(&peer["peer"]), text(&peer["why"])));
    }
    said.push_str(match is_proved {
        true => "Proved. Start it with \"concord run\".\n",
        false => {
            "Not proved by as many peers as there should be; give the command again, or run it.\n"
        }
    });
    said
}
