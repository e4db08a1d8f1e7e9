//! The code lists in memory: read once, forgotten when one of them changes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crdt_model::code_list::CodeList;
use crdt_model::id::RecordId;

use super::records::Records;
use crate::kv::ReadError;

/// Lists kept at a time; beyond it all are forgotten and read again.
const KEPT_MAX: usize = 256;

/// What was read, by name; none: there is no such list here.
#[derive(Debug, Clone, Default)]
pub struct Lists(RefCell<BTreeMap<String, Option<Arc<CodeList>>>>);

impl Lists {
    /// A code list by name.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or the stored value is damaged.
    pub fn get(
        &self,
        records: &Records<'_>,
        name: &str,
    ) -> Result<Option<Arc<CodeList>>, ReadError> {
        if let Some(known) = self.0.borrow().get(name) {
            return Ok(known.clone());
        }
        let golden = records.golden(&RecordId::code_list(name))?;
        let list = golden
            .map(|golden| Arc::new(CodeList { name: name.to_owned(), ..CodeList::of(&golden) }));
        let mut kept = self.0.borrow_mut();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(name.to_owned(), list.clone());
        Ok(list)
    }

    /// Forgets everything, because a list has changed.
    pub(super) fn forget(&self) {
        self.0.borrow_mut().clear();
    }
}
