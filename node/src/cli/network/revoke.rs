//! `concord network revoke`: names the last accepted commit of each log of the member, as a running
//! node holds them, so that every node draws the line at the same place.

use std::path::PathBuf;

use serde_json::json;

use super::file::NetworkDir;
use super::publish::{Shown, ShownHead, ShownMember, To, catch_up, report, shown, tell};
use super::{CliError, Context, DIR, Exit};
use crate::replica::commit::Head;
use crate::replica::limits::FOLLOWS_MAX;
use crate::replica::node_id::NodeId;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the network key
    #[arg(long, default_value = DIR, value_name = "DIR")]
    dir: PathBuf,
    /// The member: its name or its id
    #[arg(long, value_name = "NAME|ID")]
    node: String,
    #[command(flatten)]
    to: To,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let mut network = NetworkDir::open(&args.dir)?;
    let client = args.to.client()?.ok_or_else(|| {
        CliError::Usage(
            "A revocation says up to where the member's writes count, and a running node knows \
             that: give --to URL and --token."
                .to_owned(),
        )
    })?;
    let shown = shown(&client)?;
    catch_up(&mut network, &shown)?;
    let member = find(&shown, &args.node)?;
    let node: NodeId = member.node.parse().map_err(|_| unknown(&args.node))?;
    let stands = !network.roster.is_member(&node);
    let last = cut(member)?;
    let commits: u64 = last.iter().map(|head| head.seq).sum();
    if !stands {
        network.change(|roster, key| roster.revoke(node, last, key))?;
    }
    tell(&client, &network)?;
    let (name, height) = (&member.name, network.roster.height());
    let json = json!({"node": node, "name": name, "height": height, "accepted_commits": commits});
    let done = if stands {
        format!("{name} is no member already.")
    } else {
        format!(
            "{name} is revoked. Its first {commits} commits count, what it writes later does not."
        )
    };
    report(context, &json, &done, Some(&client))?;
    Ok(Exit::Ok)
}

fn find<'a>(shown: &'a Shown, wanted: &str) -> Result<&'a ShownMember, CliError> {
    let is_wanted = |member: &&ShownMember| member.name == wanted || member.node == wanted;
    let mut found: Vec<_> = shown.members.iter().filter(is_wanted).collect();
    // A name may have belonged to somebody who was revoked before.
    found.sort_by_key(|member| member.revoked);
    found.first().copied().ok_or_else(|| unknown(wanted))
}

fn unknown(wanted: &str) -> CliError {
    CliError::Refused(format!(
        "{wanted} is not the name or id of a member. \"concord network list\" shows the members."
    ))
}

fn cut(member: &ShownMember) -> Result<Vec<Head>, CliError> {
    let logs = member.logs.as_ref().ok_or_else(|| {
        CliError::Refused(
            "The node does not say what it holds of the member, so no line can be drawn. Use \
             another node."
                .to_owned(),
        )
    })?;
    let mut last = logs.iter().map(ShownHead::head).collect::<Result<Vec<_>, _>>()?;
    // An entry has room for so many logs. A member with more opened most of them for nothing.
    last.sort_by_key(|head| std::cmp::Reverse(head.seq));
    last.truncate(FOLLOWS_MAX);
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_with_more_logs_than_an_entry_holds_keeps_those_with_most_commits() {
        let head = |at: u64| ShownHead { log: format!("{at:032x}"), seq: at, head: "0".repeat(64) };
        let logs = (1..=FOLLOWS_MAX as u64 + 10).map(head).collect();
        let (node, name) = (String::new(), "b".to_owned());
        let member = ShownMember { node, name, revoked: false, logs: Some(logs) };
        let last = cut(&member).unwrap();
        assert_eq!(last.len(), FOLLOWS_MAX);
        assert_eq!(last.iter().map(|head| head.seq).min(), Some(11));
    }
}
