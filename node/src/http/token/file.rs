//! The token file as it is written: who may ask, by the hash of a secret that is shown once.
//!
//! A token is its name, whom the history names, whose claims it writes, and until when it is good. An
//! entry with a secret in plain text, written by hand, is taken too.

use std::io::Write as _;
use std::path::Path;

use crdt_model::id::SourceName;
use serde::{Deserialize, Serialize};

use super::{FILE_MAX, TokenError, Tokens, is_exposed, malformed};

/// One token as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// What operators call it; none for one that was written by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The hash of the secret: BLAKE3, 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The secret itself, in place of the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Whom the history names.
    pub principal: String,
    /// Whose claims it writes.
    pub source: SourceName,
    /// Whether a request may name another source.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_source: bool,
    /// Whether it may write.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub write: bool,
    /// The last day on which it is good, in UTC, or the moment (RFC 3339) from which it is not; none:
    /// until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// A token file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFile {
    /// Its tokens.
    #[serde(default)]
    pub tokens: Vec<TokenEntry>,
}

const HEAD: &str = "\
# Who may ask this node. Written by \"concord token create\" and \"concord token revoke\"; the node
# follows a change within seconds. It holds hashes: a secret is shown once, when it is created.
# principal: whom the history names. source: whose claims the token writes. any_source: it may name
# another source. write: without it, the token only reads. expires: the last day, in UTC.

";

/// The hash of a secret, as the file has it.
#[must_use]
pub fn hash_of(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

/// A new secret: 256 random bits.
///
/// # Errors
/// When the system gives no random numbers.
pub fn new_secret() -> Result<String, getrandom::Error> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    Ok(secret.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// When a token stops being good, in milliseconds since 1970: after a day, or at a moment.
#[must_use]
pub fn expiry_ms(text: &str) -> Option<u64> {
    let moment = match text.parse::<jiff::civil::Date>() {
        Ok(day) => {
            let next = day.tomorrow().ok()?;
            next.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()
        }
        Err(_) => text.parse::<jiff::Timestamp>().ok()?,
    };
    u64::try_from(moment.as_millisecond()).ok()
}

impl TokenFile {
    /// Reads a token file.
    ///
    /// # Errors
    /// [`TokenError`] when it is missing, malformed, or readable by others.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let unreadable = |source| TokenError::Unreadable { path: path.to_owned(), source };
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if is_exposed(&metadata) {
            return Err(TokenError::Exposed { path: path.to_owned() });
        }
        if metadata.len() > FILE_MAX {
            return Err(malformed(&format!("it has more than {FILE_MAX} bytes")));
        }
        Self::parse(&std::fs::read_to_string(path).map_err(unreadable)?)
    }

    /// Reads the text of a token file.
    ///
    /// # Errors
    /// [`TokenError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        // The message of the parser quotes the line, and the line may hold a secret.
        toml::from_str(text).map_err(|error| malformed(error.message()))
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{HEAD}{}", toml::to_string(self).unwrap_or_default())
    }

    /// Replaces the file, readable by its owner alone, whole or not at all.
    ///
    /// # Errors
    /// [`TokenError`] when what would be written is no token file, or the disk refuses; the file is as
    /// it was.
    pub fn save(&self, path: &Path) -> Result<(), TokenError> {
        let text = self.text();
        Tokens::parse(&text)?;
        let unwritten = |source| TokenError::Unwritten { path: path.to_owned(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // The library makes its files private.
        let made = tempfile::NamedTempFile::new_in(folder.unwrap_or_else(|| Path::new(".")));
        let mut file = made.map_err(unwritten)?;
        file.write_all(text.as_bytes()).map_err(unwritten)?;
        file.as_file().sync_all().map_err(unwritten)?;
        file.persist(path).map(drop).map_err(|error| unwritten(error.error))
    }
}
