//! `concord run`: one node, until it is told to stop.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::init::sentence;
use super::network::file::load_roster;
use super::{CliError, Context, Exit, stores};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::driver::{self, Running, Settings, StartError};
use crate::http;
use crate::http::token::{Keyring, Tokens};
use crate::identity::NodeKey;
use crate::kv::Op;
use crate::replica::node_id::NodeId;
use crate::replica::numbers;
use crate::replica::records::Records;
use crate::replica::roster::Roster;
use crate::shutdown::Shutdown;
use crate::store::{DiskStore, Mark, OpenError, Store as _, StoreOptions, Watermark};
use crate::telemetry;
use crate::transport::TransportConfig;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directory of the node
    #[arg(long, env = "CONCORD_DIR", default_value = config::DIR, value_name = "DIR")]
    dir: PathBuf,
    /// UDP address for peers, in place of the configured one
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// TCP address for HTTP, in place of the configured one
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<String>,
    /// Names of the only peers to have links with, separated by commas
    #[arg(long, value_name = "NAMES")]
    connect: Option<String>,
    /// error, warn, info, debug, trace, or directives
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// text or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Serve although the store lost data that no peer can give back
    #[arg(long)]
    accept_loss: bool,
    /// Stop when standard input is closed, for example because the parent process is gone
    #[arg(long)]
    until_stdin_closes: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let flags = [
        ("listen", args.listen.clone()),
        ("http", args.http.clone()),
        ("connect", args.connect.clone()),
        ("log.level", args.log_level.clone()),
        ("log.format", args.log_format.clone()),
    ];
    let config = Config::with_flags(&args.dir, &flags)
        .map_err(|error| CliError::Refused(error.to_string()))?;
    telemetry::init(&config.log_level, config.log_format);
    let prepared = Prepared::open(args, config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Unreachable(format!("No thread can be started: {error}.")))?;
    let until = Until { stdin: args.until_stdin_closes };
    let ended = runtime.block_on(prepared.serve(until, context));
    // After a second signal something may still be under way; it is not waited for.
    runtime.shutdown_background();
    ended
}

/// When to stop, besides signals.
#[derive(Debug, Clone, Copy)]
struct Until {
    /// Standard input is closed.
    stdin: bool,
}

/// The store's name in the watermark, and the position that it should have reached, if it did not.
pub(super) type Identity = (crate::store::StoreId, Option<u64>);

/// Everything that a node is made of, read and checked before anything runs.
struct Prepared {
    config: Config,
    key: NodeKey,
    roster: Roster,
    tokens: (Tokens, PathBuf),
    store: DiskStore,
    watermark: Watermark,
    identity: Identity,
}

impl Prepared {
    fn open(args: &Args, config: Config) -> Result<Self, CliError> {
        let dir = &args.dir;
        let refused = |error: &dyn std::fmt::Display| CliError::Refused(sentence(error));
        let key = NodeKey::load(&dir.join(config::KEY_FILE)).map_err(|error| refused(&error))?;
        let path = dir.join(config::TOKENS_FILE);
        let tokens = (Tokens::load(&path).map_err(|error| refused(&error))?, path);
        let roster_path = dir.join(config::ROSTER_FILE);
        if !roster_path.exists() {
            return Err(CliError::Refused(format!(
                "{} has no roster, so the node does not know its network. Bring the file that the \
                 operator sent: concord network join --dir {} ROSTER.",
                dir.display(),
                dir.display()
            )));
        }
        let roster = load_roster(&roster_path)?;
        warn_of_differences(&config, &key.id(), &roster);
        let (store, mut identity, mut watermark) = open_store(dir, &config)?;
        if args.accept_loss && identity.1.take().is_some() {
            tracing::warn!("what the store lost is given up, as --accept-loss says");
            // Which customer numbers were given out in what is lost, nobody knows any more.
            let mark = [Op::Put(numbers::LOST.to_vec(), Vec::new())];
            let unreachable =
                |error: &dyn std::fmt::Display| CliError::Unreachable(sentence(error));
            store.apply(&mark, true).map_err(|error| unreachable(&error))?;
            // Given up once is given up for good, also when the node is killed before it writes.
            let logs = Records::new(&store).logs().map_err(|error| unreachable(&error))?;
            let position = logs.values().map(|held| held.seq).sum();
            let mark = Mark { store: identity.0, position, records: None };
            watermark.replace(mark).map_err(|error| unreachable(&error))?;
        }
        Ok(Self { config, key, roster, tokens, store, watermark, identity })
    }

    async fn serve(self, until: Until, context: &Context) -> Result<Exit, CliError> {
        let Self { config, key, roster, tokens, store, watermark, identity } = self;
        let mut shutdown = Shutdown::listen().map_err(|error| {
            CliError::Unreachable(format!("The system refuses to hand over signals: {error}."))
        })?;
        let listener = TcpListener::bind(config.http)
            .await
            .map_err(|error| http_error(config.http, &error))?;
        let http = listener.local_addr().unwrap_or(config.http);
        let (name, region, node) = (config.name.clone(), config.region.clone(), key.id());
        let (store_id, behind) = identity;
        let settings = settings(&config, key, roster, (store_id, behind));
        let mut running =
            driver::start(settings, store, watermark).await.map_err(|error| start_error(&error))?;
        let tokens = Keyring::follow(tokens.0, tokens.1);
        let router = http::router(running.handle.clone(), tokens, Clock::system());
        let (stop_http, http_stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(http::serve(listener, router, async {
            // The sender goes away in any case.
            drop(http_stopped.await);
        }));
        let listen = running.local_addr;
        let ready = json!({
            "ready": true, "node": node, "name": name, "region": region,
            "http": format!("http://{http}"), "listen": listen.to_string(),
        });
        context.show(&ready, |_| {
            format!("node {name} ({region}) is ready: http://{http}, peers on UDP {listen}")
        })?;
        let why = tokio::select! {
            signal = shutdown.requested() => Ok(signal),
            () = stdin_closed(), if until.stdin => Ok("the end of standard input"),
            fault = running.failed() => Err(fault),
        };
        match &why {
            Ok(why) => tracing::info!(why, "stopping"),
            Err(fault) => tracing::error!(fault, "the store failed; the node stops"),
        }
        let stopping = stop(running, stop_http, serving);
        tokio::select! {
            () = stopping => tracing::info!("stopped"),
            signal = shutdown.requested() => tracing::warn!(signal, "stopped at once"),
        }
        why.map(|_| Exit::Ok).map_err(|fault| CliError::Unreachable(sentence(&fault)))
    }
}

/// Requests under way are answered, then the node ends.
async fn stop(
    running: Running,
    stop_http: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
) {
    drop(stop_http);
    if let Err(error) = serving.await {
        tracing::error!(%error, "the HTTP interface ended by a defect");
    }
    running.stop().await;
}

/// Opens the store and looks whether it is where it was.
pub(super) fn open_store(
    dir: &Path,
    config: &Config,
) -> Result<(DiskStore, Identity, Watermark), CliError> {
    let engine = stores::engine(config)?;
    let unreachable = |error: &dyn std::fmt::Display| CliError::Unreachable(sentence(error));
    stores::settle(dir)?;
    let options = StoreOptions {
        engine: Some(engine),
        cache_bytes: config.store_cache_mib << 20,
        ..StoreOptions::default()
    };
    let opened = DiskStore::open(&dir.join(config::STORE_DIR), &options);
    let (store, report) = opened.map_err(|error| {
        // The configuration and the store do not go together, or the store cannot be had now.
        let is_refusal = matches!(error, OpenError::Engine { .. });
        if is_refusal { CliError::Refused(sentence(&error)) } else { unreachable(&error) }
    })?;
    stores::clear(dir)?;
    let watermark =
        Watermark::load(&dir.join(config::WATERMARK_FILE)).map_err(|error| unreachable(&error))?;
    let commits = Records::new(&store).commits_applied().map_err(|error| unreachable(&error))?;
    let behind = watermark.check(report.store, commits);
    if let Err(loss) = &behind {
        tracing::error!(
            %loss,
            "the node serves nothing until it has fetched the rest from its peers; --accept-loss gives it up"
        );
    }
    let missing = behind.err().map(|loss| loss.expected.position);
    Ok((store, (report.store, missing), watermark))
}

pub(super) fn settings(
    config: &Config,
    key: NodeKey,
    roster: Roster,
    (store, behind): Identity,
) -> Settings {
    Settings {
        key,
        roster,
        listen: config.listen,
        connect: config.connect.clone(),
        heartbeat: config.heartbeat,
        transport: TransportConfig {
            idle_timeout: config.idle_timeout,
            // Two may be lost before the silence counts.
            keep_alive: config.idle_timeout / 3,
            ..TransportConfig::default()
        },
        store,
        behind,
    }
}

/// The roster has the last word; an operator should know when the file says something else.
fn warn_of_differences(config: &Config, node: &NodeId, roster: &Roster) {
    let members = roster.members();
    let Some(member) = members.get(node) else {
        tracing::warn!(%node, "the roster does not name this node yet; it waits for its admission");
        return;
    };
    if member.name != config.name || member.region != config.region {
        tracing::warn!(
            roster_name = member.name, roster_region = %member.region,
            name = config.name, region = %config.region,
            "the roster calls this node otherwise than the configuration; the roster counts"
        );
    }
    if member.addresses != config.advertise {
        tracing::warn!(
            roster = ?member.addresses, configured = ?config.advertise,
            "peers are told other addresses than those to advertise; let the operator admit it again"
        );
    }
}

fn http_error(address: SocketAddr, error: &io::Error) -> CliError {
    let (ip, port) = (address.ip(), address.port());
    CliError::Unreachable(if error.kind() == io::ErrorKind::AddrInUse {
        format!(
            "TCP port {port} on {ip} is taken by another program, perhaps by another node: stop it, \
             or choose another port with http in {} or --http.",
            config::CONFIG_FILE
        )
    } else if error.kind() == io::ErrorKind::AddrNotAvailable {
        format!(
            "{ip} is not an address of this machine: set http in {} to one that is.",
            config::CONFIG_FILE
        )
    } else {
        format!("TCP {address} cannot be listened on: {error}.")
    })
}

pub(super) fn start_error(error: &StartError) -> CliError {
    let text = sentence(error);
    match error {
        StartError::Load(crate::replica::LoadError::Roster(_)) => CliError::Refused(text),
        StartError::Load(_)
        | StartError::Bind(_)
        | StartError::Store(_)
        | StartError::System(_) => CliError::Unreachable(text),
    }
}

/// Waits until nobody can write to standard input any more. The thread that reads ends with the
/// process.
async fn stdin_closed() {
    let (closed, told) = oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        let mut stdin = io::stdin().lock();
        while matches!(stdin.read(&mut buffer), Ok(length) if length > 0) {}
        // Nobody waits any more when the node stops for another reason.
        let _ = closed.send(());
    });
    drop(told.await);
}
