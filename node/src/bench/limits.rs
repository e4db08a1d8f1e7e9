//! What this machine can do at best: one fsync, the raw store, the raw network.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tempfile::{NamedTempFile, TempDir};
use tokio::sync::{mpsc, watch};

use super::{BenchError, Times, milliseconds, real};
use crate::clock::Stopwatch;
use crate::identity::NodeKey;
use crate::kv::Op;
use crate::replica::event::LinkId;
use crate::store::{DiskStore, EngineKind, Store as _, StoreOptions};
use crate::transport::{Members, Transport, TransportConfig, TransportEvent};

/// Milliseconds that one write of a commit's size and its fsync take: the median of 100.
pub(super) fn fsync_ms() -> Result<f64, BenchError> {
    let fail = |error: std::io::Error| BenchError::new("write a file", &error);
    let mut file = NamedTempFile::new().map_err(fail)?;
    let mut times = Vec::new();
    for _ in 0..100 {
        let watch = Stopwatch::start();
        file.write_all(&[7; 4_096]).map_err(fail)?;
        file.as_file().sync_data().map_err(fail)?;
        times.push(milliseconds(&watch));
    }
    Ok(Times::new(times).percentile(50))
}

/// Operations a second that the raw store makes durable in batches of a thousand, of this many bytes each.
pub(super) fn store_operations(bytes: usize, engine: EngineKind) -> Result<f64, BenchError> {
    const BATCHES: u64 = 30;
    const OPERATIONS: u64 = 1_000;
    let fail = |error: String| BenchError::new("measure the raw store", &error);
    let dir = TempDir::new().map_err(|error| fail(error.to_string()))?;
    let options = StoreOptions { engine: Some(engine), ..StoreOptions::default() };
    let (store, _) =
        DiskStore::open(dir.path(), &options).map_err(|error| fail(error.to_string()))?;
    let batch = |batch: u64| {
        let ops = (0..OPERATIONS).map(|number| {
            // Keys as spread as those of records, and values that do not pack.
            let mut hasher = blake3::Hasher::new();
            hasher.update(&(batch * OPERATIONS + number).to_be_bytes());
            let mut random = vec![0; 16 + bytes];
            hasher.finalize_xof().fill(&mut random);
            let value = random.split_off(16);
            Op::Put([b"k".as_slice(), &random].concat(), value)
        });
        ops.collect::<Vec<Op>>()
    };
    let batches: Vec<Vec<Op>> = (0..BATCHES).map(batch).collect();
    let watch = Stopwatch::start();
    for ops in batches {
        store.apply(&ops, true).map_err(|error| fail(error.to_string()))?;
    }
    Ok(real(BATCHES * OPERATIONS) / watch.elapsed().as_secs_f64())
}

/// Two ends of one link without nodes behind them.
pub(super) struct RawLink {
    from: Transport,
    to: Transport,
    link: LinkId,
    sent: mpsc::Receiver<TransportEvent>,
    arrived: mpsc::Receiver<TransportEvent>,
}

impl RawLink {
    pub(super) async fn open() -> Result<Self, BenchError> {
        let fail = |error: String| BenchError::new("open a raw link", &error);
        let keys = [NodeKey::generate(), NodeKey::generate()];
        let [Ok(a), Ok(b)] = keys else { return Err(fail("no keys".to_owned())) };
        let members: Members = Arc::new([a.id(), b.id()].into_iter().collect());
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bind = async |key: &NodeKey| {
            let (events, inbox) = mpsc::channel(64);
            let (_, seen) = watch::channel(Arc::clone(&members));
            Transport::bind(listen, key, seen, TransportConfig::default(), events)
                .await
                .map(|transport| (transport, inbox))
        };
        let (from, mut sent) = bind(&a).await.map_err(|error| fail(error.to_string()))?;
        let (to, arrived) = bind(&b).await.map_err(|error| fail(error.to_string()))?;
        from.dial(b.id(), vec![to.local_addr().to_string()]);
        loop {
            match sent.recv().await {
                Some(TransportEvent::LinkUp { link, .. }) => {
                    return Ok(Self { from, to, link, sent, arrived });
                }
                Some(TransportEvent::DialFailed { reason, .. }) => return Err(fail(reason)),
                Some(_) => {}
                None => return Err(fail("the transport ended".to_owned())),
            }
        }
    }

    /// Seconds to move so many bytes in frames as large as blocks of commits.
    pub(super) async fn seconds(&mut self, bytes: u64) -> Result<f64, BenchError> {
        const FRAME: usize = 256 << 10;
        let watch = Stopwatch::start();
        let frames = bytes.div_ceil(FRAME as u64).max(1);
        let (mut under_way, mut left, mut received) = (0, frames, 0);
        while received < frames {
            while under_way < 4 && left > 0 {
                let gone = |error| BenchError::new("send", &format!("{error:?}"));
                self.from.send(self.link, vec![7; FRAME]).map_err(gone)?;
                (under_way, left) = (under_way + 1, left - 1);
            }
            tokio::select! {
                Some(event) = self.sent.recv() => {
                    if matches!(event, TransportEvent::Sent { .. }) { under_way -= 1; }
                }
                Some(event) = self.arrived.recv() => {
                    if matches!(event, TransportEvent::Frame { .. }) { received += 1; }
                }
                else => return Err(BenchError::new("send", &"the link is gone")),
            }
        }
        Ok(watch.elapsed().as_secs_f64())
    }

    /// Milliseconds that a frame of a kilobyte takes one way: the median of 200.
    pub(super) async fn one_way_ms(&mut self) -> Result<f64, BenchError> {
        let mut times = Vec::new();
        while times.len() < 200 {
            let watch = Stopwatch::start();
            let gone = |error| BenchError::new("send", &format!("{error:?}"));
            self.from.send(self.link, vec![7; 1_024]).map_err(gone)?;
            loop {
                match self.arrived.recv().await {
                    Some(TransportEvent::Frame { .. }) => break,
                    Some(_) => {}
                    None => return Err(BenchError::new("send", &"the link is gone")),
                }
            }
            times.push(milliseconds(&watch));
            while self.sent.try_recv().is_ok() {}
        }
        Ok(Times::new(times).percentile(50))
    }

    pub(super) async fn close(self) {
        self.from.shutdown().await;
        self.to.shutdown().await;
    }
}
