//! `concord import`: the rows of a file into a running node. What happens to a row is told in
//! [`crate::import`]; this is the terminal, the files and the requests around it.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value as Json, json};
use tempfile::NamedTempFile;

use super::{CliError, Client, Context, Exit, Method, Request, Target};
use crate::import::{
    Format, ImportError, Mapping, Options, Progress, Report, Stop, check_encoding, import,
};

/// How long to wait before a chunk is sent again to a node that did not answer.
const WAITS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// CSV or JSON Lines; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which column says what: a mapping file, see docs/import.md
    #[arg(long, value_name = "FILE")]
    mapping: PathBuf,
    /// Where rejected rows go; default: FILE.rejected.csv, or .jsonl for JSON Lines
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Check every row and write nothing to the node
    #[arg(long)]
    dry_run: bool,
    /// Stop when more than so many percent of the rows are rejected; 100: never
    #[arg(long, value_name = "PERCENT", default_value_t = 100,
        value_parser = clap::value_parser!(u8).range(0..=100))]
    max_rejects: u8,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let mapping = Mapping::load(&args.mapping).map_err(|e| CliError::Refused(e.to_string()))?;
    let client = context.client(&args.node)?;
    let mut input = Input::open(&args.file)?;
    check_encoding(&input.file, &mapping).map_err(|error| refused(&error))?;
    input.rewind()?;
    let rejects = RejectFile::create(args, &mapping)?;
    // Somebody who forgot to start the node wants to know now.
    client.ask(&Request::get("/v1/status"))?;

    let mut out = BufWriter::new(rejects.file.as_file());
    let post = |lines: &[u8]| post(&client, args, &mapping, lines);
    let mut view = View::new(input.length, context);
    let options = Options { max_rejects: args.max_rejects, ..Options::default() };
    let mut show = |progress| view.show(progress);
    let done = import(&input.file, &mapping, &options, &post, &mut out, &mut show);
    view.end();
    let report = done.map_err(|error| refused(&error))?;
    out.flush().map_err(|error| rejects.unwritable(&error))?;
    drop(out);
    let kept = if report.rejected > 0 { Some(rejects.keep()?) } else { None };
    conclude(report, kept.as_deref(), args, context)
}

fn refused(error: &ImportError) -> CliError {
    CliError::Refused(error.to_string())
}

/// Sends one chunk, and again when the node does not answer: a row that is there already changes
/// nothing.
fn post(
    client: &Client,
    args: &Args,
    mapping: &Mapping,
    lines: &[u8],
) -> Result<Vec<u8>, CliError> {
    let mut request = Request::new(Method::POST, "/v1/bulk")
        .maybe("dry_run", args.dry_run.then_some(true))
        .maybe("numbers", mapping.gives_numbers().then_some("give"))
        .header("Concord-Source", mapping.source().as_str())
        .body("application/x-ndjson", lines.to_vec());
    if let Some(reason) = &args.reason {
        request = request.reason(reason);
    }
    for wait in WAITS {
        match client.ask_bytes(&request) {
            Err(error) if error.exit() == Exit::Unreachable => std::thread::sleep(wait),
            answered => return answered,
        }
    }
    client.ask_bytes(&request)
}

/// The file to read, twice: once for its encoding, once for its rows.
struct Input {
    file: File,
    length: u64,
    name: String,
}

impl Input {
    fn open(path: &Path) -> Result<Self, CliError> {
        let name = path.display().to_string();
        let failed = |error: io::Error| {
            CliError::Refused(format!("The input {name} cannot be read: {error}."))
        };
        let is_standard_input = path == Path::new("-");
        let mut file = if is_standard_input {
            spooled(&mut io::stdin().lock()).map_err(failed)?
        } else {
            File::open(path).map_err(failed)?
        };
        let kind = file.metadata().map_err(failed)?;
        if kind.is_dir() {
            return Err(CliError::Refused(format!("{name} is a directory. Name one file.")));
        }
        if !kind.is_file() {
            file = spooled(&mut file).map_err(failed)?;
        }
        let length = file.metadata().map_err(failed)?.len();
        Ok(Self { file, length, name })
    }

    fn rewind(&mut self) -> Result<(), CliError> {
        self.file.rewind().map_err(|error| {
            CliError::Refused(format!("The input {} cannot be read: {error}.", self.name))
        })
    }
}

/// A pipe can be read once, so it is put into a file without a name first.
fn spooled(pipe: &mut dyn io::Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(pipe, &mut file)?;
    file.rewind()?;
    Ok(file)
}

/// The reject file, without its name until the import has ended: one of an earlier import, perhaps
/// half corrected, is not lost to an import that rejects nothing.
struct RejectFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl RejectFile {
    fn create(args: &Args, mapping: &Mapping) -> Result<Self, CliError> {
        let path = args.rejects.clone().unwrap_or_else(|| {
            let ending = match mapping.format() {
                Format::Csv { .. } => "csv",
                Format::JsonLines => "jsonl",
            };
            let is_pipe = args.file == Path::new("-");
            let of = if is_pipe { "stdin".into() } else { args.file.display().to_string() };
            PathBuf::from(format!("{of}.rejected.{ending}"))
        });
        for used in [&args.file, &args.mapping] {
            if same_file(&path, used) {
                return Err(CliError::Usage(format!(
                    "{} is read by this import. Name another file with --rejects.",
                    path.display()
                )));
            }
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = parent.unwrap_or_else(|| Path::new("."));
        let file = tempfile::Builder::new().prefix(".concord-rejects-").tempfile_in(folder);
        let file = file.map_err(|error| {
            CliError::Refused(format!(
                "The reject file {} cannot be created: {error}. Name another one with --rejects.",
                path.display()
            ))
        })?;
        Ok(Self { file, path })
    }

    fn unwritable(&self, error: &io::Error) -> CliError {
        let path = self.path.display();
        CliError::Unreachable(format!("The reject file {path} cannot be written: {error}."))
    }

    fn keep(self) -> Result<PathBuf, CliError> {
        let Self { file, path } = self;
        let shown = path.display().to_string();
        file.persist(&path).map_err(|error| {
            CliError::Unreachable(format!("The reject file {shown} cannot be written: {error}."))
        })?;
        Ok(path)
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    let there = |path: &Path| path.canonicalize().ok();
    there(one).is_some_and(|one| there(other) == Some(one))
}

/// What the person at the terminal sees while it runs: a bar, or lines where there is no terminal.
enum View {
    Bar(ProgressBar),
    Lines { length: u64, told: u64 },
    Nothing,
}

impl View {
    fn new(length: u64, context: &Context) -> Self {
        if context.json {
            return Self::Nothing;
        }
        if !io::stderr().is_terminal() {
            return Self::Lines { length, told: 0 };
        }
        let template = "{bar:30} {percent:>3} %  {msg}  {binary_bytes_per_sec}, {eta} left";
        let bar = ProgressBar::new(length);
        let style = ProgressStyle::with_template(template);
        Self::Bar(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    fn show(&mut self, progress: Progress) {
        let Progress { bytes, read, rejected } = progress;
        match self {
            Self::Nothing => {}
            Self::Bar(bar) => {
                bar.set_message(format!("{read} rows, {rejected} rejected"));
                bar.set_position(bytes);
            }
            Self::Lines { length, told } => {
                let tenth = (bytes * 10).checked_div(*length).unwrap_or(10);
                if tenth > *told {
                    *told = tenth;
                    let line = format!("{} %: {read} rows, {rejected} rejected\n", tenth * 10);
                    // A log that nobody takes does not stop an import.
                    drop(io::stderr().write_all(line.as_bytes()));
                }
            }
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Prints the report, and says with the exit code how it went.
fn conclude(
    report: Report<CliError>,
    rejects: Option<&Path>,
    args: &Args,
    context: &Context,
) -> Result<Exit, CliError> {
    let Report { read, accepted, rejected, created, changed, unchanged, unanswered, .. } = report;
    let max_rejects = args.max_rejects;
    let durable = Durable { accepted, unanswered, dry_run: args.dry_run };
    let stopped = report.stopped.map(|stop| match stop {
        Stop::Rejects => Ended::Rejects(format!(
            "The import stopped, because more than {max_rejects} % of the rows are rejected."
        )),
        // Nothing was done: the refusal of the node says all.
        Stop::Post(error) if read == 0 => Ended::Error(error),
        Stop::Post(error) if error.exit() == Exit::Refused => {
            Ended::Error(CliError::Refused(durable.after(&error.to_string())))
        }
        Stop::Post(error) => durable.ended(&error.to_string()),
        Stop::Node(text) => durable.ended(&text),
        Stop::Answer(text) => {
            durable.ended(&format!("The answer of the node cannot be understood: {text}."))
        }
        Stop::Read(error) => durable.ended(&format!("The input broke off: {error}.")),
        Stop::RejectFile(error) => {
            durable.ended(&format!("The reject file cannot be written: {error}."))
        }
    });
    let json = json!({
        "read": read, "accepted": accepted, "rejected": rejected, "created": created,
        "changed": changed, "unchanged": unchanged, "unanswered": unanswered,
        "dry_run": args.dry_run,
        "rejects": rejects.map(|path| path.display().to_string()),
        "stopped": stopped.as_ref().map(Ended::text),
    });
    context.show(&json, |json| summary(json, stopped.as_ref()))?;
    match stopped {
        Some(Ended::Error(error)) => Err(error),
        Some(Ended::Rejects(_)) => Ok(Exit::Differences),
        None if rejected > 0 => Ok(Exit::Differences),
        None => Ok(Exit::Ok),
    }
}

/// Why the end of the file was not reached.
enum Ended {
    Rejects(String),
    Error(CliError),
}

impl Ended {
    fn text(&self) -> String {
        match self {
            Self::Rejects(text) => text.clone(),
            Self::Error(error) => error.to_string(),
        }
    }
}

/// What is so when an import ended before its file.
struct Durable {
    accepted: u64,
    unanswered: u64,
    dry_run: bool,
}

impl Durable {
    fn ended(&self, why: &str) -> Ended {
        Ended::Error(CliError::Unreachable(self.after(why)))
    }

    /// The reason, followed by what is durable and what to do.
    fn after(&self, why: &str) -> String {
        let Self { accepted, unanswered, dry_run } = self;
        if *dry_run {
            return format!(
                "{why} The import stopped. {accepted} rows were checked; nothing was written."
            );
        }
        let open = match unanswered {
            0 => String::new(),
            rows => format!(" Of {rows} more it is not known."),
        };
        format!(
            "{why} The import stopped. {accepted} rows are durable.{open} Run the same command \
             again: what is there already changes nothing."
        )
    }
}

/// The report for people. The figures are its last line.
fn summary(report: &Json, stopped: Option<&Ended>) -> String {
    let number = |name: &str| report[name].as_u64().unwrap_or_default();
    let mut text = String::new();
    if let Some(Ended::Rejects(why)) = stopped {
        text.push_str(&format!("{why} The accepted rows are durable.\n"));
    }
    if let Some(path) = report["rejects"].as_str() {
        text.push_str(&format!(
            "The rejected rows are in {path}, each with its reason. Correct them there and import \
             that file with the same mapping.\n"
        ));
    }
    let (new, known) = (number("created"), number("unchanged"));
    let of_accepted = if report["dry_run"] == Json::Bool(true) {
        format!("{new} of new customers, {known} of known ones; a dry run, nothing was written")
    } else {
        format!("{new} new, {} changed, {known} unchanged", number("changed"))
    };
    text.push_str(&format!(
        "{} rows read: {} accepted ({of_accepted}), {} rejected.\n",
        number("read"),
        number("accepted"),
        number("rejected"),
    ));
    text
}
