//! One node alone: what it writes, reads, keeps in memory and resolves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crdt_model::document::CustomerDocument;
use crdt_model::policy::Policy;

use super::limits::store_operations;
use super::stage::{Stage, import as import_into, write as write_to};
use super::{Bench, BenchError, Figure, Setup, Times, customers, real};
use crate::clock::Stopwatch;
use crate::handle::Handle;
use crate::kv::View as _;
use crate::replica::layout;
use crate::store::EngineKind;

type Tell<'a> = &'a mut (dyn FnMut(Figure) + Send);

/// Clients that write at once.
const CLIENTS: usize = 256;
/// Writes of all clients together, at most.
const WRITES_MAX: u64 = 20_000;
/// Reads that are timed.
const READS: u64 = 20_000;
/// Store operations of a commit that changes one attribute of one customer, and their mean size in bytes as they
/// are stored: commit, items, document, golden record, history and feed. Vector and state are shared by
/// the commits of a batch.
const OPERATIONS: (f64, usize) = (6.0, 380);
/// The same for each customer of a commit of a hundred, as they are stored: document, golden record and
/// history, and of what they share (items, feed, runs of the indexes and their merges) a hundredth.
const BULK_OPERATIONS: (f64, usize) = (3.4, 660);

pub(super) async fn write(
    Setup { customers, engine }: Setup,
    tell: Tell<'_>,
) -> Result<(), BenchError> {
    let stage = Stage::found(1, engine)?;
    let node = stage.start(0).await?;
    let known = customers.min(1_000);
    import_into(&node.handle, 0..known).await?;
    let writes = customers.clamp(1_000, WRITES_MAX);
    let next = Arc::new(AtomicU64::new(0));
    let watch = Stopwatch::start();
    let clients = (0..CLIENTS).map(|_| {
        let (next, handle) = (Arc::clone(&next), node.handle.clone());
        tokio::spawn(async move {
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                if turn >= writes {
                    return Ok::<(), BenchError>(());
                }
                write_to(&handle, customers::change(turn % known, turn)?).await?;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.map_err(|error| BenchError::new("write", &error))??;
    }
    let rate = real(writes) / watch.elapsed().as_secs_f64();
    node.stop().await;
    let (operations, bytes) = OPERATIONS;
    let limit = store_operations(bytes, engine)? / operations;
    tell(Figure::new(Bench::Write, "256-clients", known, (rate, "commits/s")).below(limit));
    Ok(())
}

pub(super) async fn import(
    Setup { customers, engine }: Setup,
    tell: Tell<'_>,
) -> Result<(), BenchError> {
    let stage = Stage::found(1, engine)?;
    let node = stage.start(0).await?;
    let watch = Stopwatch::start();
    import_into(&node.handle, 0..customers).await?;
    let rate = real(customers) / watch.elapsed().as_secs_f64();
    node.stop().await;
    let limit = raw_customers(engine)?;
    tell(Figure::new(Bench::Import, "durable", customers, (rate, "customers/s")).below(limit));
    Ok(())
}

/// Customers a second whose entries the raw store makes durable.
pub(super) fn raw_customers(engine: EngineKind) -> Result<f64, BenchError> {
    let (operations, bytes) = BULK_OPERATIONS;
    Ok(store_operations(bytes, engine)? / operations)
}

pub(super) async fn read(
    Setup { customers, engine }: Setup,
    tell: Tell<'_>,
) -> Result<(), BenchError> {
    let stage = Stage::found(1, engine)?;
    let node = stage.start(0).await?;
    import_into(&node.handle, 0..customers).await?;
    let golden = timed_reads(&node.handle, customers).await?;
    node.stop().await;
    let store = stage.store(0)?;
    let raw = timed(customers, |number| {
        store
            .get(&layout::record_key(layout::GOLDEN, &customers::record(number)))
            .is_ok_and(|found| found.is_some())
    })?;
    let figure = |case, percent| {
        let times = (golden.percentile(percent), "µs");
        Figure::new(Bench::Read, case, customers, times).above(raw.percentile(percent))
    };
    tell(figure("golden-p50", 50));
    tell(figure("golden-p99", 99));
    Ok(())
}

/// Microseconds that golden records take, read in no order.
pub(super) async fn timed_reads(node: &Handle, customers: u64) -> Result<Times, BenchError> {
    let handle = node.clone();
    let golden = tokio::task::spawn_blocking(move || {
        timed(customers, |number| {
            let read = handle.records().golden(&customers::record(number));
            read.is_ok_and(|golden| golden.is_some())
        })
    });
    golden.await.map_err(|error| BenchError::new("read", &error))?
}

/// Microseconds of each of so many reads of customers in no order.
fn timed(customers: u64, read: impl Fn(u64) -> bool) -> Result<Times, BenchError> {
    let mut times = Vec::new();
    for turn in 0..READS {
        let number = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) % customers;
        let watch = Stopwatch::start();
        if !read(number) {
            return Err(BenchError::new("read", &format!("customer {number} is not there")));
        }
        times.push(watch.elapsed().as_secs_f64() * 1e6);
    }
    Ok(Times::new(times))
}

pub(super) async fn memory(
    Setup { customers, engine }: Setup,
    tell: Tell<'_>,
) -> Result<(), BenchError> {
    let stage = Stage::found(1, engine)?;
    let before = resident()?;
    let node = stage.start(0).await?;
    import_into(&node.handle, 0..customers).await?;
    let figure =
        |case, bytes: u64| Figure::new(Bench::Memory, case, customers, (real(bytes), "bytes"));
    tell(figure("after-import", resident()?).above(real(before)));
    node.stop().await;
    let node = stage.start(0).await?;
    for turn in 0..READS.min(customers) {
        let number = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) % customers;
        drop(node.handle.records().golden(&customers::record(number)));
    }
    tell(figure("after-restart", resident()?).above(real(before)));
    node.stop().await;
    Ok(())
}

/// Resident bytes of this process.
pub(super) fn resident() -> Result<u64, BenchError> {
    let status = std::fs::read_to_string("/proc/self/status");
    let status = status.map_err(|error| BenchError::new("read /proc/self/status", &error))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes
        .map(|kilobytes| kilobytes << 10)
        .ok_or_else(|| BenchError::new("read /proc/self/status", &"it does not say VmRSS"))
}

pub(super) async fn resolve(Setup { engine, .. }: Setup, tell: Tell<'_>) -> Result<(), BenchError> {
    let stage = Stage::found(1, engine)?;
    let node = stage.start(0).await?;
    import_into(&node.handle, 0..1).await?;
    let document = node.handle.records().document(&customers::record(0));
    let document = document.map_err(|error| BenchError::new("read", &error))?;
    let document = document.ok_or_else(|| BenchError::new("read", &"the customer is not there"))?;
    node.stop().await;
    let (policy, bytes) = (Policy::built_in(), document.save());
    let micro = |work: &dyn Fn() -> bool| {
        let mut times = Vec::new();
        for _ in 0..5_000 {
            let watch = Stopwatch::start();
            let is_done = work();
            let time = watch.elapsed().as_secs_f64() * 1e6;
            if is_done {
                times.push(time);
            }
        }
        Times::new(times)
    };
    let claims = document.claims();
    let resolved =
        micro(&|| !crdt_model::survivorship::resolve(&policy, &claims).attributes.is_empty());
    let loaded = micro(&|| CustomerDocument::load(&bytes).is_ok());
    let figure = |case, percent| {
        let time = (resolved.percentile(percent), "µs");
        // Beside reading the document, which nobody who resolves can spare.
        Figure::new(Bench::Resolve, case, 1, time).above(loaded.percentile(percent))
    };
    tell(figure("p50", 50));
    tell(figure("p99", 99));
    Ok(())
}
