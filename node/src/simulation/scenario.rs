//! A scenario: which regions and nodes there are, how they are linked, what their clients do, and
//! what goes wrong when. Not what happens then: that is a `super::world`.
//!
//! The form that people write is TOML; `examples/scenarios/README.md` shows every key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crdt_model::id::Region;
use crdt_model::policy::{Policy, bundle};
use jiff::{Span, SpanRelativeTo, Unit};
use serde::{Deserialize, Deserializer};

/// Nodes in one scenario, at most.
pub const NODES_MAX: usize = 1_000;
/// The longest scenario, in milliseconds: five years.
pub const LASTS_MS_MAX: u64 = 5 * 366 * 86_400_000;

/// A scenario as people write it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// What it answers.
    #[serde(default)]
    pub question: String,
    /// The seed, unless the caller names another. Default: 1.
    #[serde(default = "first_seed")]
    pub seed: u64,
    /// How long clients and faults are at work.
    pub lasts: Length,
    /// How long the nodes that are up then may take to agree. Default: 10 minutes.
    #[serde(default = "ten_minutes")]
    pub settle: Length,
    /// How many customers the clients write about. Default: 200.
    #[serde(default = "two_hundred")]
    pub customers: u64,
    /// The regions, with their nodes.
    pub region: Vec<RegionSpec>,
    /// What every path between two nodes is like.
    #[serde(default)]
    pub path: PathSpec,
    /// Paths that are not like the others.
    #[serde(default)]
    pub between: Vec<Between>,
    /// Who writes, and how often.
    #[serde(default)]
    pub client: Vec<ClientSpec>,
    /// What goes wrong, and when.
    #[serde(default)]
    pub event: Vec<EventSpec>,
    /// Faults that the seed draws, beside the events.
    #[serde(default)]
    pub swarm: Option<SwarmSpec>,
    /// A policy bundle, as in `concord policy lint`. Default: the built-in rules.
    #[serde(default)]
    pub policy: Option<toml::Table>,
}

/// A region and its nodes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegionSpec {
    /// Its code, for example `EMEA`.
    pub code: String,
    /// The names of its nodes. Default: one, named like the region.
    #[serde(default)]
    pub nodes: Vec<String>,
    /// So many nodes, named `shop-1`, `shop-2` and so on after the region, instead of names.
    #[serde(default)]
    pub count: Option<usize>,
    /// Its nodes call others and cannot be called, as behind a router. Default: false.
    #[serde(default)]
    pub calls_only: bool,
    /// The only nodes or regions with which its nodes have links. Default: all.
    #[serde(default)]
    pub connect: Vec<String>,
}

/// What a path between two nodes is like.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PathSpec {
    /// How long a packet takes. Default: 40 ms.
    pub latency: Option<Length>,
    /// How much longer it can take. Default: a quarter of the latency.
    pub jitter: Option<Length>,
    /// In kilobits a second. Default: 100,000.
    pub bandwidth_kbit: Option<u64>,
    /// Packets of a thousand that are lost and sent again. Default: 0; at most 500.
    pub loss_per_mille: Option<u64>,
}

/// Paths between two groups that are not like the others.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Between {
    /// One end: a node or a region.
    pub of: String,
    /// The other end: a node or a region.
    pub and: String,
    /// How long a packet takes.
    pub latency: Option<Length>,
    /// How much longer it can take.
    pub jitter: Option<Length>,
    /// In kilobits a second.
    pub bandwidth_kbit: Option<u64>,
    /// Packets of a thousand that are lost and sent again.
    pub loss_per_mille: Option<u64>,
}

/// One client at each of these nodes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientSpec {
    /// Nodes or regions.
    pub at: Vec<String>,
    /// The mean pause between two writes of one client.
    pub every: Length,
    /// When they begin. Default: at once.
    #[serde(default)]
    pub from: Length,
    /// When they stop. Default: at the end.
    pub until: Option<Length>,
    /// Customers in one write, at most. Default: 1; from 1 to 50.
    #[serde(default = "one")]
    pub customers: u64,
}

/// Something that goes wrong at a stated time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EventSpec {
    /// When.
    pub at: Length,
    /// What.
    pub what: What,
    /// To whom: nodes or regions.
    pub of: Vec<String>,
    /// The other side of a cut, a one-way cut, a flapping or a slow path. Default: everybody else.
    #[serde(default)]
    pub and: Vec<String>,
    /// How long. Default: a crash and a restore 1 minute, all others until the end.
    pub lasts: Option<Length>,
    /// How fast a flapping path changes. Default: 10 s.
    pub every: Option<Length>,
    /// What the clock is ahead of the world's, or behind (`-10min`).
    pub offset: Option<SignedLength>,
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Nothing gets through, in either direction.
    Cut,
    /// Nothing gets through from `of` to `and`; the other direction works.
    CutOneWay,
    /// Cut and mended again and again.
    Flap,
    /// Ten times the latency and a tenth of the bandwidth.
    Slow,
    /// The connections are reset; they can be opened again at once.
    Reset,
    /// The power fails; the node starts again afterwards.
    Crash,
    /// A copy of the disk is put aside.
    Backup,
    /// The disk is lost; the node starts again from its last backup, or from nothing.
    Restore,
    /// The wall clock is set.
    Clock,
    /// The node is stopped and started again with a release that speaks a newer protocol version too.
    Upgrade,
    /// The node's key is in the hands of somebody who sends garbage and commits that break the rules.
    Hostile,
    /// The network revokes the node's key, by the word of the first node that is up.
    Revoke,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "cut",
            Self::CutOneWay => "cut-one-way",
            Self::Flap => "flap",
            Self::Slow => "slow",
            Self::Reset => "reset",
            Self::Crash => "crash",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Clock => "clock",
            Self::Upgrade => "upgrade",
            Self::Hostile => "hostile",
            Self::Revoke => "revoke",
        })
    }
}

/// Faults that a seed draws: each run has its own subset and its own rates.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SwarmSpec {
    /// The faults to draw from. Default: all but `hostile`.
    #[serde(default)]
    pub faults: Vec<What>,
    /// The mean pause between two faults. Default: 2 s.
    pub every: Option<Length>,
    /// Draws who has links with whom: connected, and seldom complete. Default: false.
    #[serde(default)]
    pub topology: bool,
    /// Leaves some nodes broken at the end, so that the others must agree without them.
    #[serde(default)]
    pub core: bool,
}

/// A length of time in milliseconds, written like `90s`, `1h 30min` or `3 weeks`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(pub u64);

/// A [`Length`] that may have a minus in front.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SignedLength(pub i64);

fn milliseconds(text: &str) -> Result<i64, String> {
    let not_one = || {
        format!(
            "\"{text}\" is no length of time; write it like \"250ms\", \"90s\", \"1h 30min\" or \"3 weeks\""
        )
    };
    let span: Span = text.parse().map_err(|_| not_one())?;
    let days = SpanRelativeTo::days_are_24_hours();
    let total = span.round(
        jiff::SpanRound::new()
            .smallest(Unit::Millisecond)
            .largest(Unit::Millisecond)
            .relative(days),
    );
    total.map(|total| total.get_milliseconds()).map_err(|_| not_one())
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let ms = milliseconds(&text).map_err(serde::de::Error::custom)?;
        u64::try_from(ms)
            .map(Self)
            .map_err(|_| serde::de::Error::custom(format!("\"{text}\" is less than nothing")))
    }
}

impl<'de> Deserialize<'de> for SignedLength {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        milliseconds(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

const fn first_seed() -> u64 {
    1
}

const fn one() -> u64 {
    1
}

const fn two_hundred() -> u64 {
    200
}

const fn ten_minutes() -> Length {
    Length(600_000)
}

/// Why a scenario cannot be run. Nothing was run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// It is no TOML, or has a key or a value that does not belong there.
    #[error("the scenario cannot be read: {0}")]
    Form(String),
    /// It says something that cannot be.
    #[error("{at}: {text}")]
    Content {
        /// Where, for example `event 3`.
        at: String,
        /// What is wrong, and what to write instead.
        text: String,
    },
}

/// A node of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) region: Region,
    /// Nobody can call it.
    pub(super) calls_only: bool,
    /// With whom it has links; empty: with everybody.
    pub(super) connect: BTreeSet<usize>,
}

impl Scenario {
    /// Reads a scenario and checks that it can be run.
    ///
    /// # Errors
    /// [`ScenarioError`].
    pub fn read(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self =
            toml::from_str(text).map_err(|error| ScenarioError::Form(error.to_string()))?;
        super::plan::Plan::of(&scenario, scenario.seed)?;
        Ok(scenario)
    }

    /// The policy that the nodes run under.
    ///
    /// # Errors
    /// [`ScenarioError::Content`] when the bundle is not one, or breaks a rule of the lint.
    pub(super) fn rules(&self) -> Result<Policy, ScenarioError> {
        let Some(table) = &self.policy else { return Ok(Policy::built_in()) };
        let policy = bundle::read(&table.to_string());
        let policy = policy.map_err(|error| content("policy", error.to_string()))?;
        policy.lint().map_err(|error| content("policy", error.to_string()))?;
        Ok(policy)
    }

    /// The nodes, in the order of the regions.
    ///
    /// # Errors
    /// [`ScenarioError::Content`].
    pub(super) fn places(&self) -> Result<Vec<Place>, ScenarioError> {
        let mut places = Vec::new();
        for (number, spec) in self.region.iter().enumerate() {
            let at = format!("region {}", number + 1);
            let region: Region = spec.code.parse().map_err(|_| {
                content(
                    &at,
                    format!("\"{}\" is no code of a region; write it like EMEA", spec.code),
                )
            })?;
            if spec.count.is_some_and(|count| count == 0 || count > NODES_MAX) {
                return Err(content(&at, format!("count is from 1 to {NODES_MAX}")));
            }
            places.extend(spec.names().into_iter().map(|name| Place {
                name,
                region: region.clone(),
                calls_only: spec.calls_only,
                connect: BTreeSet::new(),
            }));
        }
        if !(2..=NODES_MAX).contains(&places.len()) {
            return Err(content("region", format!("a scenario has 2 to {NODES_MAX} nodes")));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = places.iter().find(|place| !seen.insert(&place.name)) {
            return Err(content("region", format!("two nodes are named \"{}\"", twice.name)));
        }
        self.connect(&mut places)?;
        Ok(places)
    }

    fn connect(&self, places: &mut [Place]) -> Result<(), ScenarioError> {
        let mut wanted: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        let mut first = 0;
        for (number, spec) in self.region.iter().enumerate() {
            let count = spec.names().len();
            let at = format!("region {}", number + 1);
            let peers = group(places, &spec.connect, &at)?;
            for node in first..first + count {
                let peers = peers.iter().copied().filter(|peer| *peer != node);
                wanted.entry(node).or_default().extend(peers);
            }
            first += count;
        }
        for (node, peers) in wanted {
            places[node].connect = peers;
        }
        Ok(())
    }
}

impl RegionSpec {
    fn names(&self) -> Vec<String> {
        let stem = self.code.to_lowercase();
        match self.count {
            Some(count) => (1..=count).map(|number| format!("{stem}-{number}")).collect(),
            None if self.nodes.is_empty() => vec![stem],
            None => self.nodes.clone(),
        }
    }
}

pub(super) fn content(at: &str, text: impl Into<String>) -> ScenarioError {
    ScenarioError::Content { at: at.to_owned(), text: text.into() }
}

/// The nodes that these names of nodes and regions stand for.
pub(super) fn group(
    places: &[Place],
    names: &[String],
    at: &str,
) -> Result<BTreeSet<usize>, ScenarioError> {
    let mut found = BTreeSet::new();
    for name in names {
        let of = |place: &Place| place.name == *name || place.region.as_str() == name;
        let before = found.len();
        found.extend((0..places.len()).filter(|node| of(&places[*node])));
        if found.len() == before && !places.iter().any(of) {
            return Err(content(at, format!("there is no node and no region \"{name}\"")));
        }
    }
    Ok(found)
}
