//! The integration tests: real stores, real QUIC, real processes. One crate, one link step.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by failing"
)]

mod convergence; // worlds in virtual time: cuts, crashes, restores, 2,000 edits, 20 seeds
mod http_api; // the HTTP interface over sockets: conflicts, bulk, export, concurrency
mod kill; // processes killed while they import and catch up: nothing acknowledged is missing
mod process; // starts processes for the other modules
mod replication; // nodes with real stores over real QUIC: lines, restarts, absence, cost of a reconnect
mod store_crash; // a process that writes to a store is killed: nothing acknowledged is missing
mod support; // starts nodes and networks for the other modules
mod world; // nodes, links, faults and clients in virtual time
