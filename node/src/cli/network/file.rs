//! The files of a network: its key, which signs, and its roster, which anyone may read.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::super::CliError;
use super::super::init::sentence;
use crate::config::ROSTER_FILE;
use crate::identity::{LoadKeyError, NodeKey};
use crate::replica::roster::{Roster, RosterError};

/// The private key of a network, in its directory.
pub(crate) const NETWORK_KEY_FILE: &str = "network.key";

/// The directory of a network: where its operator admits and revokes.
#[derive(Debug)]
pub(crate) struct NetworkDir {
    roster_path: PathBuf,
    key: NodeKey,
    pub(crate) roster: Roster,
}

impl NetworkDir {
    /// Starts a network in a directory that has none.
    pub(crate) fn create(dir: &Path, name: &str) -> Result<Self, CliError> {
        let roster_path = dir.join(ROSTER_FILE);
        let key_path = dir.join(NETWORK_KEY_FILE);
        if roster_path.exists() || key_path.exists() {
            return Err(CliError::Refused(format!(
                "There is a network in {} already, and it is kept as it is. Name another directory \
                 with --dir.",
                dir.display()
            )));
        }
        // The name is judged before anything is written.
        let trial = NodeKey::from_seed(&[0; 32]);
        Roster::found(name, &trial).map_err(|error| CliError::Usage(sentence(&error)))?;
        create_dir(dir)?;
        let key =
            NodeKey::create(&key_path).map_err(|error| CliError::Unreachable(sentence(&error)))?;
        let roster = Roster::found(name, &key).map_err(|error| refused(&error))?;
        let network = Self { roster_path, key, roster };
        network.save()?;
        Ok(network)
    }

    /// Opens the directory of a network.
    pub(crate) fn open(dir: &Path) -> Result<Self, CliError> {
        let key_path = dir.join(NETWORK_KEY_FILE);
        let key = NodeKey::load(&key_path).map_err(|error| match error {
            LoadKeyError::Missing { .. } => CliError::Refused(format!(
                "There is no network key in {}. Name the directory of the network with --dir, or \
                 make one with \"concord network create NAME\".",
                dir.display()
            )),
            LoadKeyError::Read { .. } | LoadKeyError::Malformed { .. } => {
                CliError::Refused(sentence(&error))
            }
        })?;
        let roster_path = dir.join(ROSTER_FILE);
        let roster = load_roster(&roster_path)?;
        Ok(Self { roster_path, key, roster })
    }

    /// Changes the roster and puts it on disk. Nothing is changed on an error.
    pub(crate) fn change(
        &mut self,
        change: impl FnOnce(&mut Roster, &NodeKey) -> Result<(), RosterError>,
    ) -> Result<(), CliError> {
        let mut roster = self.roster.clone();
        change(&mut roster, &self.key).map_err(|error| refused(&error))?;
        let before = std::mem::replace(&mut self.roster, roster);
        self.save().inspect_err(|_| self.roster = before)
    }

    fn save(&self) -> Result<(), CliError> {
        write_whole(&self.roster_path, &self.roster.encode())
    }
}

/// Reads and checks a roster file.
pub(crate) fn load_roster(path: &Path) -> Result<Roster, CliError> {
    let bytes = fs::read(path).map_err(|error| {
        CliError::Refused(format!("The roster {} cannot be read: {error}.", path.display()))
    })?;
    Roster::decode(&bytes)
        .map_err(|error| CliError::Refused(format!("{}: {}", path.display(), sentence(&error))))
}

/// Replaces a file as a whole: a crash leaves the old one or the new one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let write = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or_else(|| Path::new(".")))?;
        file.write_all(bytes)?;
        // The roster is public; the library makes its files private.
        #[cfg(unix)]
        file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| {
        CliError::Unreachable(format!("{} cannot be written: {error}.", path.display()))
    })
}

/// A roster that cannot be changed so is the operator's input.
pub(crate) fn refused(error: &RosterError) -> CliError {
    CliError::Refused(sentence(error))
}

fn create_dir(dir: &Path) -> Result<(), CliError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| {
        CliError::Unreachable(format!("{} cannot be created: {error}.", dir.display()))
    })
}
