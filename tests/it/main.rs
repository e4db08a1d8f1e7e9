//! The integration tests: real stores, real QUIC, real processes. One crate, one link step.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by failing"
)]

mod replication; // nodes with real stores over real QUIC: lines, restarts, absence, cost of a reconnect
mod support; // starts nodes and networks for the other modules
mod tidy; // checks on the code itself: layers, files, documents, the lock file
