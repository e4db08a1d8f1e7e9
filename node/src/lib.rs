//! A regional Concord node. The list of modules is the architecture:
//!
//! ```text
//! main → cli → driver → replica → crdt-model → automerge      http → handle
//!                │  ├─→ store      (sled)
//!                │  └─→ transport  (quinn)
//! ```
//!
//! [`replica`] is pure: it names no other module but [`kv`] and does no I/O. The driver is the only
//! owner of a replica and a store. HTTP and the command line hold a [`handle::Handle`].

pub mod bench;
pub mod cli;
pub mod clock;
pub mod config;
pub mod driver;
pub mod handle;
pub mod http;
pub mod identity;
pub mod import;
pub mod kv;
pub mod relay;
pub mod replica;
pub mod sample;
pub mod shutdown;
pub mod simulation;
pub mod store;
pub mod telemetry;
pub mod transport;
