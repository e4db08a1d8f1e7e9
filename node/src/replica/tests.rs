//! Transcripts: events in, the exact list of actions out.
//!
//! The harness is in [`net`]: replicas over stores in memory, a clock that stands still unless it is
//! told to move, and frames that are moved by hand. No wire, no disk, no thread.

mod absence;
mod ahead;
mod backups;
mod blocks;
mod codecs;
mod contact;
mod damage;
mod excess;
mod folding;
mod forks;
mod freshness;
mod governance;
mod histories;
mod net;
mod poison;
mod policies;
mod refusals;
mod registers;
mod relays;
mod revocation;
mod rosters;
mod transcripts;
mod verify;
mod writes;
