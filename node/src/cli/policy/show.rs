//! `concord policy show`.

use std::path::PathBuf;

use crdt_model::policy::{Policy, bundle};
use serde_json::{Value as Json, json};

use super::super::{Target, show};
use super::file::{PolicyFile, in_force};
use super::{CliError, Context, Exit};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A policy file, signed or not; without one, the running node is asked
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let (policy, about) = match &args.file {
        Some(path) => of_file(&PolicyFile::read(path)?),
        None => in_force(&context.client(&args.node)?)?,
    };
    let mut json = about;
    json["policy"] = serde_json::to_value(&policy).unwrap_or_default();
    context.show(&json, |json| format!("{}\n{}", head(json), bundle::write(&policy)))?;
    Ok(Exit::Ok)
}

fn of_file(file: &PolicyFile) -> (Policy, Json) {
    let policy = file.policy().clone();
    let digest = blake3::Hash::from_bytes(policy.digest()).to_hex().to_string();
    let mut json = json!({"version": policy.version, "digest": digest});
    if let PolicyFile::Signed(entry) = file {
        json["activates_at_ms"] = entry.activates_at_ms.into();
        json["signed_by"] = entry.signers().map(|key| key.to_string()).collect::<Vec<_>>().into();
    }
    (policy, json)
}

/// What is known of the policy beside its text, as comments.
fn head(json: &Json) -> String {
    let mut head = format!("# digest {}\n", show::text(&json["digest"]));
    if let Some(at) = json["activates_at_ms"].as_u64() {
        head.push_str(&format!("# in force from {}\n", show::time(at)));
    }
    for key in json["signed_by"].as_array().into_iter().flatten() {
        head.push_str(&format!("# signed by {}\n", show::text(key)));
    }
    for waiting in json["versions"].as_array().into_iter().flatten() {
        let (version, at) = (&waiting["version"], show::text(&waiting["activates_at"]));
        head.push_str(&format!("# version {version}: from {at}\n"));
    }
    if json["resolving"].as_bool() == Some(true) {
        head.push_str("# some customers are still to be resolved by it\n");
    }
    head
}
