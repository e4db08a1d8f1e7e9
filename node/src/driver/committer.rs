//! The thread that writes: one batch after the other, each with one fsync, while the driver handles what
//! comes meanwhile.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::{io, sync, thread};

use tokio::sync::mpsc;

use crate::kv::Op;
use crate::store::{Store, StoreError};

/// What became of a batch, and the batch: who made it frees it, since memory that another thread frees
/// is not used again at once.
pub(super) type Written = (Result<(), StoreError>, Vec<Op>);

/// Writes the batches of one driver. It is given the next one when it has told of the one before.
pub(super) struct Committer {
    batches: sync::mpsc::SyncSender<Vec<Op>>,
    thread: JoinHandle<()>,
}

impl Committer {
    /// Starts the thread; `written` is told of each batch.
    pub(super) fn start<S: Store + 'static>(
        store: Arc<S>,
        written: mpsc::Sender<Written>,
    ) -> io::Result<Self> {
        let (batches, queue) = sync::mpsc::sync_channel::<Vec<Op>>(1);
        let work = move || {
            for ops in queue {
                let outcome = store.apply(&ops, true);
                // The driver has ended: it said so to everybody who waits.
                if written.blocking_send((outcome, ops)).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("committer".to_owned()).spawn(work)?;
        Ok(Self { batches, thread })
    }

    /// Gives it a batch. Says whether it took it: not when it has ended by a defect.
    pub(super) fn write(&self, ops: Vec<Op>) -> bool {
        self.batches.send(ops).is_ok()
    }

    /// Waits for its end; then nobody but the caller holds the store.
    pub(super) fn join(self) {
        drop(self.batches);
        if self.thread.join().is_err() {
            tracing::error!("the committer ended by a defect");
        }
    }
}
