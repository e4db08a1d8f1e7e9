//! `concord policy key`.

use std::path::PathBuf;

use serde_json::json;

use super::super::init::sentence;
use super::super::show;
use super::{CliError, Context, Exit};
use crate::identity::NodeKey;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to keep the secret key; the file must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let key =
        NodeKey::create(&args.file).map_err(|error| CliError::Unreachable(sentence(&error)))?;
    let json = json!({"key": key.id().to_string(), "file": args.file});
    context.show(&json, |json| {
        format!(
            "The key of the governor is in {}; keep it secret and keep a copy.\nWrite this into \
             the policy, below [governors.keys]:\n  NAME = \"{}\"\n",
            args.file.display(),
            show::text(&json["key"])
        )
    })?;
    Ok(Exit::Ok)
}
