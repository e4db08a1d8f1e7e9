//! The integration tests: real stores, real QUIC, real processes. One crate, one link step.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing")]
#![expect(clippy::disallowed_methods, reason = "a test waits for real nodes in real time")]

/// What the program runs with; a world in virtual time is mostly memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod backup; // backups of running and stopped nodes, incremental, damaged, restored without a number used twice
mod bootstrap; // new nodes filled from a peer: killed, gone on with, proved equal
mod cli; // the real program: what it makes, what it refuses and with which exit code
mod damage; // stores damaged behind the program: said, repaired, fetched back from the peers
mod demo; // the demo: converges, explains itself, leaves nothing behind
mod disk_full; // a disk that fills up under a node: one sentence, an exit code, nothing lost
mod durability; // writes that wait for other nodes, and how fresh an answer is
mod engines; // a node whose store moves from one engine to the other
mod examples; // every example runs and ends as it says
mod governance; // the policy from a governor's file to every node, requests and approvals across regions
mod hostile; // mutants of everything that travels: no panic, one verdict, nothing harmed
mod http_api; // the HTTP interface over sockets: conflicts, bulk, export, concurrency
mod import; // files imported by the real program: samples, FEBRL, bad files, nodes that go away
mod kill; // processes killed while they import and catch up: nothing acknowledged is missing
mod loss; // stores that come back empty: noticed, and fetched back from the peers
mod numbers; // numbers that a seed decides
mod process; // starts processes for the other modules
mod relay; // processes behind relays that lose, double, reorder and corrupt packets, and killed
mod replication; // nodes with real stores over real QUIC: lines, restarts, absence, cost of a reconnect
mod simulation; // regions in virtual time: swarms of faults, and the ready scenarios
mod store_crash; // a process that writes to a store is killed: nothing acknowledged is missing
mod support; // starts nodes and networks for the other modules
mod tidy; // checks on the code itself: layers, files, documents, the lock file
