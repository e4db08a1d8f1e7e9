//! What a record costs that was edited often: flat for who reads it, and what for who writes it.

use super::stage::{Stage, import, write};
use super::{Bench, BenchError, Figure, Setup, Times, customers, milliseconds, real};
use crate::clock::Stopwatch;
use crate::driver::Running;

type Tell<'a> = &'a mut (dyn FnMut(Figure) + Send);

/// Edits of a record, and the cases: a read of the golden record, of the whole history, a write, bytes.
const STEPS: [(u64, [&str; 4]); 4] = [
    (1, ["read-1", "history-1", "write-1", "stored-1"]),
    (100, ["read-100", "history-100", "write-100", "stored-100"]),
    (1_000, ["read-1000", "history-1000", "write-1000", "stored-1000"]),
    (10_000, ["read-10000", "history-10000", "write-10000", "stored-10000"]),
];
/// Reads and writes that are timed at each step.
const TIMED: u64 = 50;

/// Medians at one step: microseconds of a golden read and of a whole history, milliseconds of a write;
/// and stored bytes.
type Costs = [f64; 4];

pub(super) async fn history(Setup { engine, .. }: Setup, tell: Tell<'_>) -> Result<(), BenchError> {
    let stage = Stage::found(1, engine)?;
    let node = stage.start(0).await?;
    import(&node.handle, 0..1_000).await?;
    let mut edits = 0;
    let mut first: Option<Costs> = None;
    for (step, cases) in STEPS {
        while edits + TIMED < step {
            write(&node.handle, customers::change(0, edits)?).await?;
            edits += 1;
        }
        let costs = costs(&node, &mut edits).await?;
        let first = *first.get_or_insert(costs);
        let units = ["µs", "µs", "ms", "bytes"];
        for (((case, unit), cost), first) in cases.into_iter().zip(units).zip(costs).zip(first) {
            // Beside the record that was hardly edited.
            tell(Figure::new(Bench::History, case, 1_000, (cost, unit)).above(first));
        }
    }
    node.stop().await;
    Ok(())
}

async fn costs(node: &Running, edits: &mut u64) -> Result<Costs, BenchError> {
    let mut writes = Vec::new();
    for _ in 0..TIMED {
        let change = customers::change(0, *edits)?;
        let watch = Stopwatch::start();
        write(&node.handle, change).await?;
        writes.push(milliseconds(&watch));
        *edits += 1;
    }
    let handle = node.handle.clone();
    let read = tokio::task::spawn_blocking(move || {
        let fail = |error: crate::kv::ReadError| BenchError::new("read", &error);
        let (mut golden, mut history, mut bytes) = (Vec::new(), Vec::new(), 0);
        let record = customers::record(0);
        for _ in 0..TIMED {
            let watch = Stopwatch::start();
            drop(handle.records().golden(&record).map_err(fail)?);
            golden.push(milliseconds(&watch) * 1e3);
        }
        // By itself: a long history pushes all else out of the processor's cache.
        for _ in 0..TIMED {
            let watch = Stopwatch::start();
            let document = handle.records().document(&record).map_err(fail)?;
            bytes = document.as_ref().map_or(0, |document| document.saved_bytes() as u64);
            drop(document.map(|document| document.history()));
            history.push(milliseconds(&watch) * 1e3);
        }
        Ok::<_, BenchError>((Times::new(golden), Times::new(history), bytes))
    });
    let (golden, history, bytes) =
        read.await.map_err(|error| BenchError::new("read", &error))??;
    let writes = Times::new(writes).percentile(50);
    Ok([golden.percentile(50), history.percentile(50), writes, real(bytes)])
}
