//! Five real nodes; one is cut off; both sides go on writing; the line comes back.
//!
//! Real stores in temporary directories and real QUIC on this machine. A relay in front of each node
//! can drop everything that the node sends and receives, as a broken line does.
//! `cargo run -p node --example partition_and_heal`

use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crdt_model::golden_record::Resolution;
use crdt_model::id::RecordId;
use crdt_model::normalize::{Context, normalize_patch};
use crdt_model::path::AttributePath;
use crdt_model::policy::Policy;
use crdt_model::survivorship::resolve;
use crdt_model::time::Hlc;
use node::clock::Clock;
use node::driver::{self, Running, Settings};
use node::identity::NodeKey;
use node::relay::{RelayControl, UdpRelay};
use node::replica::event::{Precondition, Provenance, RecordWrite, WriteRequest};
use node::replica::roster::{Member, Roster};
use node::replica::status::Status;
use node::store::{DiskStore, StoreOptions, Watermark};
use node::transport::TransportConfig;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

type Failure = Box<dyn Error>;

const SITES: [(&str, &str); 5] = [
    ("lyon", "EMEA"),
    ("chicago", "AMER"),
    ("singapore", "APAC"),
    ("lima", "LATAM"),
    ("lagos", "AFRICA"),
];
const LYON: usize = 0;
const CHICAGO: usize = 1;
const SINGAPORE: usize = 2;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    run(&mut io::stdout()).await
}

pub(crate) async fn run(out: &mut impl Write) -> Result<(), Failure> {
    let network = Network::start().await?;
    let customer = RecordId::derive("crm-number", "4711");
    let terms = |days: &str| json!({"company": {"1000": {"payment_terms": days}}});
    let limit = |amount: &str| json!({"credit": {"1000": {"limit": {"amount": amount, "currency": "EUR"}}}});

    network.write(LYON, customer, "erp-emea", &terms("NT30")).await?;
    network.write(LYON, customer, "erp-emea", &limit("50000.00")).await?;
    network
        .until(|all| all.iter().all(|status| status.feed_position == 2 && linked(status) == 4))
        .await?;
    writeln!(out, "Five nodes, {} links each, one customer of Lyon.", SITES.len() - 1)?;

    network.control.cut(network.nodes[SINGAPORE].local_addr);
    network.until(|all| linked(&all[SINGAPORE]) == 0 && linked(&all[LYON]) == 3).await?;
    network.write(SINGAPORE, customer, "erp-apac", &terms("NT90")).await?;
    network.write(LYON, customer, "erp-emea", &terms("NT45")).await?;
    network.write(CHICAGO, customer, "erp-amer", &limit("80000.00")).await?;
    network.until(|all| all[LYON].feed_position == 4 && all[CHICAGO].feed_position == 4).await?;
    writeln!(out, "\nSingapore is cut off, and all go on:")?;
    network.show(out, customer, &[LYON, CHICAGO, SINGAPORE])?;

    network.control.heal(network.nodes[SINGAPORE].local_addr);
    network.until(|all| all.iter().all(|status| converged(status, &all[LYON]))).await?;
    writeln!(out, "\nThe line is back:")?;
    network.show(out, customer, &[LYON, CHICAGO, SINGAPORE])?;
    writeln!(out, "\nNothing is lost. Singapore explains:")?;
    network.explain(out, customer)?;
    let digest = network.nodes[LYON].handle.status().golden_digest.clone();
    writeln!(out, "\nFive nodes show the same records: {}", &digest[..16])?;
    network.stop().await;
    Ok(())
}

fn linked(status: &Status) -> usize {
    status.peers.iter().filter(|peer| peer.connected).count()
}

/// Whether a node holds and shows what the other does, and all that was written.
fn converged(status: &Status, other: &Status) -> bool {
    status.feed_position == 5
        && status.history_digest == other.history_digest
        && status.golden_digest == other.golden_digest
}

/// Five running nodes, each behind a relay of its own.
struct Network {
    nodes: Vec<Running>,
    control: RelayControl,
    _relays: Vec<UdpRelay>,
    _dirs: Vec<TempDir>,
}

impl Network {
    async fn start() -> Result<Self, Failure> {
        let network_key = NodeKey::generate()?;
        let mut roster = Roster::found("acme", &network_key)?;
        let control = RelayControl::new();
        let (mut keys, mut relays) = (Vec::new(), Vec::new());
        for (name, region) in SITES {
            let key = NodeKey::generate()?;
            let relay = UdpRelay::start(free_address()?, control.clone()).await?;
            // Peers are told the address of the relay.
            let addresses = vec![relay.address().to_string()];
            let (node, name, region) = (key.id(), name.to_owned(), region.parse()?);
            roster.admit(Member { node, name, region, addresses }, &network_key)?;
            keys.push(key);
            relays.push(relay);
        }
        let (mut nodes, mut dirs) = (Vec::new(), Vec::new());
        for (key, relay) in keys.into_iter().zip(&relays) {
            let dir = TempDir::new()?;
            nodes.push(start(key, roster.clone(), relay.target(), &dir).await?);
            dirs.push(dir);
        }
        Ok(Self { nodes, control, _relays: relays, _dirs: dirs })
    }

    /// Writes as a source, and waits until it is durable at that site.
    async fn write(
        &self,
        at: usize,
        record: RecordId,
        source: &str,
        tree: &Json,
    ) -> Result<(), Failure> {
        let edits =
            normalize_patch(tree, &Context::default()).map_err(|faults| faults[0].clone())?;
        let request = WriteRequest {
            source: source.parse()?,
            propose: false,
            restate: false,
            provenance: Provenance { principal: "ana".to_owned(), ..Provenance::default() },
            records: vec![RecordWrite {
                record,
                precondition: Precondition::None,
                edits: edits.into_iter().collect(),
                numbered: false,
            }],
        };
        self.nodes[at].handle.write(request).await?;
        Ok(())
    }

    /// Waits until the states of the nodes satisfy a condition.
    async fn until(&self, condition: impl Fn(&[Status]) -> bool) -> Result<(), Failure> {
        for _ in 0..1_500 {
            let all: Vec<Status> =
                self.nodes.iter().map(|node| Status::clone(&node.handle.status())).collect();
            if condition(&all) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("nothing came of it within half a minute".into())
    }

    /// What each of these sites shows, and who said it.
    fn show(&self, out: &mut impl Write, record: RecordId, sites: &[usize]) -> Result<(), Failure> {
        for at in sites {
            let shown = self.resolutions(*at, record)?;
            let shown = shown.iter().filter_map(|(_, resolution)| resolution.winner.as_ref());
            let shown: Vec<String> = shown.map(ToString::to_string).collect();
            writeln!(out, "  {:<10} {}", SITES[*at].0, shown.join(", "))?;
        }
        Ok(())
    }

    /// Every value that another one beat, and why.
    fn explain(&self, out: &mut impl Write, record: RecordId) -> Result<(), Failure> {
        for (path, resolution) in self.resolutions(SINGAPORE, record)? {
            for loser in &resolution.losers {
                writeln!(out, "  {}", loser.sentence(&path, &resolution))?;
            }
        }
        Ok(())
    }

    /// How a site decides on each attribute of a customer today.
    fn resolutions(
        &self,
        at: usize,
        record: RecordId,
    ) -> Result<Vec<(AttributePath, Resolution)>, Failure> {
        let records = self.nodes[at].handle.records();
        let document = records.document(&record)?.ok_or("no document")?;
        let resolved = resolve(&Policy::built_in(), &document.claims());
        let today = Hlc::from_ms(Clock::system().now_ms()).day();
        let on_the_day =
            |path: &AttributePath| Some((path.clone(), resolved.at(path, today)?.clone()));
        Ok(resolved.attributes.keys().filter_map(on_the_day).collect())
    }

    async fn stop(self) {
        for node in self.nodes {
            node.stop().await;
        }
    }
}

async fn start(
    key: NodeKey,
    roster: Roster,
    listen: SocketAddr,
    dir: &TempDir,
) -> Result<Running, Failure> {
    let options = StoreOptions { cache_bytes: 16 << 20, ..StoreOptions::default() };
    let (store, report) = DiskStore::open(&dir.path().join("store"), &options)?;
    let watermark = Watermark::load(&dir.path().join("watermark"))?;
    let settings = Settings {
        key,
        roster,
        listen,
        connect: Vec::new(),
        heartbeat: Duration::from_millis(300),
        // A cut is noticed within a second here; a node in earnest waits fifteen.
        transport: TransportConfig {
            idle_timeout: Duration::from_secs(1),
            keep_alive: Duration::from_millis(300),
            ..TransportConfig::default()
        },
        store: report.store,
        behind: None,
    };
    Ok(driver::start(settings, store, watermark).await?)
}

/// A port that was free a moment ago.
fn free_address() -> io::Result<SocketAddr> {
    UdpSocket::bind("127.0.0.1:0")?.local_addr()
}
