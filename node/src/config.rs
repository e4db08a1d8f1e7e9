//! The configuration of a node: `concord.toml`, overridden by the environment and by flags.
//!
//! [`DEFAULTS`] is the one table of every key. The parser, the file that `concord init` writes and
//! the nearest-key hints are made from it, and a test holds `docs/operations.md` against it. Not the
//! roster: who belongs to the network is signed and replicated, not configured.

mod edit;
mod file;
mod kind;
mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crdt_model::id::Region;

pub use self::edit::set_word;
pub use self::kind::Kind;
pub use self::template::template;

/// Where a node keeps everything, unless `--dir` or `CONCORD_DIR` says otherwise.
pub const DIR: &str = "./concord-data";
/// The configuration, in the directory of a node.
pub const CONFIG_FILE: &str = "concord.toml";
/// The private key, in the directory of a node.
pub const KEY_FILE: &str = "node.key";
/// The tokens, in the directory of a node.
pub const TOKENS_FILE: &str = "tokens.toml";
/// The secret with which the command line asks the node of this machine, in the directory of a node.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";
/// The roster as the operator brought it, in the directory of a node or of a network.
pub const ROSTER_FILE: &str = "roster";
/// The store, in the directory of a node.
pub const STORE_DIR: &str = "store";
/// How far the store had come, in the directory of a node.
pub const WATERMARK_FILE: &str = "watermark";

/// The key that names the engine of the store.
pub const ENGINE_KEY: &str = "store.engine";

/// One key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The key, its table before the dot.
    pub key: &'static str,
    /// The value when nothing else is said, as TOML; none: it must be set.
    pub default: Option<&'static str>,
    /// What it takes.
    pub kind: Kind,
    /// The unit, or what one entry is.
    pub unit: &'static str,
    /// What it does, and what more or less of it costs.
    pub meaning: &'static str,
}

/// Every key, in the order of the file.
pub const DEFAULTS: &[Setting] = &[
    Setting {
        key: "name",
        default: None,
        kind: Kind::Name,
        unit: "name",
        meaning: "What people call this node. The roster has the last word.",
    },
    Setting {
        key: "region",
        default: None,
        kind: Kind::Region,
        unit: "region",
        meaning: "The business territory that this node serves. The roster has the last word.",
    },
    Setting {
        key: "listen",
        default: Some("\"0.0.0.0:7400\""),
        kind: Kind::Address,
        unit: "address:port, UDP",
        meaning: "Where this node takes calls of its peers (QUIC). Use \"[::]:7400\" for IPv6. An \
                  outbound-only node listens too; nobody needs to reach it.",
    },
    Setting {
        key: "advertise",
        default: Some("[]"),
        kind: Kind::Addresses,
        unit: "list of host:port",
        meaning: "Where peers reach this node, as they see it; empty: it only calls others. The \
                  operator puts it into the roster, and the roster is what counts.",
    },
    Setting {
        key: "http",
        default: Some("\"127.0.0.1:7401\""),
        kind: Kind::Address,
        unit: "address:port, TCP",
        meaning: "Where this node serves HTTP to people and programs. It is not encrypted: keep it \
                  on this machine or put a proxy with TLS before it.",
    },
    Setting {
        key: "connect",
        default: Some("[]"),
        kind: Kind::Names,
        unit: "list of node names",
        meaning: "The only peers to have links with; empty: every member of the roster. Changes \
                  still reach everybody when the links form one connected net.",
    },
    Setting {
        key: "log.level",
        default: Some("\"info\""),
        kind: Kind::Level,
        unit: "error, warn, info, debug, trace, or directives",
        meaning: "How much is logged, to standard error. debug tells every link and block; trace \
                  is for developers.",
    },
    Setting {
        key: "log.format",
        default: Some("\"text\""),
        kind: Kind::Word(&["text", "json"]),
        unit: "word",
        meaning: "text for people, json (one object a line) for log collectors.",
    },
    Setting {
        key: ENGINE_KEY,
        default: Some("\"sled\""),
        kind: Kind::Word(&["sled", "redb"]),
        unit: "word",
        meaning: "Which engine holds the store; docs/storage.md says when to choose which. A store that is \
                  there moves to another one with concord store migrate, which also changes this line.",
    },
    Setting {
        key: "store.cache_mib",
        default: Some("160"),
        kind: Kind::Whole(16, 65_536),
        unit: "MiB",
        meaning: "What the store keeps in memory; on sled the process takes about twice this. More \
                  makes reads of a large store faster.",
    },
    Setting {
        key: "sync.heartbeat_ms",
        default: Some("2000"),
        kind: Kind::Whole(100, 60_000),
        unit: "milliseconds",
        meaning: "How often digests and clocks are told to each peer. Less notices a difference \
                  sooner and costs about 100 bytes a beat and peer. Below sync.idle_timeout_ms.",
    },
    Setting {
        key: "sync.idle_timeout_ms",
        default: Some("15000"),
        kind: Kind::Whole(1_000, 600_000),
        unit: "milliseconds",
        meaning: "Silence after which a link counts as down. Less notices a cut sooner; more \
                  survives longer gaps of a bad line.",
    },
];

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A valid configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What people call this node.
    pub name: String,
    /// Its region.
    pub region: Region,
    /// The UDP address for peers.
    pub listen: SocketAddr,
    /// Where peers reach it; empty: outbound only.
    pub advertise: Vec<String>,
    /// The TCP address for HTTP.
    pub http: SocketAddr,
    /// The only peers to have links with; empty: all.
    pub connect: Vec<String>,
    /// The log filter.
    pub log_level: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The name of the engine that holds the store.
    pub store_engine: String,
    /// What the store caches, in MiB.
    pub store_cache_mib: u64,
    /// How often digests are told.
    pub heartbeat: Duration,
    /// Silence after which a link is down.
    pub idle_timeout: Duration,
}

/// Why there is no configuration. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file.
    #[error(
        "There is no node in {}: {CONFIG_FILE} is missing. Make one with \"concord init --dir {} \
         --name NAME --region REGION\", or name another directory with --dir.",
        dir.display(), dir.display()
    )]
    Missing {
        /// The directory of the node.
        dir: PathBuf,
    },
    /// The disk refused.
    #[error("{} cannot be read: {source}.", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not TOML.
    #[error("{origin}: {reason}.")]
    Malformed {
        /// The file and line.
        origin: Origin,
        /// What the parser said.
        reason: String,
    },
    /// A key that there is not.
    #[error("{origin}: there is no key \"{key}\".{}", did_you_mean(key))]
    UnknownKey {
        /// The file and line.
        origin: Origin,
        /// The key as it is written.
        key: String,
    },
    /// A value that the key does not take.
    #[error("{origin}: {key} takes {takes}, not {given}.")]
    Value {
        /// Where the value comes from.
        origin: Origin,
        /// The key.
        key: &'static str,
        /// What it takes.
        takes: String,
        /// What was given.
        given: String,
    },
    /// A key without default is not set.
    #[error("{} does not set {key}; add a line such as {key} = {example}.", path.display())]
    Unset {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What it could be.
        example: &'static str,
    },
    /// Two values that do not go together.
    #[error(
        "{origin}: sync.heartbeat_ms ({heartbeat_ms}) must be below sync.idle_timeout_ms \
         ({idle_timeout_ms}), else every link times out between two beats."
    )]
    Relation {
        /// Where the heartbeat comes from.
        origin: Origin,
        /// The heartbeat.
        heartbeat_ms: u64,
        /// The timeout.
        idle_timeout_ms: u64,
    },
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The table of this file.
    Default,
    /// A line of the configuration file.
    Line(PathBuf, usize),
    /// A variable of the environment.
    Variable(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value as it is written, before its key judges it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Raw {
    Text(String),
    Whole(i64),
    List(Vec<String>),
    /// Anything else that TOML knows.
    Other(String),
}

type Layers = BTreeMap<&'static str, (Raw, Origin)>;

impl Config {
    /// Reads the configuration of the node in `dir`, with the environment of this process.
    ///
    /// # Errors
    /// [`ConfigError`], with file and line.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        Self::with_flags(dir, &[])
    }

    /// As [`Self::load`]; flags, each with its key, win over everything.
    ///
    /// # Errors
    /// [`ConfigError`], with the file and line, variable or flag.
    pub fn with_flags(
        dir: &Path,
        flags: &[(&'static str, Option<String>)],
    ) -> Result<Self, ConfigError> {
        let path = dir.join(CONFIG_FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                ConfigError::Missing { dir: dir.to_owned() }
            } else {
                ConfigError::Unreadable { path: path.clone(), source }
            }
        })?;
        Self::layered(&path, &text, &|name| std::env::var(name).ok(), flags)
    }

    /// Judges the text of a file by itself, without the environment.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn check(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::layered(path, text, &|_| None, &[])
    }

    /// The configuration from a text, an environment and flags.
    fn layered(
        path: &Path,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
        flags: &[(&'static str, Option<String>)],
    ) -> Result<Self, ConfigError> {
        let mut layers = file::parse(path, text)?;
        for setting in DEFAULTS {
            let flag = flags.iter().find(|(key, _)| *key == setting.key);
            let variable = variable(setting.key);
            if let Some(text) = flag.and_then(|(_, text)| text.as_ref()) {
                let origin = Origin::Flag(format!("--{}", setting.key.replace(['.', '_'], "-")));
                layers.insert(setting.key, (setting.kind.raw(text), origin));
            } else if let Some(text) = environment(&variable) {
                layers.insert(setting.key, (setting.kind.raw(&text), Origin::Variable(variable)));
            }
        }
        Self::judge(path, &layers)
    }

    fn judge(path: &Path, layers: &Layers) -> Result<Self, ConfigError> {
        let read = Reader { path, layers };
        let heartbeat_ms = read.whole("sync.heartbeat_ms")?;
        let idle_timeout_ms = read.whole("sync.idle_timeout_ms")?;
        if heartbeat_ms >= idle_timeout_ms {
            let origin = ["sync.heartbeat_ms", "sync.idle_timeout_ms"]
                .iter()
                .find_map(|key| layers.get(key).map(|(_, origin)| origin.clone()))
                .unwrap_or(Origin::Default);
            return Err(ConfigError::Relation { origin, heartbeat_ms, idle_timeout_ms });
        }
        Ok(Self {
            name: read.text("name")?,
            region: read.parsed("region")?,
            listen: read.parsed("listen")?,
            advertise: read.list("advertise")?,
            http: read.parsed("http")?,
            connect: read.list("connect")?,
            log_level: read.text("log.level")?,
            log_format: match read.text("log.format")?.as_str() {
                "json" => LogFormat::Json,
                _ => LogFormat::Text,
            },
            store_engine: read.text(ENGINE_KEY)?,
            store_cache_mib: read.whole("store.cache_mib")?,
            heartbeat: Duration::from_millis(heartbeat_ms),
            idle_timeout: Duration::from_millis(idle_timeout_ms),
        })
    }

    /// The address at which this machine reaches the node's HTTP interface.
    #[must_use]
    pub fn http_url(&self) -> String {
        let mut address = self.http;
        // A wildcard address is one to listen on, not one to call.
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        format!("http://{address}")
    }
}

/// The variable of the environment that overrides a key: `CONCORD_LOG_LEVEL` for `log.level`.
#[must_use]
pub fn variable(key: &str) -> String {
    format!("CONCORD_{}", key.to_ascii_uppercase().replace('.', "_"))
}

/// Reads judged values out of the layers.
struct Reader<'a> {
    path: &'a Path,
    layers: &'a Layers,
}

impl Reader<'_> {
    /// The value of a key, which its kind has accepted.
    fn value(&self, key: &str) -> Result<(Raw, Origin), ConfigError> {
        // Keys are written once, in this file; a wrong one shows in every test as an unset "name".
        let setting = DEFAULTS.iter().find(|setting| setting.key == key).unwrap_or(&DEFAULTS[0]);
        let (raw, origin) = match (self.layers.get(setting.key), setting.default) {
            (Some(layer), _) => layer.clone(),
            (None, Some(default)) => (file::value(default), Origin::Default),
            (None, None) => {
                let example = if setting.kind == Kind::Region { "\"EMEA\"" } else { "\"emea-1\"" };
                let (path, key) = (self.path.to_owned(), setting.key);
                return Err(ConfigError::Unset { path, key, example });
            }
        };
        if setting.kind.takes(&raw) {
            return Ok((raw, origin));
        }
        let (takes, given) = (setting.kind.to_string(), raw.to_string());
        Err(ConfigError::Value { origin, key: setting.key, takes, given })
    }

    fn text(&self, key: &str) -> Result<String, ConfigError> {
        Ok(match self.value(key)?.0 {
            Raw::Text(text) => text,
            other @ (Raw::Whole(_) | Raw::List(_) | Raw::Other(_)) => other.to_string(),
        })
    }

    fn whole(&self, key: &str) -> Result<u64, ConfigError> {
        Ok(match self.value(key)?.0 {
            Raw::Whole(number) => number.unsigned_abs(),
            Raw::Text(_) | Raw::List(_) | Raw::Other(_) => 0,
        })
    }

    fn list(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        Ok(match self.value(key)?.0 {
            Raw::List(list) => list,
            Raw::Text(_) | Raw::Whole(_) | Raw::Other(_) => Vec::new(),
        })
    }

    fn parsed<T: std::str::FromStr>(&self, key: &'static str) -> Result<T, ConfigError> {
        let (raw, origin) = self.value(key)?;
        let given = raw.to_string();
        let Raw::Text(text) = raw else {
            return Err(ConfigError::Value { origin, key, takes: "a text".to_owned(), given });
        };
        text.parse().map_err(|_| {
            let setting = DEFAULTS.iter().find(|setting| setting.key == key);
            let takes = setting.map_or_else(String::new, |setting| setting.kind.to_string());
            ConfigError::Value { origin, key, takes, given }
        })
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::List(list) => write!(f, "{list:?}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// ` Did you mean "listen"?`, when a key is near enough to be a slip.
fn did_you_mean(key: &str) -> String {
    let near = |known: &&Setting| {
        // Somebody may also have written a key without its table.
        let last = known.key.rsplit('.').next().unwrap_or(known.key);
        strsim::jaro_winkler(key, known.key).max(strsim::jaro_winkler(key, last))
    };
    let best = DEFAULTS.iter().map(|known| (near(&known), known.key));
    match best.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((score, best)) if score > 0.75 => format!(" Did you mean \"{best}\"?"),
        _ => " docs/operations.md lists every key.".to_owned(),
    }
}

#[cfg(test)]
mod tests;
