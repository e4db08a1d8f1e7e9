//! `concord token`: who may ask the node of this machine. Works on the token file; a running node
//! follows it.

use std::path::{Path, PathBuf};

use crdt_model::id::SourceName;
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde_json::{Value as Json, json};

use super::init::{sentence, source_of};
use super::table::Table;
use super::{CliError, Context, Exit, show};
use crate::config::{self, Config};
use crate::http::token::TokenError;
use crate::http::token::file::{TokenEntry, TokenFile, expiry_ms, hash_of, new_secret};

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a token, and print its secret: it is shown this once
    Create(CreateArgs),
    /// List the tokens
    List(ListArgs),
    /// Remove a token: its secret is refused from then on
    Revoke(RevokeArgs),
}

/// Where the token file is.
#[derive(Debug, clap::Args)]
struct Place {
    /// Directory of the node
    #[arg(long, env = "CONCORD_DIR", default_value = config::DIR, value_name = "DIR")]
    dir: PathBuf,
}

/// Arguments of `token create`.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// What to call the token, for example anna-laptop
    #[arg(value_name = "NAME")]
    name: String,
    /// Whom the history names: the person or system that gets the secret
    #[arg(long, value_name = "PRINCIPAL")]
    principal: String,
    /// Whose claims it writes; default: manual- and the region of the node
    #[arg(long, value_name = "SOURCE")]
    source: Option<SourceName>,
    /// A request may name another source
    #[arg(long)]
    any_source: bool,
    /// It may write; without, it only reads
    #[arg(long)]
    write: bool,
    /// The last day on which it is good, a moment (RFC 3339), or never; default: a year from today
    #[arg(long, value_name = "DAY|never")]
    expires: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Arguments of `token list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    place: Place,
}

/// Arguments of `token revoke`.
#[derive(Debug, clap::Args)]
pub(super) struct RevokeArgs {
    /// The name of the token, as the list has it
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(command: &Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Create(args) => create(args, context),
        Command::List(args) => list(args, context),
        Command::Revoke(args) => revoke(args, context),
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(config::TOKENS_FILE)
}

fn refused(error: &TokenError) -> CliError {
    CliError::Refused(sentence(error))
}

fn today() -> Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn create(args: &CreateArgs, context: &Context) -> Result<Exit, CliError> {
    let path = path(&args.place.dir);
    let mut file = TokenFile::load(&path).map_err(|error| refused(&error))?;
    if name_of(&file, &args.name).is_some() {
        return Err(CliError::Refused(format!(
            "There is a token {} already. Choose another name, or revoke that one first.",
            args.name
        )));
    }
    if args.name.is_empty() || args.name.starts_with('#') || args.name.chars().any(char::is_control)
    {
        return Err(CliError::Usage("A token needs a name that can be shown.".to_owned()));
    }
    let expires = match args.expires.as_deref() {
        Some("never") => None,
        Some(text) if expiry_ms(text).is_some() => Some(text.to_owned()),
        Some(text) => {
            return Err(CliError::Usage(format!(
                "{text:?} is neither a day, like 2027-12-31, nor a moment, like \
                 2027-12-31T18:00:00Z, nor never."
            )));
        }
        None => today().checked_add(1.year()).ok().map(|day| day.to_string()),
    };
    let source = match &args.source {
        Some(source) => source.clone(),
        None => {
            let config = Config::load(&args.place.dir)
                .map_err(|error| CliError::Refused(error.to_string()))?;
            source_of(&config.region)?
        }
    };
    let secret = new_secret().map_err(|error| {
        CliError::Unreachable(format!("The system gave no random numbers: {error}."))
    })?;
    let entry = TokenEntry {
        name: Some(args.name.clone()),
        hash: Some(hash_of(&secret)),
        secret: None,
        principal: args.principal.clone(),
        source,
        any_source: args.any_source,
        write: args.write,
        expires,
    };
    let mut json = shown(&entry, &args.name);
    json["secret"] = json!(secret);
    file.tokens.push(entry);
    file.save(&path).map_err(|error| refused(&error))?;
    context.show(&json, |json| {
        format!(
            "{secret}\n\nThis is the secret of the token {}; it is not kept and not shown again. Good \
             until: {}.\n",
            args.name,
            show::text(&json["expires"]),
        )
    })?;
    Ok(Exit::Ok)
}

/// The name of a token; one that was written by hand has its number.
fn name(entry: &TokenEntry, at: usize) -> String {
    entry.name.clone().unwrap_or_else(|| format!("#{}", at + 1))
}

fn name_of(file: &TokenFile, wanted: &str) -> Option<usize> {
    let mut names = file.tokens.iter().enumerate();
    names.find(|(at, entry)| name(entry, *at) == wanted).map(|(at, _)| at)
}

fn shown(entry: &TokenEntry, name: &str) -> Json {
    let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
    let expired = entry.expires.as_deref().and_then(expiry_ms).is_some_and(|end| end <= now_ms);
    json!({
        "name": name,
        "principal": entry.principal,
        "source": entry.source.to_string(),
        "any_source": entry.any_source,
        "write": entry.write,
        "expires": entry.expires.as_deref().unwrap_or("never"),
        "expired": expired,
        "hashed": entry.hash.is_some(),
    })
}

fn list(args: &ListArgs, context: &Context) -> Result<Exit, CliError> {
    let file = TokenFile::load(&path(&args.place.dir)).map_err(|error| refused(&error))?;
    let tokens: Vec<Json> =
        file.tokens.iter().enumerate().map(|(at, it)| shown(it, &name(it, at))).collect();
    context.show(&json!({"tokens": tokens}), |json| {
        let mut table = Table::new(&["NAME", "PRINCIPAL", "SOURCE", "MAY", "GOOD UNTIL", ""]);
        for token in json["tokens"].as_array().into_iter().flatten() {
            let is = |name: &str| token[name].as_bool() == Some(true);
            let any = if is("any_source") { " and others" } else { "" };
            let mark = match (is("expired"), is("hashed")) {
                (true, _) => "expired",
                (false, true) => "",
                (false, false) => "secret in plain text",
            };
            table.row([
                show::text(&token["name"]),
                show::text(&token["principal"]),
                format!("{}{any}", show::text(&token["source"])),
                if is("write") { "read, write" } else { "read" }.to_owned(),
                show::text(&token["expires"]),
                mark.to_owned(),
            ]);
        }
        table.to_string()
    })?;
    Ok(Exit::Ok)
}

fn revoke(args: &RevokeArgs, context: &Context) -> Result<Exit, CliError> {
    let path = path(&args.place.dir);
    let mut file = TokenFile::load(&path).map_err(|error| refused(&error))?;
    let Some(at) = name_of(&file, &args.name) else {
        return Err(CliError::Refused(format!(
            "There is no token {}. \"concord token list\" has the names.",
            args.name
        )));
    };
    file.tokens.remove(at);
    file.save(&path).map_err(|error| refused(&error))?;
    context.show(&json!({"revoked": args.name}), |_| {
        format!(
            "The token {} is refused from now on; a running node follows within seconds.\n",
            args.name
        )
    })?;
    Ok(Exit::Ok)
}
