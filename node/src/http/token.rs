//! Who may ask: the tokens of a node.
//!
//! A token is a secret that names a principal for the history and the source whose claims it writes.
//! Only the hashes of the secrets are kept, on disk and in memory, so neither a copy of the file nor a
//! log can leak them. A token may have an end, and can be revoked while the node runs.

pub mod file;
mod keyring;

use std::path::{Path, PathBuf};

use crdt_model::id::SourceName;

use self::file::{TokenEntry, TokenFile, expiry_ms};
pub use self::keyring::Keyring;

/// The fewest characters of a secret. 32 characters of base64url are 192 random bits.
const SECRET_MIN: usize = 32;
/// The most bytes of a principal.
const PRINCIPAL_MAX: usize = 128;
/// The most bytes of a token file.
const FILE_MAX: u64 = 1 << 20;

/// Why the tokens were not taken. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file is missing or cannot be read.
    #[error("the token file {} cannot be read ({source}); \"concord init\" makes one", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others on the machine could read the secrets.
    #[error("the token file {} can be read by others; run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("the token file {} cannot be written: {source}", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not a token file.
    #[error("the token file is malformed: {0}")]
    Malformed(String),
}

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whom the history names.
    pub principal: String,
    /// Whose claims the token writes.
    pub source: SourceName,
    /// Whether a request may name another source.
    pub any_source: bool,
    /// Whether it may write.
    pub write: bool,
    /// When it stops being good, in milliseconds since 1970; none: when it is revoked.
    pub expires_ms: Option<u64>,
}

impl Grant {
    /// Whether it is not good any more.
    #[must_use]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|end| end <= now_ms)
    }
}

/// The tokens that a node takes.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Vec<(blake3::Hash, Grant)>);

impl Tokens {
    /// Reads a token file.
    ///
    /// # Errors
    /// [`TokenError`] when the file is missing, malformed, or readable by others.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        Self::of(TokenFile::load(path)?)
    }

    /// Reads the text of a token file.
    ///
    /// # Errors
    /// [`TokenError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        Self::of(TokenFile::parse(text)?)
    }

    fn of(file: TokenFile) -> Result<Self, TokenError> {
        let mut tokens = Self::default();
        for (number, entry) in (1..).zip(file.tokens) {
            let hash = hash(&entry, number)?;
            let TokenEntry { principal, source, any_source, write, expires, .. } = entry;
            if principal.is_empty()
                || principal.len() > PRINCIPAL_MAX
                || principal.chars().any(char::is_control)
            {
                let text = format!(
                    "the principal of token {number} is not a name of 1 to {PRINCIPAL_MAX} bytes"
                );
                return Err(malformed(&text));
            }
            let expires_ms = expires.map(|text| {
                expiry_ms(&text).ok_or_else(|| {
                    let text = format!(
                        "token {number} expires neither on a day, like 2027-12-31, nor at a moment, \
                         like 2027-12-31T18:00:00Z"
                    );
                    malformed(&text)
                })
            });
            let expires_ms = expires_ms.transpose()?;
            if tokens.0.iter().any(|(known, _)| *known == hash) {
                let text = format!("the secret of token {number} stands twice");
                return Err(malformed(&text));
            }
            tokens.0.push((hash, Grant { principal, source, any_source, write, expires_ms }));
        }
        if tokens.0.is_empty() {
            return Err(malformed("it holds no token, so nobody could ask the node anything"));
        }
        Ok(tokens)
    }

    /// What a secret allows, as long as it is good; `None` when it is not known.
    ///
    /// Takes the same time for every secret of a length: the hashes compare in constant time, and
    /// every token is looked at.
    #[must_use]
    pub fn grant(&self, secret: &str) -> Option<&Grant> {
        let hash = blake3::hash(secret.as_bytes());
        self.0.iter().fold(
            None,
            |found, (known, grant)| {
                if *known == hash { Some(grant) } else { found }
            },
        )
    }
}

/// The hash of the secret of an entry.
fn hash(entry: &TokenEntry, number: usize) -> Result<blake3::Hash, TokenError> {
    match (&entry.hash, &entry.secret) {
        (Some(hash), None) => blake3::Hash::from_hex(hash).map_err(|_| {
            malformed(&format!("the hash of token {number} is not one: 64 hexadecimal digits"))
        }),
        (None, Some(secret)) if secret.len() < SECRET_MIN => {
            Err(malformed(&format!("the secret of token {number} is shorter than {SECRET_MIN}")))
        }
        (None, Some(secret)) => Ok(blake3::hash(secret.as_bytes())),
        (Some(_), Some(_)) | (None, None) => Err(malformed(&format!(
            "token {number} needs a hash (\"concord token create\" makes one) or a secret, and not both"
        ))),
    }
}

fn malformed(text: &str) -> TokenError {
    TokenError::Malformed(text.to_owned())
}

#[cfg(unix)]
fn is_exposed(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_exposed(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests;
