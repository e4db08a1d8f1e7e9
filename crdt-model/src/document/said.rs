//! A value as it stands under a key, and what it means there.

use std::sync::OnceLock;

use crate::path::Slot;
use crate::value::{Assertion, Cell, CellError};

/// What one operation says under its key. Its meaning is read at most once: judging a change and reading
/// the claims both ask for it.
#[derive(Debug, Clone)]
pub(super) struct Said {
    cell: Cell,
    assertion: OnceLock<Result<Assertion, CellError>>,
}

impl Said {
    pub(super) const fn cell(&self) -> &Cell {
        &self.cell
    }

    pub(super) fn into_cell(self) -> Cell {
        self.cell
    }

    /// What it means under a key with this slot, which is the same whenever it is asked for.
    pub(super) fn assertion(&self, slot: Slot) -> Result<Assertion, CellError> {
        self.assertion.get_or_init(|| Assertion::in_slot(slot, &self.cell)).clone()
    }
}

impl From<Cell> for Said {
    fn from(cell: Cell) -> Self {
        Self { cell, assertion: OnceLock::new() }
    }
}

impl PartialEq for Said {
    fn eq(&self, other: &Self) -> bool {
        self.cell == other.cell
    }
}

impl Eq for Said {}
