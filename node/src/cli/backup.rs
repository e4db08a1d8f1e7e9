//! `concord backup`: what a node holds, or what is new since the last backup, as a segment in a directory
//! or in one file; and the check of a backup.
//!
//! The node gives the bytes, and they are written as they come: the commits with their signatures, never
//! a key and never a file of the engine. Each commit is checked on its way.

pub(super) mod directory;
pub(super) mod segment;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use self::directory::{Directory, Manifest, Segment, segments, unwritten, wrong};
use self::segment::{SegmentError, SegmentReader};
use super::init::sentence;
use super::{CliError, Context, Exit, Request, Target, show, stores};
use crate::clock::Clock;
use crate::config;
use crate::identity::NodeKey;
use crate::replica::backup::{Begin, Chain, End, Part, Place, Source};
use crate::replica::records::Records;
use crate::store::DiskStore;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    /// Directory of the backup; a second run adds what is new
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "to_file",
        conflicts_with = "to_file"
    )]
    to: Option<PathBuf>,
    /// Write everything to this one file instead; it must not exist
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
    #[command(flatten)]
    node: Target,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check a backup: checksums, signatures, chains, and that nothing is missing
    Verify {
        /// Directory or file of the backup
        #[arg(value_name = "BACKUP")]
        backup: PathBuf,
    },
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    if let Some(Command::Verify { backup }) = &args.command {
        return verify(backup, context);
    }
    let said = match (&args.to, &args.to_file) {
        (Some(dir), _) => into_directory(dir, args, context)?,
        (None, Some(file)) => into_file(file, args, context)?,
        (None, None) => return Err(CliError::Usage("Say where to: --to or --to-file.".to_owned())),
    };
    context.show(&said, people)?;
    Ok(Exit::Ok)
}

/// Where the bytes come from: a running node, or the store of a stopped one.
enum Feed {
    Node(Box<dyn Read>),
    Stopped(Box<Stopped>),
}

impl Feed {
    fn open(args: &Args, context: &Context, after: Option<Place>) -> Result<Self, CliError> {
        let mut request = Request::get("/v1/backup");
        if let Some(Place { position, commit }) = after {
            request = request.query("after", position);
            request = request.query("log", commit.log).query("seq", commit.seq);
        }
        match context.client(&args.node)?.stream(&request) {
            Ok(answer) => Ok(Self::Node(Box::new(answer))),
            // The node of this directory does not run: its files can be read.
            Err(CliError::Unreachable(text))
                if args.node.url.is_none() && args.node.dir.join(config::STORE_DIR).is_dir() =>
            {
                Stopped::open(&args.node.dir, after)?
                    .map(|stopped| Self::Stopped(Box::new(stopped)))
                    .ok_or(CliError::Unreachable(text))
            }
            Err(error) => Err(error),
        }
    }
}

impl Read for Feed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Node(answer) => answer.read(into),
            Self::Stopped(stopped) => stopped.read(into),
        }
    }
}

/// The store of a stopped node, read as if the node gave it.
struct Stopped {
    store: DiskStore,
    source: Source,
    bytes: VecDeque<u8>,
}

impl Stopped {
    /// None when the store is in use: its node runs, and did not answer.
    fn open(dir: &Path, after: Option<Place>) -> Result<Option<Self>, CliError> {
        let path = stores::existing(dir)?;
        let (store, id) = match stores::open(&path, None) {
            Ok(opened) => opened,
            Err(crate::store::OpenError::Locked { .. }) => return Ok(None),
            Err(error) => return Err(CliError::Unreachable(sentence(&error))),
        };
        let key = NodeKey::load(&dir.join(config::KEY_FILE));
        let node = key.map_err(|error| CliError::Refused(sentence(&error)))?.id();
        let now_ms = Clock::system().now_ms();
        let unreachable = |error: &dyn std::fmt::Display| CliError::Unreachable(sentence(error));
        let source = Source::open(&store, node, now_ms, after).map_err(|e| unreachable(&e))?;
        let Some(source) = source else {
            return Err(CliError::Refused(format!(
                "The node in {} never ran: there is nothing to keep.",
                dir.display()
            )));
        };
        // A running node that lacks what it had acknowledged gives no backup, either.
        let commits = Records::new(&store).commits_applied().map_err(|e| unreachable(&e))?;
        match stores::behind(dir, id, commits) {
            Some(why) => Err(CliError::Refused(why)),
            None => Ok(Some(Self { store, source, bytes: VecDeque::new() })),
        }
    }
}

impl Read for Stopped {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() {
            let part = self.source.next(&self.store).map_err(io::Error::other)?;
            self.bytes.extend(part.unwrap_or_default());
        }
        self.bytes.read(into)
    }
}

/// A segment that was written.
struct Written {
    chain: Chain,
    begin: Begin,
    end: End,
    bytes: u64,
}

/// Why a segment was not written.
enum Fault {
    /// It does not go on from what is there.
    Loose(String),
    Other(CliError),
}

impl From<CliError> for Fault {
    fn from(error: CliError) -> Self {
        Self::Other(error)
    }
}

fn broken_off(error: &SegmentError) -> Fault {
    Fault::Other(CliError::Unreachable(format!(
        "The backup broke off: {} What was in it before still counts. Run the command again.",
        sentence(error)
    )))
}

/// Writes the segment that a node gives. `before` is what the backup has.
fn copy(
    feed: Feed,
    before: Option<&Manifest>,
    out: &mut impl Write,
    path: &Path,
) -> Result<Written, Fault> {
    let mut reader = SegmentReader::new(feed);
    let mut chain = Chain::default();
    let mut bytes = 0;
    let bar = stores::bar(0, "backup");
    let mut roster_seen = None;
    while let Some(raw) = reader.next().map_err(|error| broken_off(&error))? {
        out.write_all(&raw.bytes).map_err(|error| unwritten(path, &error))?;
        bytes += raw.bytes.len() as u64;
        let part = raw.decode().map_err(|error| broken_off(&error))?;
        match &part {
            Part::Begin(begin) => {
                if let Some(before) = before {
                    same_node(before, begin, path)?;
                }
                if let Some(before) = before.filter(|_| begin.after > 0) {
                    chain = Chain::after(before.tips());
                }
                bar.set_length(begin.commits.saturating_sub(chain.commits()));
            }
            Part::Commits(commits) => bar.inc(commits.len() as u64),
            Part::Roster(roster) => roster_seen = Some(roster.height()),
            Part::Kept(_) | Part::End(_) => {}
        }
        chain.take(part).map_err(|error| Fault::Loose(error.to_string()))?;
    }
    bar.finish_and_clear();
    match (chain.begin().cloned(), reader.end().cloned(), roster_seen) {
        (Some(begin), Some(end), Some(_)) => Ok(Written { chain, begin, end, bytes }),
        _ => Err(Fault::Loose("it has no roster".to_owned())),
    }
}

fn same_node(before: &Manifest, begin: &Begin, path: &Path) -> Result<(), CliError> {
    if before.network == begin.network && before.node == begin.node {
        return Ok(());
    }
    Err(CliError::Refused(format!(
        "{} is the backup of node {}, not of {}. Name another directory; each node has its own.",
        path.display(),
        before.node,
        begin.node
    )))
}

fn into_directory(path: &Path, args: &Args, context: &Context) -> Result<Json, CliError> {
    let mut dir = Directory::take(path)?;
    let last = dir.manifest.as_ref().and_then(|manifest| manifest.last);
    // When what the node gives does not go on from there, everything is fetched anew.
    for after in [last, None] {
        let feed = Feed::open(args, context, after)?;
        let (name, file) = dir.segment()?;
        let mut out = io::BufWriter::new(file);
        let copied = copy(feed, dir.manifest.as_ref(), &mut out, path);
        let synced = out.flush().and_then(|()| out.get_ref().sync_all());
        let written = match copied {
            Ok(written) => written,
            Err(Fault::Loose(_)) if after.is_some() => continue,
            Err(fault) => {
                dir.discard(&name);
                return Err(refusal(fault));
            }
        };
        synced.map_err(|error| unwritten(path, &error))?;
        return added(&mut dir, name, &written, path);
    }
    Err(refusal(Fault::Loose("its history changed meanwhile".to_owned())))
}

fn refusal(fault: Fault) -> CliError {
    match fault {
        Fault::Other(error) => error,
        Fault::Loose(why) => CliError::Unreachable(format!(
            "What the node gave is no whole backup: {} What was there before still counts. Run the \
             command again; if it says the same, run \"concord verify\" on the node.",
            sentence(&why)
        )),
    }
}

/// Makes a durable segment count, unless it holds nothing new or less than what is there.
fn added(
    dir: &mut Directory,
    name: String,
    written: &Written,
    path: &Path,
) -> Result<Json, CliError> {
    let Written { chain, begin, end, bytes } = written;
    let roster = chain.roster().map_or(0, crate::replica::roster::Roster::height);
    let before = dir.manifest.as_ref();
    let alone = begin.after == 0;
    let lacks = before.filter(|_| alone).map_or(0, |before| chain.lacks(&before.tips()));
    if lacks > 0 {
        dir.discard(&name);
        return Err(CliError::Refused(format!(
            "The node does not hold {lacks} of the commits that the backup in {} holds, so the backup is \
             kept as it is. Name another directory.",
            path.display()
        )));
    }
    let newest = before.and_then(|before| before.segments.last());
    let is_old = |newest: &Segment| newest.position == begin.position && newest.roster == roster;
    if !alone && end.commits == 0 && newest.is_some_and(is_old) {
        dir.discard(&name);
        let segments = before.map_or(0, |before| before.segments.len());
        return Ok(told(path, written, 0, segments, false));
    }
    let anew = alone && before.is_some();
    let segment = Segment::new(name, *bytes, roster, begin, end);
    let manifest = Manifest::with(before, segment, begin, end, chain);
    let segments = manifest.segments.len();
    dir.replace(manifest)?;
    Ok(told(path, written, *bytes, segments, anew))
}

fn told(path: &Path, written: &Written, bytes: u64, segments: usize, anew: bool) -> Json {
    json!({
        "backup": path.display().to_string(), "node": written.begin.node,
        "position": written.begin.position, "commits": written.begin.commits,
        "added": written.end.commits, "bytes": bytes, "segments": segments, "anew": anew,
    })
}

fn into_file(path: &Path, args: &Args, context: &Context) -> Result<Json, CliError> {
    if path.exists() {
        return Err(CliError::Refused(format!(
            "{} exists already, and it is kept as it is. Name another file.",
            path.display()
        )));
    }
    let unwritten = |error: io::Error| unwritten(path, &error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or_else(|| Path::new(".")))
        .map_err(unwritten)?;
    let feed = Feed::open(args, context, None)?;
    let written = copy(feed, None, &mut file, path).map_err(refusal)?;
    file.as_file().sync_all().map_err(unwritten)?;
    file.persist_noclobber(path).map_err(|error| unwritten(error.error))?;
    stores::sync_folder(path).map_err(unwritten)?;
    Ok(told(path, &written, written.bytes, 1, false))
}

fn people(json: &Json) -> String {
    let backup = json["backup"].as_str().unwrap_or_default();
    let mut text = match json["bytes"].as_u64() {
        Some(0) => format!("Nothing is new: {backup} holds all {} commits.\n", json["commits"]),
        bytes => format!(
            "{} commits added ({}): {backup} holds all {} commits of the node.\n",
            json["added"],
            indicatif::HumanBytes(bytes.unwrap_or(0)),
            json["commits"]
        ),
    };
    if json["anew"].as_bool() == Some(true) {
        text.push_str(
            "The store of the node was made anew since, so the backup began anew, too.\n",
        );
    }
    text
}

/// Checks a backup without a node.
fn verify(path: &Path, context: &Context) -> Result<Exit, CliError> {
    let listed = segments(path, None)?;
    let mut chain = Chain::default();
    let mut problems = Vec::new();
    let mut bytes = 0;
    let bar = stores::spinner();
    let mut is_first = true;
    for one in &listed {
        let mut check = || -> Result<(), CliError> {
            let wrong = |why: &dyn std::fmt::Display| wrong(&one.path, why);
            let mut reader = SegmentReader::open(&one.path).map_err(|error| wrong(&error))?;
            while let Some(raw) = reader.next().map_err(|error| wrong(&error))? {
                bytes += raw.bytes.len() as u64;
                chain
                    .take(raw.decode().map_err(|error| wrong(&error))?)
                    .map_err(|error| wrong(&error))?;
                bar.set_message(format!("{} commits checked", chain.commits()));
            }
            continues(one, &chain, is_first).map_or(Ok(()), |why| Err(wrong(&why)))
        };
        if let Err(error) = check() {
            problems.push(error.to_string());
            break;
        }
        is_first = false;
    }
    bar.finish_and_clear();
    let json = json!({
        "segments": listed.len(), "commits": chain.commits(), "bytes": bytes,
        "at_ms": chain.begin().map(|begin| begin.at_ms), "problems": problems,
    });
    context.show(&json, verified)?;
    Ok(if problems.is_empty() { Exit::Ok } else { Exit::Differences })
}

/// Why a segment that was read to its end is not the one that the manifest names, or does not go on
/// from the one before.
pub(super) fn continues(
    one: &directory::Listed,
    chain: &Chain,
    is_first: bool,
) -> Option<&'static str> {
    let hash = chain.end().map(|end| &end.hash);
    if one.segment.as_ref().is_some_and(|segment| Some(&segment.hash) != hash) {
        return Some("it is not the segment that the manifest names");
    }
    let after = chain.begin().map_or(0, |begin| begin.after);
    (is_first != (after == 0)).then_some("it does not go on from the segment before it")
}

fn verified(json: &Json) -> String {
    let mut text = format!(
        "{} segments, {} commits, {} checked\n",
        json["segments"],
        json["commits"],
        indicatif::HumanBytes(json["bytes"].as_u64().unwrap_or(0))
    );
    let problems = json["problems"].as_array().map_or(&[][..], Vec::as_slice);
    match problems {
        [] => {
            let at = show::time(json["at_ms"].as_u64().unwrap_or(0));
            text.push_str(&format!("Sound: everything up to {at} can be restored from it.\n"));
        }
        problems => problems
            .iter()
            .for_each(|problem| text.push_str(&format!("  - {}\n", show::text(problem)))),
    }
    text
}
