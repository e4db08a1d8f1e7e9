//! Known bugs that can be put back, to show that the simulator finds them. Only tests do.

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    /// Frames and answers leave before the batch in front of them is durable.
    SendsBeforeItPersists,
    /// A node that comes back from a backup opens the log that it had opened before.
    OpensTheSameLogAfterARestore,
}
