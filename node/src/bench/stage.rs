//! A network of real nodes in this process: stores in a temporary directory, QUIC on the loopback
//! interface.

use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::{BenchError, customers};
use crate::clock::Stopwatch;
use crate::driver::{self, Running, Settings};
use crate::handle::Handle;
use crate::identity::NodeKey;
use crate::replica::roster::{Member, Roster};
use crate::store::{DiskStore, EngineKind, Store as _, StoreOptions, Watermark};
use crate::transport::TransportConfig;

/// How long nodes may take to agree: far beyond what is of any use.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Customers in a commit of an import.
pub(super) const BATCH: u64 = 100;
/// Requests of an import that are under way at once.
const LANES: usize = 4;

struct Site {
    dir: TempDir,
    key: NodeKey,
    address: SocketAddr,
}

/// The network; its nodes can be started and stopped.
pub(super) struct Stage {
    roster: Roster,
    sites: Vec<Site>,
    options: StoreOptions,
}

impl Stage {
    pub(super) fn found(nodes: usize, engine: EngineKind) -> Result<Self, BenchError> {
        let fail = |error: String| BenchError::new("found a network", &error);
        let key = NodeKey::generate().map_err(|error| fail(error.to_string()))?;
        let mut roster = Roster::found("bench", &key).map_err(|error| fail(error.to_string()))?;
        let mut sites = Vec::new();
        for number in 0..nodes {
            let site = Site {
                dir: TempDir::new().map_err(|error| fail(error.to_string()))?,
                key: NodeKey::generate().map_err(|error| fail(error.to_string()))?,
                address: free_address().map_err(|error| fail(error.to_string()))?,
            };
            let member = Member {
                node: site.key.id(),
                name: format!("node-{number}"),
                region: "EMEA".parse().map_err(|_| fail("no region".to_owned()))?,
                addresses: vec![site.address.to_string()],
            };
            roster.admit(member, &key).map_err(|error| fail(error.to_string()))?;
            sites.push(site);
        }
        let options = StoreOptions { engine: Some(engine), ..StoreOptions::default() };
        Ok(Self { roster, sites, options })
    }

    pub(super) async fn start(&self, at: usize) -> Result<Running, BenchError> {
        let site = self.sites.get(at).ok_or_else(|| BenchError::new("start a node", &"no such"))?;
        let fail = |error: String| BenchError::new("start a node", &error);
        let (store, report) = DiskStore::open(&site.dir.path().join("store"), &self.options)
            .map_err(|error| fail(error.to_string()))?;
        let watermark = Watermark::load(&site.dir.path().join("watermark"))
            .map_err(|error| fail(error.to_string()))?;
        let settings = Settings {
            key: NodeKey::from_seed(&site.key.seed()),
            roster: self.roster.clone(),
            listen: site.address,
            connect: Vec::new(),
            heartbeat: Duration::from_secs(2),
            transport: TransportConfig::default(),
            store: report.store,
            behind: None,
        };
        driver::start(settings, store, watermark).await.map_err(|error| fail(error.to_string()))
    }

    /// What the store of a stopped node takes on disk.
    pub(super) fn disk_bytes(&self, at: usize) -> Result<u64, BenchError> {
        Ok(self.store(at)?.stats().disk_bytes)
    }

    /// The store of a node that is stopped.
    pub(super) fn store(&self, at: usize) -> Result<DiskStore, BenchError> {
        let site = self.sites.get(at).ok_or_else(|| BenchError::new("open a store", &"no such"))?;
        let opened = DiskStore::open(&site.dir.path().join("store"), &self.options);
        opened.map(|(store, _)| store).map_err(|error| BenchError::new("open a store", &error))
    }
}

fn free_address() -> std::io::Result<SocketAddr> {
    UdpSocket::bind("127.0.0.1:0")?.local_addr()
}

/// Commits that a node holds durably.
pub(super) fn commits(node: &Handle) -> Result<u64, BenchError> {
    node.records().commits_applied().map_err(|error| BenchError::new("read a store", &error))
}

/// Writes these customers, a hundred to a commit.
pub(super) async fn import(node: &Handle, numbers: Range<u64>) -> Result<(), BenchError> {
    let next = Arc::new(AtomicU64::new(numbers.start));
    let lanes = (0..LANES).map(|_| {
        let (next, node, end) = (Arc::clone(&next), node.clone(), numbers.end);
        tokio::spawn(async move {
            loop {
                let first = next.fetch_add(BATCH, Ordering::Relaxed);
                if first >= end {
                    return Ok(());
                }
                write(&node, customers::all_of(first..end.min(first + BATCH))?).await?;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.map_err(|error| BenchError::new("write", &error))??;
    }
    Ok(())
}

/// Writes, and waits until it is durable.
pub(super) async fn write(
    node: &Handle,
    request: crate::replica::event::WriteRequest,
) -> Result<(), BenchError> {
    node.write(request).await.map(drop).map_err(|error| BenchError::new("write", &error))
}

/// Waits until a node holds so many commits durably.
pub(super) async fn until_holds(node: &Handle, expected: u64) -> Result<(), BenchError> {
    until(|| Ok(commits(node)? >= expected)).await
}

/// Waits until two nodes are linked and know that they hold the same; gives the application bytes both
/// ways since the second one started.
pub(super) async fn until_equal(a: &Handle, b: &Handle) -> Result<u64, BenchError> {
    let equal = |node: &Handle| {
        let status = node.status();
        status.peers.first().is_some_and(|peer| peer.connected && peer.equal_history)
    };
    until(|| Ok(equal(a) && equal(b) && commits(a)? == commits(b)?)).await?;
    let status = b.status();
    Ok(status.peers.first().map_or(0, |peer| peer.bytes_sent + peer.bytes_received))
}

async fn until(is_so: impl Fn() -> Result<bool, BenchError>) -> Result<(), BenchError> {
    let watch = Stopwatch::start();
    while !is_so()? {
        if watch.elapsed() > PATIENCE {
            return Err(BenchError::new("wait any longer", &"the nodes do not agree"));
        }
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    Ok(())
}
