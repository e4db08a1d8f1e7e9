//! What every command is given: how to print, and how to find the node it talks to.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::client::Client;
use super::exit::CliError;
use crate::config::{self, Config};

/// What the command line says for every command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Context {
    /// Print JSON for programs instead of text for people.
    pub json: bool,
}

/// Which running node a command talks to. Flatten it into the arguments of the command.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// Directory of the node; its concord.toml says where the node listens, its admin.token how to ask
    #[arg(long, env = "CONCORD_DIR", default_value = config::DIR, value_name = "DIR")]
    pub dir: PathBuf,
    /// Address of a node elsewhere, for example http://10.0.0.7:7401
    #[arg(long, env = "CONCORD_URL", value_name = "URL")]
    pub url: Option<String>,
    /// Secret of a token of that node; default: the one in admin.token in the directory
    #[arg(long, env = "CONCORD_TOKEN", hide_env_values = true, value_name = "SECRET")]
    pub token: Option<String>,
}

impl Context {
    /// The client for a node.
    ///
    /// The secret of the directory is sent only to the node of that directory.
    ///
    /// # Errors
    /// [`CliError::Usage`] when the address is not one, [`CliError::Refused`] when the directory does
    /// not say where the node is or holds no token.
    pub fn client(&self, target: &Target) -> Result<Client, CliError> {
        let own_url = || Config::load(&target.dir).map(|config| config.http_url());
        let (url, is_own) = match &target.url {
            None => (own_url().map_err(|error| CliError::Refused(error.to_string()))?, true),
            Some(url) => {
                let url = url.trim_end_matches('/').to_owned();
                let is_own = own_url().is_ok_and(|own| own == url);
                (url, is_own)
            }
        };
        let token = match &target.token {
            Some(token) => token.clone(),
            None if is_own => first_secret(&target.dir)?,
            None => {
                return Err(CliError::Usage(format!(
                    "Say how to ask {url}: give --token, or set CONCORD_TOKEN, to the secret of a \
                     token of that node (concord token create)."
                )));
            }
        };
        Client::new(&url, &token)
    }

    /// Prints text, followed by a line break.
    ///
    /// # Errors
    /// [`CliError::Output`] when nobody takes it.
    pub fn print(&self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    /// Prints the JSON when that was asked for, the text that `people` makes of it otherwise.
    ///
    /// # Errors
    /// As [`Self::print`].
    pub fn show(&self, json: &Json, people: impl FnOnce(&Json) -> String) -> Result<(), CliError> {
        if self.json { self.print(&json.to_string()) } else { self.print(&people(json)) }
    }
}

/// The secret with which the command line asks the node of this machine.
fn first_secret(dir: &Path) -> Result<String, CliError> {
    match std::fs::read_to_string(dir.join(config::ADMIN_TOKEN_FILE)) {
        Ok(secret) => return Ok(secret.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(CliError::Refused(format!(
                "{} cannot be read ({error}). Give --token instead, or run as the account that runs \
                 the node.",
                dir.join(config::ADMIN_TOKEN_FILE).display()
            )));
        }
    }
    // A token file that was written by hand may have a secret in plain text.
    let path = dir.join(config::TOKENS_FILE);
    let refused = |why: &str| {
        CliError::Refused(format!(
            "The token file {} {why}. Give --token instead, or run as the account that runs the node.",
            path.display()
        ))
    };
    let text = std::fs::read_to_string(&path)
        .map_err(|error| refused(&format!("cannot be read ({error})")))?;
    // The message of the parser would quote the line, and the line may hold a secret.
    let table: toml::Table = text.parse().map_err(|_| refused("is malformed"))?;
    let tokens = table.get("tokens").and_then(toml::Value::as_array);
    let tokens = tokens.map_or(&[][..], Vec::as_slice);
    let writes =
        |token: &&toml::Value| token.get("write").and_then(toml::Value::as_bool) == Some(true);
    let token = tokens.iter().find(writes).or_else(|| tokens.first());
    let secret = token.and_then(|token| token.get("secret")).and_then(toml::Value::as_str);
    secret.map(str::to_owned).ok_or_else(|| refused("holds no secret, and there is no admin.token"))
}
