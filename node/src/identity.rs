//! The private key of a node and the file that keeps it. Not the roster, which says whose key counts.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signer as _, SigningKey};

use crate::replica::node_id::NodeId;
use crate::replica::roster::Signer;

/// First line of a key file. A file that starts otherwise is some other file.
const HEADER: &str = "concord node key 1, keep secret";

/// PKCS#8 (RFC 8410) of an Ed25519 private key is this prefix and the 32 bytes of the seed.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Why the system gave no key. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("this system gave no random numbers, so no key was made: {source}")]
pub struct GenerateKeyError {
    source: getrandom::Error,
}

/// Why a key file was not written. A file that was there before is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum CreateKeyError {
    /// The system gave no random numbers.
    #[error(transparent)]
    Generate(#[from] GenerateKeyError),
    /// There is a file already; a lost key is a lost node, so it is never overwritten.
    #[error("{} exists already and is kept: a node has one key for life", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("the node key cannot be written to {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a key file gave no key. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LoadKeyError {
    /// No such file.
    #[error("there is no node key at {}: create the node first", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("the node key {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is something else, or damaged.
    #[error(
        "{} is not a node key: it must hold the line \"{HEADER}\" and a line of 64 hexadecimal \
         digits. Restore it from a copy; without it this node cannot go on",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// The Ed25519 key that is a node. Whoever has it is that node.
#[derive(Clone)]
pub struct NodeKey {
    signing: SigningKey,
}

impl NodeKey {
    /// A new key from the randomness of the system.
    ///
    /// # Errors
    /// When the system has none.
    pub fn generate() -> Result<Self, GenerateKeyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|source| GenerateKeyError { source })?;
        Ok(Self::from_seed(&seed))
    }

    /// The seed that [`Self::from_seed`] takes. It is the secret itself: handle it as such.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.signing.to_bytes()
    }

    /// The key that a seed of 32 bytes stands for. The same seed gives the same key.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { signing: SigningKey::from_bytes(seed) }
    }

    /// A new key, written to a new file that only its owner can read. It is on disk on return.
    ///
    /// # Errors
    /// When the file exists or cannot be written. A crash leaves the whole file or none.
    pub fn create(path: &Path) -> Result<Self, CreateKeyError> {
        let key = Self::generate()?;
        let failed = |source| CreateKeyError::Write { path: path.to_owned(), source };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        };
        // A temporary file of this library has mode 0600 from its first byte on.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        file.write_all(key.file_text().as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        drop(file.persist_noclobber(path).map_err(|error| {
            if error.error.kind() == io::ErrorKind::AlreadyExists {
                CreateKeyError::Exists { path: path.to_owned() }
            } else {
                failed(error.error)
            }
        })?);
        // The name must survive a power cut too.
        #[cfg(unix)]
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(key)
    }

    /// Reads the key of a node. Warns in the log when others can read the file too.
    ///
    /// # Errors
    /// When the file is missing, unreadable or not a node key.
    pub fn load(path: &Path) -> Result<Self, LoadKeyError> {
        let text = fs::read(path).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                LoadKeyError::Missing { path: path.to_owned() }
            } else {
                LoadKeyError::Read { path: path.to_owned(), source }
            }
        })?;
        warn_if_shared(path);
        parse(&text)
            .map(|seed| Self::from_seed(&seed))
            .ok_or_else(|| LoadKeyError::Malformed { path: path.to_owned() })
    }

    /// The public half: the name of the node.
    #[must_use]
    pub fn id(&self) -> NodeId {
        NodeId::from_bytes(self.signing.verifying_key().to_bytes())
    }

    /// Signs a message. The same message always gives the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }

    /// The key in the form that TLS libraries read.
    #[must_use]
    pub fn pkcs8_der(&self) -> Vec<u8> {
        let mut der = PKCS8_PREFIX.to_vec();
        der.extend_from_slice(self.signing.as_bytes());
        der
    }

    /// Another secret for another purpose, the same after every start. It tells nothing of the key.
    pub(crate) fn derive_secret(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, self.signing.as_bytes())
    }

    fn file_text(&self) -> String {
        let seed: String = self.signing.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        format!("{HEADER}\n{seed}\n")
    }
}

impl Signer for std::sync::Arc<NodeKey> {
    fn key(&self) -> NodeId {
        NodeKey::id(self)
    }

    fn signature(&self, message: &[u8]) -> [u8; 64] {
        NodeKey::sign(self, message)
    }
}

impl Signer for NodeKey {
    fn key(&self) -> NodeId {
        Self::id(self)
    }

    fn signature(&self, message: &[u8]) -> [u8; 64] {
        Self::sign(self, message)
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The private half must not reach a log.
        write!(f, "NodeKey({})", self.id())
    }
}

fn parse(file: &[u8]) -> Option<[u8; 32]> {
    let mut lines = std::str::from_utf8(file).ok()?.lines();
    let (header, seed) = (lines.next()?, lines.next()?);
    if header != HEADER || lines.next().is_some() {
        return None;
    }
    crdt_model::id::parse_hex(seed)
}

#[cfg(unix)]
fn warn_if_shared(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    // Containers mount secrets with modes that the operator cannot choose: warn, do not refuse.
    if fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
        tracing::warn!(path = %path.display(), "Others can read the node key. Set its mode to 0600.");
    }
}

#[cfg(not(unix))]
fn warn_if_shared(_path: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_key_loads_as_the_same_node() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        let key = NodeKey::create(&path).unwrap();
        let loaded = NodeKey::load(&path).unwrap();
        assert_eq!(loaded.id(), key.id());
        assert!(key.id().verify(b"commit", &loaded.sign(b"commit")));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        let key = NodeKey::create(&path).unwrap();
        assert!(matches!(NodeKey::create(&path), Err(CreateKeyError::Exists { .. })));
        assert_eq!(NodeKey::load(&path).unwrap().id(), key.id());
        // Nothing else is left behind.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_a_key_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        let missing = NodeKey::load(&path).unwrap_err();
        assert!(missing.to_string().contains("create the node first"), "{missing}");
        let seed = "07".repeat(32);
        for text in [
            String::new(),
            seed.clone(),
            format!("{HEADER}\n"),
            format!("{HEADER}\n{}\n", &seed[1..]),
            format!("{HEADER}\n{seed}\nmore\n"),
        ] {
            fs::write(&path, &text).unwrap();
            assert!(matches!(NodeKey::load(&path), Err(LoadKeyError::Malformed { .. })), "{text}");
        }
        fs::write(&path, format!("{HEADER}\n{seed}\n")).unwrap();
        assert_eq!(NodeKey::load(&path).unwrap().id(), NodeKey::from_seed(&[7; 32]).id());
    }

    #[test]
    fn debug_and_derived_secrets_do_not_show_the_seed() {
        let key = NodeKey::from_seed(&[7; 32]);
        assert!(!format!("{key:?}").contains("0707"));
        assert_ne!(key.derive_secret("a"), key.derive_secret("b"));
        assert_ne!(key.derive_secret("a"), [7; 32]);
    }

    #[test]
    fn the_tls_form_is_what_ring_reads() {
        let key = NodeKey::generate().unwrap();
        let der = rustls::pki_types::PrivatePkcs8KeyDer::from(key.pkcs8_der());
        let signer = rustls::crypto::ring::sign::any_eddsa_type(&der).unwrap();
        let spki = signer.public_key().unwrap();
        assert!(spki.ends_with(key.id().as_bytes()));
    }
}
