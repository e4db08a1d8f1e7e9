//! `concord restore`: the store of a new or emptied node, filled from a backup. Every commit is checked as
//! if a peer had sent it, and what is newer comes from the peers before the node serves.

use std::path::{Path, PathBuf};

use crdt_model::id::CommitRef;
use serde_json::{Value as Json, json};

use super::backup::directory::{Listed, segments, wrong};
use super::backup::segment::{SegmentError, SegmentReader};
use super::init::sentence;
use super::network::file::{load_roster, write_whole};
use super::stores::{self, RESTORING, moved};
use super::{CliError, Context, Exit, show};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::kv::{Op, Pair};
use crate::replica::backup::{Begin, Part, forks};
use crate::replica::fork::ForkProof;
use crate::replica::rebuild::{Rebuild, Taken};
use crate::replica::roster::Roster;
use crate::store::{EngineKind, Mark, Store, StoreId, Watermark};

/// The name of no store. A watermark with it says that the store that is there is not the one that had
/// acknowledged so much: the node serves nothing until its peers gave it what is newer.
const NO_STORE: StoreId = StoreId::from_bytes([0; 16]);

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directory or file of the backup
    #[arg(long, value_name = "BACKUP")]
    from: PathBuf,
    /// Directory of the node, made by "concord init", without a store
    #[arg(long, env = "CONCORD_DIR", default_value = config::DIR, value_name = "DIR")]
    dir: PathBuf,
    /// Take only the first segments, for example because a later one is damaged
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    segments: Option<u32>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let dir = &args.dir;
    Config::load(dir).map_err(|error| CliError::Refused(error.to_string()))?;
    if dir.join(config::STORE_DIR).exists() || dir.join(stores::REPAIRED).exists() {
        return Err(CliError::Refused(format!(
            "There is a store in {} already, and it is kept as it is. A backup is restored where there \
             is none: stop the node, move {} away, and give the command again.",
            dir.display(),
            config::STORE_DIR
        )));
    }
    let first = args.segments.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    let listed = segments(&args.from, first)?;
    let plan = Plan::read(&listed)?;
    same_network(dir, &plan.roster)?;
    let partial = dir.join(RESTORING);
    stores::remove(&partial).map_err(|error| moved(dir, &error))?;
    let config = Config::load(dir).map_err(|error| CliError::Refused(error.to_string()))?;
    let restored = fill(&partial, stores::engine(&config)?, &listed, &plan)?;
    put_in_place(dir, &partial, &plan.roster, restored.commits)?;
    let json = json!({
        "commits": restored.commits, "customers": restored.customers, "segments": listed.len(),
        "at_ms": plan.begin.at_ms, "node": plan.begin.node,
    });
    context.show(&json, people)?;
    Ok(Exit::Ok)
}

/// What must be known of a backup before its first commit is taken: the roster with every epoch, and
/// which logs were forked.
struct Plan {
    begin: Begin,
    roster: Roster,
    forks: Vec<ForkProof>,
}

impl Plan {
    /// Reads every segment to its end and compares the checksums. What stands in the last one counts.
    fn read(listed: &[Listed]) -> Result<Self, CliError> {
        let bar = stores::spinner();
        bar.set_message("reading the backup");
        let mut plan = None;
        let mut before: Option<Begin> = None;
        for one in listed {
            let wrong = |why: &dyn std::fmt::Display| wrong(&one.path, why);
            let read = Self::read_one(one).map_err(|error| wrong(&error))?;
            let end = one.segment.as_ref().map(|segment| (&segment.hash, segment.after));
            if end.is_some_and(|end| end != (&read.1, read.0.begin.after)) {
                return Err(wrong(&"it is not the segment that the manifest names"));
            }
            let continues = match &before {
                None => read.0.begin.after == 0,
                Some(before) => {
                    read.0.begin.after > 0
                        && (&before.network, before.node)
                            == (&read.0.begin.network, read.0.begin.node)
                }
            };
            if !continues {
                return Err(wrong(&"it does not go on from the segment before it"));
            }
            before = Some(read.0.begin.clone());
            plan = Some(read.0);
        }
        bar.finish_and_clear();
        plan.ok_or_else(|| CliError::Refused("The backup is empty.".to_owned()))
    }

    fn read_one(one: &Listed) -> Result<(Self, String), SegmentError> {
        let mut reader = SegmentReader::open(&one.path)?;
        let (mut begin, mut roster, mut proofs) = (None, None, Vec::new());
        while let Some(raw) = reader.next()? {
            if Part::is_commits(raw.kind) {
                continue;
            }
            match raw.decode()? {
                Part::Begin(read) => begin = Some(read),
                Part::Roster(read) => roster = Some(read),
                Part::Kept(pairs) => proofs.extend(forks(&pairs)),
                Part::Commits(_) | Part::End(_) => {}
            }
        }
        match (begin, roster, reader.end()) {
            (Some(begin), Some(roster), Some(end)) => {
                Ok((Self { begin, roster, forks: proofs }, end.hash.clone()))
            }
            _ => Err(SegmentError::Damaged("parts of it are missing".to_owned())),
        }
    }
}

/// Refuses a backup of another network.
fn same_network(dir: &Path, roster: &Roster) -> Result<(), CliError> {
    let path = dir.join(config::ROSTER_FILE);
    if !path.exists() {
        return Ok(());
    }
    let ours = load_roster(&path)?;
    if ours.network_id() == roster.network_id() {
        return Ok(());
    }
    Err(CliError::Refused(format!(
        "The backup is of network {}, and the node in {} belongs to {}. Nothing was changed.",
        roster.name(),
        dir.display(),
        ours.name()
    )))
}

/// What is in the new store.
struct Restored {
    commits: u64,
    customers: u64,
}

/// Fills a new store beside its place, and makes it durable.
fn fill(
    partial: &Path,
    engine: EngineKind,
    listed: &[Listed],
    plan: &Plan,
) -> Result<Restored, CliError> {
    let unreachable = |error: &dyn std::fmt::Display| CliError::Unreachable(sentence(error));
    let (store, _) = stores::open(partial, Some(engine)).map_err(|error| unreachable(&error))?;
    let now_ms = Clock::system().now_ms();
    let (rebuild, first) =
        Rebuild::begin(plan.roster.clone(), now_ms, &store).map_err(|error| unreachable(&error))?;
    let mut filling = Filling { store: &store, rebuild };
    filling.write(&first)?;
    for proof in &plan.forks {
        let ops = filling.rebuild.end_log(proof, &store).map_err(|error| unreachable(&error))?;
        filling.write(&ops)?;
    }
    let bar = stores::bar(plan.begin.commits, "restore");
    let last = listed.len().saturating_sub(1);
    for (at, one) in listed.iter().enumerate() {
        let wrong = |why: &dyn std::fmt::Display| wrong(&one.path, why);
        let mut reader = SegmentReader::open(&one.path).map_err(|error| wrong(&error))?;
        while let Some(raw) = reader.next().map_err(|error| wrong(&error))? {
            match raw.decode().map_err(|error| wrong(&error))? {
                Part::Commits(commits) => {
                    for commit in &commits {
                        filling.take(commit).map_err(|fault| fault.tell(&wrong))?;
                        bar.inc(1);
                    }
                }
                Part::Kept(pairs) if at == last => filling.keep(pairs)?,
                Part::Begin(_) | Part::Roster(_) | Part::Kept(_) | Part::End(_) => {}
            }
        }
    }
    bar.finish_and_clear();
    let history = filling.rebuild.history();
    let restored = Restored { commits: history.vector.commits(), customers: history.state.records };
    if restored.commits != plan.begin.commits {
        let (found, expected) = (restored.commits, plan.begin.commits);
        let why = format!("it comes to {found} commits, but the store held {expected}");
        return Err(wrong(&listed[last].path, &why));
    }
    store.sync().map_err(|error| unreachable(&error))?;
    Ok(restored)
}

struct Filling<'a> {
    store: &'a dyn Store,
    rebuild: Rebuild,
}

enum Fault {
    Misplaced(CommitRef),
    Other(CliError),
}

impl Fault {
    fn tell(self, wrong: &dyn Fn(&dyn std::fmt::Display) -> CliError) -> CliError {
        match self {
            Self::Misplaced(at) => {
                wrong(&format!("commit {at} does not follow from what stands before it"))
            }
            Self::Other(error) => error,
        }
    }
}

impl Filling<'_> {
    fn take(&mut self, commit: &crate::replica::commit::Commit) -> Result<(), Fault> {
        let taken = self.rebuild.take(commit, self.store);
        let unreachable = |error| Fault::Other(CliError::Unreachable(sentence(&error)));
        match taken.map_err(unreachable)? {
            Taken::Next(ops) => self.write(&ops).map_err(Fault::Other),
            Taken::Known => Ok(()),
            Taken::Misplaced(_) => Err(Fault::Misplaced(commit.signed.header.commit())),
        }
    }

    /// Keeps what follows from no commit. Proofs of forks were taken before.
    fn keep(&self, pairs: Vec<Pair>) -> Result<(), CliError> {
        let is_proof = |key: &[u8]| key.first() == Some(&crate::replica::layout::FORK);
        let kept = pairs.into_iter().filter(|(key, _)| !is_proof(key));
        let ops: Vec<Op> = kept.map(|(key, value)| Op::Put(key, value)).collect();
        self.write(&ops)
    }

    /// Not durable yet: a restore that is cut off begins again.
    fn write(&self, ops: &[Op]) -> Result<(), CliError> {
        if ops.is_empty() {
            return Ok(());
        }
        let written = self.store.apply(ops, false);
        written.map_err(|error| CliError::Unreachable(sentence(&error)))
    }
}

/// Puts the store in its place. The watermark goes first: at no moment is there a store that would be
/// served as if nothing had happened since the backup.
fn put_in_place(dir: &Path, partial: &Path, roster: &Roster, commits: u64) -> Result<(), CliError> {
    let path = dir.join(config::ROSTER_FILE);
    if !path.exists() {
        write_whole(&path, &roster.encode())?;
    }
    let unreachable = |error: &dyn std::fmt::Display| CliError::Unreachable(sentence(error));
    let path = dir.join(config::WATERMARK_FILE);
    let mut watermark = Watermark::load(&path).map_err(|error| unreachable(&error))?;
    // What the lost store had acknowledged is more, where it is known.
    let position = watermark.mark().map_or(0, |mark| mark.position).max(commits);
    let mark = Mark { store: NO_STORE, position, records: None };
    watermark.replace(mark).map_err(|error| unreachable(&error))?;
    stores::rename(partial, &dir.join(config::STORE_DIR)).map_err(|error| moved(dir, &error))
}

fn people(json: &Json) -> String {
    format!(
        "{} commits and {} customers restored, as of {}.\nStart the node: it serves nothing until a peer \
         gave it what is newer. With --accept-loss it gives up what no peer has.\n",
        json["commits"],
        json["customers"],
        show::time(json["at_ms"].as_u64().unwrap_or(0))
    )
}
