//! What a store says about itself: format version, engine and identity, under one key.
//!
//! A text, so that `strings` on a store tells what it is: `concord-store 3 sled-0.34 <32 hex digits>`.
//! A store that moves to another engine keeps its identity and gets an entry that names the new one.

use std::fmt;

use crdt_model::id::parse_hex;

use super::engine::EngineKind;

/// The key of the format entry. Callers may read it, not write it.
pub const FORMAT_KEY: &[u8] = b"m/format";

/// The format that this release reads and writes.
pub const FORMAT_VERSION: u32 = 3;

const MAGIC: &str = "concord-store";

/// The random identity of one store, made when it was created and kept through compaction
/// and migration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId([u8; 16]);

impl StoreId {
    /// Takes the bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A new random one.
    pub(super) fn mint() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreId({self})")
    }
}

/// The format entry of a store of this release.
pub(super) fn encode(id: StoreId, engine: EngineKind) -> Vec<u8> {
    format!("{MAGIC} {FORMAT_VERSION} {} {id}", engine.format()).into_bytes()
}

/// Reads the format entry of a store on this engine, or says which format it names instead of ours.
pub(super) fn decode(entry: &[u8], kind: EngineKind) -> Result<StoreId, String> {
    let text = String::from_utf8_lossy(entry);
    let mut words = text.split(' ');
    let (magic, version, engine) = (words.next(), words.next(), words.next());
    let known = magic == Some(MAGIC)
        && version == Some(FORMAT_VERSION.to_string().as_str())
        && engine == Some(kind.format());
    let id = words.next().and_then(parse_hex).map(StoreId);
    match (known, id) {
        (true, Some(id)) => Ok(id),
        _ => Err(format!("{} on {}", version.unwrap_or("?"), engine.unwrap_or("?"))
            .chars()
            .take(80)
            .collect()),
    }
}

/// The format of this release, in the words of [`decode`]'s error.
pub(super) fn supported(kind: EngineKind) -> String {
    format!("{FORMAT_VERSION} on {}", kind.format())
}
