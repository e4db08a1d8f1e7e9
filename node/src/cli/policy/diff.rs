//! `concord policy diff`.

use std::path::PathBuf;

use serde_json::{Map, Value as Json, json};

use super::super::{Target, show, table::Table};
use super::file::{PolicyFile, in_force};
use super::{CliError, Context, Exit};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Compare with this file instead of the policy in force on the running node
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let new = PolicyFile::read(&args.file)?;
    let old = match &args.against {
        Some(path) => PolicyFile::read(path)?.policy().clone(),
        None => in_force(&context.client(&args.node)?)?.0,
    };
    let differences = differences(&tree(&old), &tree(new.policy()));
    let exit = if differences.is_empty() { Exit::Ok } else { Exit::Differences };
    context.show(&json!({"differences": differences}), people)?;
    Ok(exit)
}

fn tree(policy: &crdt_model::policy::Policy) -> Json {
    serde_json::to_value(policy).unwrap_or_default()
}

/// What differs: field by field, and entry by entry where a field is a table.
fn differences(old: &Json, new: &Json) -> Vec<Json> {
    let entries = |json: &Json| -> Map<String, Json> {
        let mut entries = Map::new();
        for (field, value) in json.as_object().into_iter().flatten() {
            let Some(table) = value.as_object() else {
                entries.insert(field.clone(), value.clone());
                continue;
            };
            let named =
                |(key, value): (&String, &Json)| (format!("{field}.{key:?}"), value.clone());
            entries.extend(table.iter().map(named));
        }
        entries
    };
    let (old, new) = (entries(old), entries(new));
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| json!({"at": key, "before": old.get(key), "after": new.get(key)}))
        .collect()
}

fn people(json: &Json) -> String {
    let mut table = Table::new(&["WHERE", "BEFORE", "AFTER"]);
    for difference in json["differences"].as_array().into_iter().flatten() {
        let side = |name: &str| show::value(&difference[name]);
        table.row([show::text(&difference["at"]), side("before"), side("after")]);
    }
    if table.is_empty() { "The policies are equal.\n".to_owned() } else { table.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_compared_entry_by_entry() {
        let old = json!({"version": 1, "rules": {"a/b": "owner", "c/d": "least"}, "kinds": ["x"]});
        let new = json!({"version": 2, "rules": {"a/b": "owner", "e/f": "least"}, "kinds": ["x"]});
        assert_eq!(
            differences(&old, &new),
            [
                json!({"at": "rules.\"c/d\"", "before": "least", "after": null}),
                json!({"at": "rules.\"e/f\"", "before": null, "after": "least"}),
                json!({"at": "version", "before": 1, "after": 2}),
            ]
        );
        assert!(differences(&new, &new).is_empty());
    }
}
