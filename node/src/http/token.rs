//! Who may ask: the tokens of a node.
//!
//! A token is a secret that names a principal for the history and the source whose claims it writes.
//! Only the hashes of the secrets are kept, so a memory dump or a log cannot leak them.

use std::path::{Path, PathBuf};

use crdt_model::id::SourceName;
use serde::Deserialize;

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
}

/// The tokens that a node takes.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Vec<(blake3::Hash, Grant)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    tokens: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    secret: String,
    principal: String,
    source: SourceName,
    #[serde(default)]
    any_source: bool,
    #[serde(default)]
    write: bool,
}

impl Tokens {
    /// Reads a token file.
    ///
    /// # Errors
    /// [`TokenError`] when the file is missing, malformed, or readable by others.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let unreadable = |source| TokenError::Unreadable { path: path.to_owned(), source };
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if is_exposed(&metadata) {
            return Err(TokenError::Exposed { path: path.to_owned() });
        }
        if metadata.len() > FILE_MAX {
            return Err(TokenError::Malformed(format!("it has more than {FILE_MAX} bytes")));
        }
        Self::parse(&std::fs::read_to_string(path).map_err(unreadable)?)
    }

    /// Reads the text of a token file.
    ///
    /// # Errors
    /// [`TokenError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        // The message of the parser quotes the line, and the line may hold a secret.
        let file: File = toml::from_str(text).map_err(|error| malformed(error.message()))?;
        let mut tokens = Self::default();
        for (number, entry) in (1..).zip(file.tokens) {
            let Entry { secret, principal, source, any_source, write } = entry;
            if secret.len() < SECRET_MIN {
                let text = format!("the secret of token {number} is shorter than {SECRET_MIN}");
                return Err(malformed(&text));
            }
            if principal.is_empty()
                || principal.len() > PRINCIPAL_MAX
                || principal.chars().any(char::is_control)
            {
                let text = format!(
                    "the principal of token {number} is not a name of 1 to {PRINCIPAL_MAX} bytes"
                );
                return Err(malformed(&text));
            }
            if tokens.grant(&secret).is_some() {
                let text = format!("the secret of token {number} stands twice");
                return Err(malformed(&text));
            }
            let grant = Grant { principal, source, any_source, write };
            tokens.0.push((blake3::hash(secret.as_bytes()), grant));
        }
        if tokens.0.is_empty() {
            return Err(malformed("it holds no token, so nobody could ask the node anything"));
        }
        Ok(tokens)
    }

    /// What a secret allows; `None` when it is not known.
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
