//! The tokens of a running node, which follow the token file: a token that is revoked is refused
//! within seconds, without a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::Tokens;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The tokens that are good now.
#[derive(Debug, Clone)]
pub struct Keyring(watch::Receiver<Arc<Tokens>>);

impl From<Tokens> for Keyring {
    fn from(tokens: Tokens) -> Self {
        // The last value stays readable without a sender.
        Self(watch::channel(Arc::new(tokens)).1)
    }
}

impl Keyring {
    /// Tokens that follow a file, as long as somebody holds the keyring. A file that cannot be read or
    /// is malformed changes nothing and is logged. Call it within a runtime.
    #[must_use]
    pub fn follow(tokens: Tokens, path: PathBuf) -> Self {
        let (current, keyring) = watch::channel(Arc::new(tokens));
        let mut seen = stamp(&path);
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(LOOK);
            while !current.is_closed() {
                interval.tick().await;
                let now = stamp(&path);
                if now == seen {
                    continue;
                }
                seen = now;
                match Tokens::load(&path) {
                    Ok(tokens) => {
                        tracing::info!("the token file has changed and is in use");
                        current.send_replace(Arc::new(tokens));
                    }
                    Err(error) => {
                        tracing::error!(%error, "the tokens stay as they were before the change");
                    }
                }
            }
        });
        Self(keyring)
    }

    pub(crate) fn current(&self) -> Arc<Tokens> {
        Arc::clone(&self.0.borrow())
    }
}

/// What tells one state of a file from another.
fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
