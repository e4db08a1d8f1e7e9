//! The life of two nodes in one go: an import, a restart, a new peer, an absence, edits apart and a heal.
//!
//! What takes a million customers is done once here. Each step is measured by itself, and memory after it.

use super::limits::RawLink;
use super::single::{raw_customers, resident, timed_reads};
use super::stage::{Stage, commits, import, until_equal, until_holds, write};
use super::sync::{UNCHANGED_MAX, bytes_of_commits};
use super::{Bench, BenchError, Figure, Setup, customers, real};
use crate::clock::Stopwatch;
use crate::driver::Running;
use crate::handle::Handle;
use crate::store::EngineKind;

type Tell<'a> = &'a mut (dyn FnMut(Figure) + Send);

/// Edits on each side while both are apart; half of them are of the same customers.
const EDITS: u64 = 1_000;
/// What one node may keep in memory, in bytes.
const RESIDENT_MAX: f64 = 600e6;

struct Life<'a> {
    customers: u64,
    engine: EngineKind,
    stage: Stage,
    tell: Tell<'a>,
}

pub(super) async fn lifecycle(
    Setup { customers, engine }: Setup,
    tell: Tell<'_>,
) -> Result<(), BenchError> {
    let mut life = Life { customers, engine, stage: Stage::found(2, engine)?, tell };
    let a = life.import().await?;
    let a = life.restart(a).await?;
    let b = life.new_peer(&a).await?;
    let b = life.unchanged(&a, b).await?;
    let (a, b) = life.apart(a, b).await?;
    life.memory("memory-in-the-end", 2.0)?;
    a.stop().await;
    b.stop().await;
    Ok(())
}

impl Life<'_> {
    fn say(
        &mut self,
        case: &'static str,
        value: (f64, &'static str),
        beside: impl FnOnce(Figure) -> Figure,
    ) {
        let figure = Figure::new(Bench::Lifecycle, case, self.customers, value);
        (self.tell)(beside(figure));
    }

    /// Resident bytes of this process, in which so many nodes run.
    fn memory(&mut self, case: &'static str, nodes: f64) -> Result<(), BenchError> {
        self.say(case, (real(resident()?), "bytes"), |it| it.above(RESIDENT_MAX * nodes));
        Ok(())
    }

    async fn import(&mut self) -> Result<Running, BenchError> {
        let a = self.stage.start(0).await?;
        let tenth = (self.customers / 10).max(1);
        let whole = Stopwatch::start();
        import(&a.handle, 0..tenth).await?;
        let first = whole.elapsed().as_secs_f64();
        import(&a.handle, tenth..self.customers - tenth).await?;
        let last = Stopwatch::start();
        import(&a.handle, self.customers - tenth..self.customers).await?;
        let (last, whole) = (last.elapsed().as_secs_f64(), whole.elapsed().as_secs_f64());
        let limit = raw_customers(self.engine)?;
        let rate = (real(self.customers) / whole, "customers/s");
        self.say("import", rate, |it| it.below(limit));
        // Beside the first tenth: what grows faster than its work shows here.
        self.say("import-last-tenth", (last, "s"), |it| it.above(first));
        self.memory("memory-after-import", 1.0)?;
        Ok(a)
    }

    async fn restart(&mut self, a: Running) -> Result<Running, BenchError> {
        a.stop().await;
        let disk = self.stage.disk_bytes(0)?;
        // Each customer has about a kilobyte.
        let plain = real(self.customers) * 1e3;
        self.say("disk", (real(disk), "bytes"), |it| it.above(plain));
        let watch = Stopwatch::start();
        let a = self.stage.start(0).await?;
        self.say("restart", (watch.elapsed().as_secs_f64(), "s"), |it| it);
        let times = timed_reads(&a.handle, self.customers).await?;
        self.say("read-p50", (times.percentile(50), "µs"), |it| it);
        self.say("read-p99", (times.percentile(99), "µs"), |it| it);
        self.memory("memory-after-restart", 1.0)?;
        Ok(a)
    }

    async fn new_peer(&mut self, a: &Running) -> Result<Running, BenchError> {
        let expected = commits(&a.handle)?;
        let b = self.stage.start(1).await?;
        let watch = Stopwatch::start();
        until_holds(&b.handle, expected).await?;
        let seconds = watch.elapsed().as_secs_f64();
        let bytes = until_equal(&a.handle, &b.handle).await?;
        let mut raw = RawLink::open().await?;
        let limit = raw.seconds(bytes).await?;
        raw.close().await;
        self.say("new-peer", (seconds, "s"), |it| it.above(limit));
        let own = bytes_of_commits(&a.handle, 0)?;
        self.say("new-peer-wire", (real(bytes), "bytes"), |it| it.above(real(own)));
        self.memory("memory-with-peer", 2.0)?;
        Ok(b)
    }

    async fn unchanged(&mut self, a: &Running, b: Running) -> Result<Running, BenchError> {
        b.stop().await;
        let b = self.stage.start(1).await?;
        let bytes = until_equal(&a.handle, &b.handle).await?;
        self.say("unchanged", (real(bytes), "bytes"), |it| it.above(UNCHANGED_MAX));
        Ok(b)
    }

    /// Each side is edited while the other one is away, and then they meet.
    async fn apart(&mut self, a: Running, b: Running) -> Result<(Running, Running), BenchError> {
        b.stop().await;
        let own = self.edit(&a.handle, 0).await?;
        a.stop().await;
        let b = self.stage.start(1).await?;
        let own = own + self.edit(&b.handle, EDITS / 2).await?;
        let watch = Stopwatch::start();
        let a = self.stage.start(0).await?;
        let bytes = until_equal(&b.handle, &a.handle).await?;
        let seconds = watch.elapsed().as_secs_f64();
        self.say("heal", (seconds, "s"), |it| it);
        self.say("heal-wire", (real(bytes), "bytes"), |it| it.above(real(own)));
        Ok((a, b))
    }

    /// Edits customers from a number on; gives the bytes of the commits.
    async fn edit(&self, node: &Handle, from: u64) -> Result<u64, BenchError> {
        let before = commits(node)?;
        for number in from..from + EDITS {
            write(node, customers::change(number % self.customers, from + number)?).await?;
        }
        bytes_of_commits(node, before)
    }
}
