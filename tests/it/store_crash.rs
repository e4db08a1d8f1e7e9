//! The store when a process or a machine dies: nothing acknowledged is missing, no batch is half there.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod commits;
mod kill;
#[cfg(target_os = "linux")]
mod power;
