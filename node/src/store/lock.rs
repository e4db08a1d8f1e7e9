//! The lock on a store directory: one node at a time.
//!
//! An advisory lock on a file of our own. The operating system gives it back when the process ends,
//! however it ends, so the file may stay behind.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// A held lock. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct DirLock {
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process (or another store of this one) holds it; with its process id, if readable.
    Held(Option<u32>),
    Io(io::Error),
}

impl DirLock {
    /// Takes the lock `LOCK` in `dir` without waiting, and writes our process id into it.
    pub(super) fn take(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join("LOCK");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Some systems refuse to read a locked file: then the holder stays unknown.
                let pid =
                    file.read_to_string(&mut holder).ok().and_then(|_| holder.trim().parse().ok());
                return Err(LockError::Held(pid));
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        let write_pid = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write_pid(&mut file).map_err(LockError::Io)?;
        Ok(Self { _file: file })
    }
}
