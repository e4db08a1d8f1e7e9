//! `concord init`: the directory of a new node.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crdt_model::id::{Region, SourceName};
use serde_json::json;

use super::network::file::{load_roster, write_whole};
use super::{CliError, Context, Exit};
use crate::config::{self, ENGINE_KEY, template};
use crate::http::token::file::{TokenEntry, TokenFile, hash_of, new_secret};
use crate::identity::{CreateKeyError, NodeKey};
use crate::replica::node_id::NodeId;
use crate::store::EngineKind;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directory of the new node
    #[arg(long, env = "CONCORD_DIR", default_value = config::DIR, value_name = "DIR")]
    dir: PathBuf,
    /// What people call the node, for example emea-1
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The region that it serves, for example EMEA
    #[arg(long, value_name = "REGION")]
    region: Region,
    /// UDP address for its peers
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:7400")]
    listen: SocketAddr,
    /// Where peers reach it (may be given several times), or none: it only calls others
    #[arg(long, value_name = "HOST:PORT|none")]
    advertise: Vec<String>,
    /// TCP address for HTTP
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7401")]
    http: SocketAddr,
    /// The store engine: sled or redb
    #[arg(long, value_name = "ENGINE", default_value_t = EngineKind::default())]
    engine: EngineKind,
    /// The roster file of the network, if there is one already
    #[arg(long, value_name = "ROSTER")]
    network: Option<PathBuf>,
}

/// What a new node is to be.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) region: Region,
    pub(super) listen: SocketAddr,
    pub(super) advertise: Vec<String>,
    pub(super) http: SocketAddr,
    /// Further keys of the configuration, with their values as TOML.
    pub(super) further: Vec<(&'static str, String)>,
}

pub(super) fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let advertise = match &args.advertise[..] {
        [one] if one == "none" => Vec::new(),
        several => several.to_vec(),
    };
    let roster = args.network.as_deref().map(load_roster).transpose()?;
    let plan = Plan {
        name: args.name,
        region: args.region,
        listen: args.listen,
        advertise,
        http: args.http,
        further: engine_setting(args.engine),
    };
    let node = create(&args.dir, &plan)?;
    if let Some(roster) = &roster {
        write_whole(&args.dir.join(config::ROSTER_FILE), &roster.encode())?;
    }
    let admit = admit_line(&node, &plan);
    let dir = args.dir.display();
    let json = json!({"node": node.to_string(), "dir": args.dir, "admit": admit});
    context.show(&json, |_| {
        let network = roster.as_ref().map_or_else(
            || format!("  concord network join --dir {dir} ROSTER   (the file that the operator sends)\n"),
            |roster| format!("  (the roster of {} is in place)\n", roster.name()),
        );
        let outbound = if plan.advertise.is_empty() {
            "No --advertise: other nodes cannot call this one, it calls them.\n"
        } else {
            ""
        };
        format!(
            "Node {} is in {dir}; keep its node.key secret and safe.\n\
             id {node}\n{outbound}\n\
             For the operator of the network, to admit it:\n  {admit}\n\n\
             Then here:\n{network}  concord run --dir {dir}\n",
            plan.name
        )
    })?;
    Ok(Exit::Ok)
}

/// Only what is not the default is set.
fn engine_setting(engine: EngineKind) -> Vec<(&'static str, String)> {
    let set = (engine != EngineKind::default()).then(|| (ENGINE_KEY, format!("\"{engine}\"")));
    set.into_iter().collect()
}

/// The command with which an operator admits the node.
pub(super) fn admit_line(node: &NodeId, plan: &Plan) -> String {
    let addresses: String =
        plan.advertise.iter().map(|address| format!(" --address {address}")).collect();
    format!(
        "concord network admit --dir ./network --node {node} --name {} --region {}{addresses}",
        plan.name, plan.region
    )
}

/// Makes the directory of a node. A key and tokens that are there already are kept, so that an
/// interrupted call can be repeated; a configuration is never overwritten.
pub(super) fn create(dir: &Path, plan: &Plan) -> Result<NodeId, CliError> {
    let config = dir.join(config::CONFIG_FILE);
    if config.exists() {
        return Err(CliError::Refused(format!(
            "There is a node in {} already, and it is kept as it is. Name another directory with \
             --dir.",
            dir.display()
        )));
    }
    let text = config_text(plan);
    config::Config::check(&config, &text).map_err(|error| CliError::Usage(error.to_string()))?;
    let failed = |path: &Path, error: &io::Error| {
        CliError::Unreachable(format!("{} cannot be written: {error}.", path.display()))
    };
    create_private_dir(dir).map_err(|error| failed(dir, &error))?;
    let key_path = dir.join(config::KEY_FILE);
    let key = match NodeKey::create(&key_path) {
        Ok(key) => key,
        Err(CreateKeyError::Exists { .. }) => {
            NodeKey::load(&key_path).map_err(|error| CliError::Refused(sentence(&error)))?
        }
        Err(error) => return Err(CliError::Unreachable(sentence(&error))),
    };
    create_tokens(dir, &plan.region)?;
    // Last: with it, the node is there.
    write_new(&config, &text).map_err(|error| failed(&config, &error))?;
    Ok(key.id())
}

fn config_text(plan: &Plan) -> String {
    let quoted = |text: &dyn ToString| format!("{:?}", text.to_string());
    let mut set = vec![
        ("name", quoted(&plan.name)),
        ("region", quoted(&plan.region)),
        ("listen", quoted(&plan.listen)),
        ("advertise", format!("{:?}", plan.advertise)),
        ("http", quoted(&plan.http)),
    ];
    set.extend(plan.further.iter().cloned());
    template(&set)
}

/// Makes the first token: its secret for the command line of this machine, its hash for the node. Files
/// that are there are kept.
fn create_tokens(dir: &Path, region: &Region) -> Result<(), CliError> {
    let (path, tokens) = (dir.join(config::ADMIN_TOKEN_FILE), dir.join(config::TOKENS_FILE));
    let failed = |path: &Path, error: &io::Error| {
        CliError::Unreachable(format!("{} cannot be written: {error}.", path.display()))
    };
    if tokens.exists() {
        return Ok(());
    }
    let fresh = new_secret().map_err(|error| {
        CliError::Unreachable(format!("The system gave no random numbers: {error}."))
    })?;
    let secret = match write_new(&path, &format!("{fresh}\n")) {
        Ok(()) => fresh,
        // An interrupted call came so far.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let text = fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
            text.trim().to_owned()
        }
        Err(error) => return Err(failed(&path, &error)),
    };
    let source = source_of(region)?;
    let admin = TokenEntry {
        name: Some("admin".to_owned()),
        hash: Some(hash_of(&secret)),
        secret: None,
        principal: "admin".to_owned(),
        source,
        any_source: true,
        write: true,
        expires: None,
    };
    let file = TokenFile { tokens: vec![admin] };
    write_new(&tokens, &file.text()).map_err(|error| failed(&tokens, &error))
}

/// The source of people who type in a region.
pub(super) fn source_of(region: &Region) -> Result<SourceName, CliError> {
    let source = format!("manual-{}", region.as_str().to_ascii_lowercase());
    source.parse().map_err(|fault| CliError::Usage(format!("{fault}.")))
}

#[cfg(unix)]
fn create_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn create_private_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

/// Writes a file that only its owner reads; one that is there is not touched.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// An error text with a capital and a full stop.
pub(super) fn sentence(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
