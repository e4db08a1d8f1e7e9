//! Several chunks under way at once, answered in the order in which they were sent.
//!
//! Each lane is a thread that posts one chunk at a time. Chunks go to the lanes in turn and answers
//! are taken from them in the same turn, so that no order has to be restored.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope};

struct Lane<E> {
    chunks: SyncSender<Vec<u8>>,
    answers: Receiver<Result<Vec<u8>, E>>,
}

/// The lanes of one import.
pub(super) struct Lanes<E> {
    lanes: Vec<Lane<E>>,
    next_to_send: usize,
    next_to_receive: usize,
}

impl<E: Send> Lanes<E> {
    /// Starts the threads; they end when the lanes are dropped.
    pub(super) fn open<'scope, P>(
        scope: &'scope Scope<'scope, '_>,
        count: usize,
        post: &'scope P,
    ) -> io::Result<Self>
    where
        P: Fn(&[u8]) -> Result<Vec<u8>, E> + Sync,
        E: 'scope,
    {
        let mut lanes = Vec::new();
        for number in 0..count.max(1) {
            let (chunks, to_post) = sync_channel::<Vec<u8>>(1);
            let (answer, answers) = sync_channel(1);
            Builder::new().name(format!("import-{number}")).spawn_scoped(scope, move || {
                for chunk in to_post {
                    let result = if chunk.is_empty() { Ok(Vec::new()) } else { post(&chunk) };
                    if answer.send(result).is_err() {
                        break;
                    }
                }
            })?;
            lanes.push(Lane { chunks, answers });
        }
        Ok(Self { lanes, next_to_send: 0, next_to_receive: 0 })
    }
}

impl<E> Lanes<E> {
    /// How many chunks may be under way.
    pub(super) const fn count(&self) -> usize {
        self.lanes.len()
    }

    /// Sends a chunk. One that cannot be sent is found missing when its answer is awaited.
    pub(super) fn send(&mut self, chunk: Vec<u8>) {
        if let Some(lane) = self.lanes.get(self.next_to_send) {
            drop(lane.chunks.send(chunk));
        }
        self.next_to_send = (self.next_to_send + 1) % self.lanes.len().max(1);
    }

    /// Waits for the answer to the oldest chunk under way; `None` when its thread has ended.
    pub(super) fn receive(&mut self) -> Option<Result<Vec<u8>, E>> {
        let lane = self.lanes.get(self.next_to_receive)?;
        self.next_to_receive = (self.next_to_receive + 1) % self.lanes.len();
        lane.answers.recv().ok()
    }
}
