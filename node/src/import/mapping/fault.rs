//! What is wrong with a mapping file, and where.

use std::fmt;
use std::io;

/// One fault of a mapping file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub text: String,
}

/// Why a mapping file was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct MappingError {
    file: String,
    faults: Vec<MappingFault>,
    unreadable: Option<String>,
}

impl MappingError {
    pub(super) fn new(file: &str, mut faults: Vec<MappingFault>) -> Self {
        faults.sort_by_key(|fault| fault.line);
        Self { file: file.to_owned(), faults, unreadable: None }
    }

    pub(super) fn unreadable(file: &str, error: &io::Error) -> Self {
        Self { file: file.to_owned(), faults: Vec::new(), unreadable: Some(error.to_string()) }
    }

    /// Every fault, in the order of the lines; empty when the file cannot be read at all.
    #[must_use]
    pub fn faults(&self) -> &[MappingFault] {
        &self.faults
    }
}

impl fmt::Display for MappingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.unreadable {
            return write!(f, "The mapping {} cannot be read: {why}.", self.file);
        }
        for (at, fault) in self.faults.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}, line {}: {}", self.file, fault.line, fault.text)?;
        }
        Ok(())
    }
}
