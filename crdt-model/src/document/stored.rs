//! What a document is kept as: the changes themselves, in two parts.
//!
//! The newer changes stand one after the other as they came: reading them is all it takes to know what
//! the document says, and one more change leaves the others as they are. When there are many, they
//! become one Automerge document, which is smaller ([`Stored::is_long`]). Both parts together are bytes
//! that any Automerge tool opens.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Automerge, ChangeHash, ReadDoc as _};

use super::change::Content;
use super::envelope::{self, Opened};
use super::founders::Founders;
use super::history::History;

/// From so many changes on that stand for themselves, they are worth a document.
const CHANGES_LONG: usize = 32;
/// Also when they are fewer and have so many bytes together.
const BYTES_LONG: usize = 16 << 10;

/// The stored form of a document, and where its parts are.
#[derive(Debug, Default)]
pub(super) struct Stored {
    bytes: Vec<u8>,
    /// How many bytes each change has that is in the Automerge document; none without one.
    sizes: Vec<usize>,
    /// The Automerge document, if there is one, and then each further change.
    chunks: Vec<Range<usize>>,
}

impl Stored {
    /// Nothing but changes that are in no document yet.
    pub(super) fn new(founders: &Founders, sizes: Vec<usize>, chunks: &[&[u8]]) -> Self {
        let bytes = envelope::seal(founders, &sizes, chunks);
        let mut from = bytes.len() - chunks.iter().map(|chunk| chunk.len()).sum::<usize>();
        let place = |chunk: &&[u8]| {
            let place = from..from + chunk.len();
            from = place.end;
            place
        };
        let chunks = chunks.iter().map(place).collect();
        Self { bytes, sizes, chunks }
    }

    /// What was opened from these bytes.
    pub(super) fn opened(bytes: &[u8], opened: &Opened) -> Self {
        let Opened { sizes, chunks, .. } = opened;
        Self { bytes: bytes.to_vec(), sizes: sizes.clone(), chunks: chunks.clone() }
    }

    /// With one more change.
    pub(super) fn with(&self, founders: &Founders, change: &[u8]) -> Self {
        let chunks: Vec<&[u8]> = self.chunks().chain([change]).collect();
        Self::new(founders, self.sizes.clone(), &chunks)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks.iter().map(|place| &self.bytes[place.clone()])
    }

    /// The sizes of the changes in the Automerge document, and the document.
    pub(super) fn document(&self) -> Option<(&[usize], &[u8])> {
        let first = self.chunks().next().filter(|_| !self.sizes.is_empty())?;
        Some((&self.sizes, first))
    }

    /// The changes behind it.
    pub(super) fn newer(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks().skip(usize::from(!self.sizes.is_empty()))
    }

    /// Everything, as Automerge opens it.
    pub(super) fn automerge_bytes(&self) -> Vec<u8> {
        if self.chunks.is_empty() {
            return Automerge::new().save_nocompress();
        }
        self.chunks().flatten().copied().collect()
    }

    /// Everything as Automerge's own document.
    pub(super) fn automerge(&self) -> Result<Automerge, String> {
        let load = || Automerge::load(&self.automerge_bytes()).map_err(|error| error.to_string());
        catch_unwind(AssertUnwindSafe(load))
            .unwrap_or_else(|_| Err("automerge panicked".to_owned()))
    }

    /// Whether so much stands for itself that a document should be made of it.
    pub(super) fn is_long(&self) -> bool {
        let changes = self.newer().count();
        let bytes: usize = self.newer().map(<[u8]>::len).sum();
        changes >= CHANGES_LONG || (changes > 1 && bytes >= BYTES_LONG)
    }

    /// Every change with its place in the history. Dear when there is an Automerge document.
    pub(super) fn changes(&self, history: &History) -> Vec<(usize, Content)> {
        let mut changes = Vec::with_capacity(history.nodes().len());
        if let Some((_, document)) = self.document() {
            let opened = catch_unwind(AssertUnwindSafe(|| Automerge::load(document)));
            for change in opened.ok().and_then(Result::ok).iter().flat_map(|it| it.get_changes(&[]))
            {
                let place = history.find(&change.hash().0);
                changes.extend(place.zip(Content::decode(change.raw_bytes()).ok()));
            }
        }
        let newer = self.newer().map(Content::decode);
        changes.extend((self.sizes.len()..).zip(newer.filter_map(Result::ok)));
        changes
    }

    /// One change by its place in the history.
    pub(super) fn change(&self, history: &History, place: usize) -> Option<Content> {
        if let Some(newer) = place.checked_sub(self.sizes.len()) {
            return Content::decode(self.newer().nth(newer)?).ok();
        }
        let hash = ChangeHash(history.node(place).hash);
        let (_, document) = self.document()?;
        let opened = catch_unwind(AssertUnwindSafe(|| Automerge::load(document)));
        let change = opened.ok()?.ok()?.get_change_by_hash(&hash)?;
        Content::decode(change.raw_bytes()).ok()
    }
}
