//! Nodes that meet: what it costs to find out that nothing changed, to bring what did, to fill a new one.

use std::time::Duration;

use super::limits::{RawLink, fsync_ms};
use super::stage::{Stage, commits, import, until_equal, until_holds, write};
use super::{Bench, BenchError, Figure, Setup, Times, customers, milliseconds, real};
use crate::clock::Stopwatch;
use crate::handle::Handle;
use crate::replica::records::Records;

type Tell<'a> = &'a mut (dyn FnMut(Figure) + Send);

/// Customers that change while a node is away.
const CHANGED: u64 = 10;
/// Writes whose way to the third node is timed.
const WRITES: u64 = 300;
/// What a meeting of equal nodes may cost, in bytes.
pub(super) const UNCHANGED_MAX: f64 = 400.0;

/// Two nodes with all customers, in step.
async fn two_in_step(
    Setup { customers, engine }: Setup,
) -> Result<(Stage, crate::driver::Running, crate::driver::Running), BenchError> {
    let stage = Stage::found(2, engine)?;
    let (a, b) = (stage.start(0).await?, stage.start(1).await?);
    import(&a.handle, 0..customers).await?;
    until_equal(&a.handle, &b.handle).await?;
    Ok((stage, a, b))
}

pub(super) async fn reconnect(setup: Setup, tell: Tell<'_>) -> Result<(), BenchError> {
    let (stage, a, b) = two_in_step(setup).await?;
    let customers = setup.customers;
    let figure =
        |case, bytes: u64| Figure::new(Bench::Reconnect, case, customers, (real(bytes), "bytes"));
    b.stop().await;
    let b = stage.start(1).await?;
    let bytes = until_equal(&a.handle, &b.handle).await?;
    tell(figure("unchanged", bytes).above(UNCHANGED_MAX));
    b.stop().await;
    let before = commits(&a.handle)?;
    for number in 0..CHANGED.min(customers) {
        write(&a.handle, customers::change(number, 1)?).await?;
    }
    let own = bytes_of_commits(&a.handle, before)?;
    let b = stage.start(1).await?;
    let bytes = until_equal(&a.handle, &b.handle).await?;
    tell(figure("10-changed", bytes).above(real(own)));
    a.stop().await;
    b.stop().await;
    Ok(())
}

/// The bytes of the commits behind this place of the feed, as they travel uncompressed.
pub(super) fn bytes_of_commits(node: &Handle, after: u64) -> Result<u64, BenchError> {
    let read = || {
        let records: Records<'_> = node.records();
        let mut bytes = 0;
        for (_, entry) in records.feed(after, usize::MAX)? {
            let Some(at) = entry.cause.commit() else { continue };
            bytes += records.commit(at)?.map_or(0, |commit| commit.encode().len() as u64);
        }
        Ok(bytes)
    };
    read().map_err(|error: crate::kv::ReadError| BenchError::new("read the commits", &error))
}

pub(super) async fn first_sync(
    Setup { customers, engine }: Setup,
    tell: Tell<'_>,
) -> Result<(), BenchError> {
    let stage = Stage::found(2, engine)?;
    let a = stage.start(0).await?;
    import(&a.handle, 0..customers).await?;
    fill(Bench::FirstSync, customers, &stage, a, tell).await
}

pub(super) async fn catch_up(setup: Setup, tell: Tell<'_>) -> Result<(), BenchError> {
    let customers = setup.customers;
    // A hundred customers before the absence, all of them after it: nearly all is new.
    let (stage, a, b) = two_in_step(Setup { customers: customers.min(100), ..setup }).await?;
    b.stop().await;
    import(&a.handle, customers.min(100)..customers).await?;
    fill(Bench::CatchUp, customers, &stage, a, tell).await
}

/// The second node comes and gets everything that it lacks.
async fn fill(
    bench: Bench,
    customers: u64,
    stage: &Stage,
    a: crate::driver::Running,
    tell: Tell<'_>,
) -> Result<(), BenchError> {
    let figure = |case, value: (f64, &'static str)| Figure::new(bench, case, customers, value);
    let expected = commits(&a.handle)?;
    let b = stage.start(1).await?;
    let watch = Stopwatch::start();
    until_holds(&b.handle, expected).await?;
    let seconds = watch.elapsed().as_secs_f64();
    let bytes = until_equal(&a.handle, &b.handle).await?;
    let mut raw = RawLink::open().await?;
    let limit = raw.seconds(bytes).await?;
    raw.close().await;
    tell(figure("time", (seconds, "s")).above(limit));
    let own = bytes_of_commits(&a.handle, 0)?;
    tell(figure("wire", (real(bytes), "bytes")).above(real(own)));
    a.stop().await;
    b.stop().await;
    Ok(())
}

pub(super) async fn latency(Setup { engine, .. }: Setup, tell: Tell<'_>) -> Result<(), BenchError> {
    let stage = Stage::found(3, engine)?;
    let nodes = [stage.start(0).await?, stage.start(1).await?, stage.start(2).await?];
    import(&nodes[0].handle, 0..100).await?;
    until_equal(&nodes[0].handle, &nodes[2].handle).await?;
    let mut times = Vec::new();
    let mut acknowledged = Vec::new();
    for turn in 0..WRITES {
        // Not in step with anything.
        tokio::time::sleep(Duration::from_micros(3_000 + turn * 37 % 2_000)).await;
        let request = customers::change(turn % 100, turn)?;
        let third = nodes[2].handle.clone();
        let watch = Stopwatch::start();
        let seen = tokio::task::spawn_blocking(move || {
            while !customers::shows_change(&third, turn % 100, turn)? {
                std::thread::sleep(Duration::from_micros(100));
            }
            Ok::<f64, BenchError>(milliseconds(&watch))
        });
        write(&nodes[0].handle, request).await?;
        acknowledged.push(milliseconds(&watch));
        times.push(seen.await.map_err(|error| BenchError::new("wait", &error))??);
    }
    let mut raw = RawLink::open().await?;
    let limit = fsync_ms()? + raw.one_way_ms().await?;
    raw.close().await;
    let (times, acknowledged) = (Times::new(times), Times::new(acknowledged));
    let figure = |case, ms| Figure::new(Bench::Latency, case, 100, (ms, "ms")).above(limit);
    tell(figure("acknowledged-p50", acknowledged.percentile(50)));
    tell(figure("third-node-p50", times.percentile(50)));
    tell(figure("third-node-p99", times.percentile(99)));
    for node in nodes {
        node.stop().await;
    }
    Ok(())
}
