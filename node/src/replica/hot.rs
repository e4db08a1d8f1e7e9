//! What was written last, as it is in memory: whoever writes a record again need not read it again.
//!
//! A cache of the store and never more: what is in it is what the store shows after the batches asked
//! for. Whoever changes a document or golden record in another way than by a commit forgets it here.

use std::collections::BTreeMap;
use std::sync::Arc;

use crdt_model::document::CustomerDocument;
use crdt_model::id::RecordId;

use super::batch::Golden;
use super::limits::HOT_BYTES_MAX;

/// A document and a golden record are taken to need so many times the memory of their bytes: an estimate.
const MEMORY_FACTOR: usize = 8;

#[derive(Debug, Clone)]
struct Entry {
    document: CustomerDocument,
    golden: Arc<Golden>,
    bytes: usize,
    /// Its key in the order of use.
    used: u64,
}

/// The records written last, up to [`HOT_BYTES_MAX`].
#[derive(Debug, Clone, Default)]
pub(super) struct Hot {
    records: BTreeMap<RecordId, Entry>,
    /// The one written longest ago first.
    order: BTreeMap<u64, RecordId>,
    bytes: usize,
    next: u64,
}

impl Hot {
    pub(super) fn document(&self, record: &RecordId) -> Option<&CustomerDocument> {
        self.records.get(record).map(|entry| &entry.document)
    }

    pub(super) fn golden(&self, record: &RecordId) -> Option<Arc<Golden>> {
        self.records.get(record).map(|entry| Arc::clone(&entry.golden))
    }

    /// Keeps a record that was written, and lets the oldest go.
    pub(super) fn keep(
        &mut self,
        record: RecordId,
        document: CustomerDocument,
        golden: Arc<Golden>,
    ) {
        self.forget(&record);
        let bytes = MEMORY_FACTOR * (document.saved_bytes() + golden.bytes.len());
        self.bytes += bytes;
        self.order.insert(self.next, record);
        self.records.insert(record, Entry { document, golden, bytes, used: self.next });
        self.next += 1;
        while self.bytes > HOT_BYTES_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.forget(&oldest);
        }
    }

    pub(super) fn forget(&mut self, record: &RecordId) {
        if let Some(entry) = self.records.remove(record) {
            self.order.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }

    pub(super) fn forget_all(&mut self) {
        *self = Self { next: self.next, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use crdt_model::golden_record::GoldenRecord;

    use super::*;

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let mut hot = Hot::default();
        let record = |number: u64| RecordId::derive("hot", &number.to_string());
        let golden = |number: u64| {
            let record = GoldenRecord::empty(record(number));
            Arc::new(Golden { record, bytes: vec![0; 1 << 20] })
        };
        let room = (HOT_BYTES_MAX / MEMORY_FACTOR) as u64 >> 20;
        for number in 0..=room {
            hot.keep(record(number), CustomerDocument::empty(), golden(number));
            // Written again, it is the newest.
            hot.keep(record(0), CustomerDocument::empty(), golden(0));
        }
        assert!(hot.bytes <= HOT_BYTES_MAX && hot.records.len() == hot.order.len());
        assert_eq!(hot.records.len() as u64, room);
        assert!(hot.golden(&record(0)).is_some() && hot.document(&record(room)).is_some());
        assert!(hot.golden(&record(1)).is_none());
        hot.forget_all();
        assert!(hot.document(&record(0)).is_none() && hot.bytes == 0);
    }
}
