//! Known bugs of a node's surroundings that can be put back, to show that the simulator finds them.
//! Only tests do; those of the replica itself are its own.

/// Which bugs are put back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bugs {
    /// Frames and answers leave before the batch in front of them is durable.
    pub(super) sends_before_it_persists: bool,
    /// A node that comes back from a backup opens the log that it had opened before.
    pub(super) opens_the_same_log_again: bool,
}
