//! Networks of real nodes in this process: sled in temporary directories, QUIC on loopback.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crdt_model::id::RecordId;
use crdt_model::normalize::{Context, normalize_patch};
use node::driver::{self, Running, Settings};
use node::identity::NodeKey;
use node::replica::event::{Precondition, Provenance, RecordWrite, WriteReceipt, WriteRequest};
use node::replica::records::Records;
use node::replica::roster::{Member, Roster};
use node::replica::status::Status;
use node::store::{DiskStore, StoreOptions, Watermark};
use node::transport::TransportConfig;
use serde_json::Value as Json;
use tempfile::TempDir;

/// What a node keeps over its restarts.
pub(crate) struct Site {
    pub(crate) dir: TempDir,
    pub(crate) key: NodeKey,
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// Names of the only peers; empty: all.
    pub(crate) connect: Vec<String>,
}

/// A network whose nodes can be started and stopped.
pub(crate) struct Network {
    pub(crate) key: NodeKey,
    pub(crate) roster: Roster,
    pub(crate) sites: Vec<Site>,
}

/// The regions of the nodes, in turn.
pub(crate) const REGIONS: [&str; 5] = ["EMEA", "AMER", "APAC", "LATAM", "AFRICA"];

impl Network {
    /// Founds a network of `count` members, each with a free port of its own.
    pub(crate) fn found(count: usize) -> Self {
        let key = NodeKey::generate().unwrap();
        let mut roster = Roster::found("acme", &key).unwrap();
        let sites: Vec<Site> = (0..count)
            .map(|index| Site {
                dir: TempDir::new().unwrap(),
                key: NodeKey::generate().unwrap(),
                name: format!("{}-{index}", REGIONS[index % REGIONS.len()].to_lowercase()),
                address: free_address(),
                connect: Vec::new(),
            })
            .collect();
        for (index, site) in sites.iter().enumerate() {
            let member = Member {
                node: site.key.id(),
                name: site.name.clone(),
                region: REGIONS[index % REGIONS.len()].parse().unwrap(),
                addresses: vec![site.address.to_string()],
            };
            roster.admit(member, &key).unwrap();
        }
        Self { key, roster, sites }
    }

    /// Lets only neighbours in the order of the sites have links.
    pub(crate) fn in_a_line(mut self) -> Self {
        let names: Vec<String> = self.sites.iter().map(|site| site.name.clone()).collect();
        for (index, site) in self.sites.iter_mut().enumerate() {
            let neighbours = [index.checked_sub(1), Some(index + 1)];
            site.connect =
                neighbours.into_iter().flatten().filter_map(|at| names.get(at).cloned()).collect();
        }
        self
    }

    pub(crate) async fn start(&self, index: usize) -> Running {
        let site = &self.sites[index];
        start_site(site, self.roster.clone()).await
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

async fn start_site(site: &Site, roster: Roster) -> Running {
    let (store, report, watermark) = open(site.dir.path());
    let settings = Settings {
        key: NodeKey::from_seed(&site.key.seed()),
        roster,
        listen: site.address,
        connect: site.connect.clone(),
        heartbeat: Duration::from_millis(500),
        transport: TransportConfig {
            idle_timeout: Duration::from_secs(3),
            keep_alive: Duration::from_secs(1),
            ..TransportConfig::default()
        },
        store: report,
        behind: None,
    };
    driver::start(settings, store, watermark).await.unwrap()
}

fn open(dir: &Path) -> (DiskStore, node::store::StoreId, Watermark) {
    // As a node itself would: the whole suite runs on the engine that this names.
    let engine = std::env::var("CONCORD_STORE_ENGINE").ok().map(|name| name.parse().unwrap());
    let options = StoreOptions { engine, cache_bytes: 16 << 20, ..StoreOptions::default() };
    let (store, report) = DiskStore::open(&dir.join("store"), &options).unwrap();
    let watermark = Watermark::load(&dir.join("watermark")).unwrap();
    (store, report.store, watermark)
}

/// Writes one record from a JSON tree, as the region's manual source unless another is named.
pub(crate) async fn write(
    node: &Running,
    record: RecordId,
    source: &str,
    tree: Json,
) -> WriteReceipt {
    let edits = normalize_patch(&tree, &Context::default()).unwrap();
    let request = WriteRequest {
        source: source.parse().unwrap(),
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
    node.handle.write(request).await.unwrap()
}

/// Waits until the status of every node satisfies a condition.
pub(crate) async fn until(what: &str, nodes: &[&Running], condition: impl Fn(&Status) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !nodes.iter().all(|node| condition(&node.handle.status())) {
        let now: Vec<_> = nodes.iter().map(|node| node.handle.status()).collect();
        assert!(Instant::now() < deadline, "{what}: {now:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until all nodes hold and show the same, and hold at least `commits` commits.
pub(crate) async fn until_converged(nodes: &[&Running], commits: u64) {
    until("not converged", nodes, |status| {
        let first = nodes[0].handle.status();
        status.commits >= commits
            && status.history_digest == first.history_digest
            && status.golden_digest == first.golden_digest
    })
    .await;
}

/// The text of an attribute of a golden record, if it is there.
pub(crate) fn golden_text(records: &Records<'_>, record: &RecordId, path: &str) -> Option<String> {
    let golden = records.golden(record).unwrap()?;
    let values = golden.attributes.get(&path.parse().unwrap())?;
    values.last()?.value.as_ref()?.as_text().map(str::to_owned)
}
