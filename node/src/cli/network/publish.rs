//! What `admit` and `revoke` have in common: telling a running node of the new roster.

use serde::Deserialize;
use serde_json::Value as Json;

use super::super::{Client, Method, Request, show};
use super::file::{NetworkDir, refused};
use super::{CliError, Context};
use crate::replica::commit::Head;
use crate::replica::roster::Roster;

/// A running node that is to be told.
#[derive(Debug, clap::Args)]
pub(crate) struct To {
    /// Address of a running node to tell, for example http://127.0.0.1:7401
    #[arg(long, value_name = "URL")]
    pub(super) to: Option<String>,
    /// Secret of a token of that node that may write
    #[arg(long, env = "CONCORD_TOKEN", hide_env_values = true, value_name = "SECRET")]
    pub(super) token: Option<String>,
}

/// The roster as a running node shows it.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Shown {
    pub(super) encoded: String,
    pub(super) members: Vec<ShownMember>,
}

/// A member as a running node shows it.
#[derive(Debug, Deserialize)]
pub(super) struct ShownMember {
    pub(super) node: String,
    pub(super) name: String,
    pub(super) revoked: bool,
    /// What the node holds of its logs.
    #[serde(default)]
    pub(super) logs: Option<Vec<ShownHead>>,
}

/// The newest commit of a log that the node holds.
#[derive(Debug, Deserialize)]
pub(super) struct ShownHead {
    pub(super) log: String,
    pub(super) seq: u64,
    pub(super) head: String,
}

impl ShownHead {
    pub(super) fn head(&self) -> Result<Head, CliError> {
        let log = self.log.parse().ok();
        let hash = crdt_model::id::parse_hex(&self.head);
        let both = log.zip(hash);
        both.map(|(log, hash)| Head { log, seq: self.seq, hash }).ok_or_else(misunderstood)
    }
}

impl To {
    /// The client for the node to tell; none without `--to`.
    pub(in crate::cli) fn client(&self) -> Result<Option<Client>, CliError> {
        let Some(url) = &self.to else { return Ok(None) };
        let token = self.token.as_deref().ok_or_else(|| {
            CliError::Usage(format!(
                "Say how to ask {url}: give --token, or set CONCORD_TOKEN, to a secret of that \
                 node's tokens.toml."
            ))
        })?;
        Client::new(url, token).map(Some)
    }
}

/// The roster that a node has.
pub(in crate::cli) fn shown(client: &Client) -> Result<Shown, CliError> {
    let json: Json = client.ask(&Request::get("/v1/network/roster"))?;
    serde_json::from_value(json).map_err(|_| misunderstood())
}

/// Takes the entries that the node has and the directory lacks, so that two operators do not sign
/// different entries at one height.
pub(in crate::cli) fn catch_up(network: &mut NetworkDir, shown: &Shown) -> Result<(), CliError> {
    let bytes = decode_hex(&shown.encoded).ok_or_else(misunderstood)?;
    let theirs = Roster::decode(&bytes).map_err(|error| refused(&error))?;
    let mut trial = network.roster.clone();
    if trial.extend(0, &theirs.encode()).map_err(|error| refused(&error))? {
        network.change(|roster, _| roster.extend(0, &theirs.encode()).map(drop))?;
    }
    Ok(())
}

/// Gives the roster to a node; it tells the others.
pub(in crate::cli) fn tell(client: &Client, network: &NetworkDir) -> Result<(), CliError> {
    let request = Request::new(Method::POST, "/v1/network/roster")
        .body("application/octet-stream", network.roster.encode());
    client.ask(&request).map(drop).map_err(|error| match error {
        CliError::Unreachable(ref text) => CliError::Unreachable(format!(
            "The entry is in the roster file, but no node was told: {text} The same command, \
             repeated, tells it."
        )),
        CliError::Usage(_) | CliError::Refused(_) | CliError::Problem(_) | CliError::Output(_) => {
            error
        }
    })
}

/// What to say about an entry that was made or stood already.
pub(in crate::cli) fn report(
    context: &Context,
    json: &Json,
    done: &str,
    told: Option<&Client>,
) -> Result<(), CliError> {
    context.show(json, |json| {
        let next = match told {
            Some(client) => format!("{} was told and tells the others.", client.url()),
            None => "No running node was told: bring the roster to one with --to URL, or send the \
                     roster file to the nodes (concord network join)."
                .to_owned(),
        };
        format!("{done} Roster entries: {}.\n{next}\n", show::value(&json["height"]))
    })
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}

fn misunderstood() -> CliError {
    CliError::Refused(
        "The node shows its roster in a way that this release does not know. Use the release of \
         the node."
            .to_owned(),
    )
}
