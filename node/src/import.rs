//! Import of CSV and JSON Lines: rows in, claims of one source out, and no row without a verdict.
//!
//! The memory used does not depend on the size of the file. Rows are read, turned into customers by a
//! [`Mapping`], and posted in chunks to the bulk page of a node by a function that the caller gives:
//! this module knows no network, no terminal and no command line. What breaks a rule is the node's to
//! say; what cannot even be read is said here; both end in the reject file.
//!
//! A row that says what its source said before writes nothing, so an import that was broken off is
//! simply run again.

mod answer;
mod chunk;
mod convert;
mod customer;
mod lanes;
mod mapping;
mod rejects;
mod rows;

use std::collections::VecDeque;
use std::io::{self, Read, Write};

pub use self::mapping::{Format, Mapping, MappingError, MappingFault};
pub use self::rows::check_encoding;

use self::answer::{Answers, Verdict};
use self::chunk::Chunk;
use self::customer::{column_at, customer};
use self::lanes::Lanes;
use self::rejects::Rejects;
use self::rows::Rows;

/// The percentage of rejected rows is not looked at before so many rows.
const JUDGED_FROM: u64 = 100;

/// Why an input was refused as a whole. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The header is missing, or lacks a column that the mapping names.
    #[error("{0}")]
    Header(String),
    /// The bytes are not of the encoding that the mapping declares.
    #[error("{0}")]
    Encoding(String),
    /// The input cannot be read.
    #[error("The input cannot be read: {0}.")]
    Read(#[source] io::Error),
    /// The system gives no threads.
    #[error("The import cannot start: {0}.")]
    Threads(#[source] io::Error),
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// What is wrong, for programs.
    pub code: String,
    /// Where in the customer, as a JSON pointer; empty when it is not known.
    pub pointer: String,
    /// What is wrong and what to do, with the column of the file where it is known.
    pub text: String,
}

impl RowFault {
    fn at_column(code: &str, column: &str, pointer: String, text: &str) -> Self {
        Self { code: code.to_owned(), pointer, text: format!("Column {column}: {text}") }
    }
}

/// What an import may do.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Stop when more than so many percent of the rows are rejected; 100: never.
    pub max_rejects: u8,
    /// Chunks under way at once, at least 1.
    pub lanes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_rejects: 100, lanes: 3 }
    }
}

/// How far an import has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input whose rows have a verdict.
    pub bytes: u64,
    /// Rows that have a verdict: accepted and rejected.
    pub read: u64,
    /// Rows that were rejected.
    pub rejected: u64,
}

/// What became of the rows. `read` is `accepted + rejected`, always.
#[derive(Debug)]
pub struct Report<E> {
    /// Rows that have a verdict.
    pub read: u64,
    /// Rows that are durable at the node, or would be in a dry run.
    pub accepted: u64,
    /// Rows that are in the reject file.
    pub rejected: u64,
    /// Of the accepted ones, those that made a new customer.
    pub created: u64,
    /// Of the accepted ones, those that changed what the source says of a known customer.
    pub changed: u64,
    /// Of the accepted ones, those that said what the source said before; in a dry run, all rows
    /// about known customers.
    pub unchanged: u64,
    /// Rows that were sent and not answered, because the import stopped. They may be durable or not.
    pub unanswered: u64,
    /// Why the import stopped before the end of the input.
    pub stopped: Option<Stop<E>>,
}

/// Why an import stopped before its end. The accepted rows are durable; running it again is safe.
#[derive(Debug)]
pub enum Stop<E> {
    /// The chunk could not be posted.
    Post(E),
    /// The node cannot write now; what it said.
    Node(String),
    /// The node answered what nobody understands.
    Answer(String),
    /// More rows were rejected than allowed.
    Rejects,
    /// The input broke off.
    Read(io::Error),
    /// The reject file cannot be written.
    RejectFile(io::Error),
}

impl<E> Report<E> {
    const fn new() -> Self {
        Self {
            read: 0,
            accepted: 0,
            rejected: 0,
            created: 0,
            changed: 0,
            unchanged: 0,
            unanswered: 0,
            stopped: None,
        }
    }
}

/// Imports an input.
///
/// `post` sends lines of the bulk page and gives its answer; it is called from several threads, never
/// with two chunks that name the same customer at once. `rejects` takes the reject file; nothing is
/// written to it when no row is rejected. `progress` is told after every chunk.
///
/// # Errors
/// [`ImportError`] when the input as a whole cannot be taken; nothing was posted then. What goes wrong
/// later is in [`Report::stopped`].
pub fn import<R, P, E>(
    input: R,
    mapping: &Mapping,
    options: &Options,
    post: &P,
    rejects: &mut dyn Write,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report<E>, ImportError>
where
    R: Read,
    P: Fn(&[u8]) -> Result<Vec<u8>, E> + Sync,
    E: Send,
{
    let rows = Rows::open(input, mapping)?;
    std::thread::scope(|scope| {
        let lanes = Lanes::open(scope, options.lanes, post).map_err(ImportError::Threads)?;
        let rejects = Rejects::new(rejects, mapping, rows.header());
        let run = Run {
            mapping,
            max_rejects: u64::from(options.max_rejects),
            lanes,
            rejects,
            progress,
            pending: VecDeque::new(),
            bytes: 0,
            report: Report::new(),
        };
        Ok(run.drive(rows))
    })
}

/// An import under way.
struct Run<'a, E> {
    mapping: &'a Mapping,
    max_rejects: u64,
    lanes: Lanes<E>,
    rejects: Rejects<'a>,
    progress: &'a mut dyn FnMut(Progress),
    /// Chunks that were posted, in the order of the input.
    pending: VecDeque<Chunk>,
    bytes: u64,
    report: Report<E>,
}

impl<E> Run<'_, E> {
    fn drive<R: Read>(mut self, mut rows: Rows<R>) -> Report<E> {
        let mut chunk = Chunk::default();
        while self.report.stopped.is_none() {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break,
                Err(error) => {
                    self.report.stopped = Some(Stop::Read(error));
                    break;
                }
            };
            let customer = match &row.texts {
                Ok(texts) => customer(self.mapping, texts),
                Err(fault) => Err(vec![fault.clone()]),
            };
            chunk.add(row, customer, self.mapping);
            if chunk.is_full() {
                chunk.bytes = rows.consumed();
                self.post(std::mem::take(&mut chunk));
            }
        }
        // Rows that were read before the input broke off are good rows.
        if matches!(self.report.stopped, None | Some(Stop::Read(_))) && !chunk.is_empty() {
            chunk.bytes = rows.consumed();
            self.post(chunk);
        }
        while !self.pending.is_empty() {
            self.settle();
        }
        self.report
    }

    /// Posts a chunk as soon as no chunk under way names one of its customers: a later row about a
    /// customer is a later write.
    fn post(&mut self, mut chunk: Chunk) {
        while self.pending.iter().any(|other| other.shares_a_customer(&chunk)) {
            self.settle();
        }
        while self.pending.len() >= self.lanes.count() {
            self.settle();
        }
        if matches!(self.report.stopped, None | Some(Stop::Read(_))) {
            self.lanes.send(chunk.take_body());
            self.pending.push_back(chunk);
        }
    }

    /// Waits for the answer to the oldest chunk and gives its rows their verdicts.
    fn settle(&mut self) {
        let Some(chunk) = self.pending.pop_front() else { return };
        let verdicts = match self.lanes.receive() {
            Some(Ok(body)) => answer::read(&body, chunk.sent()),
            Some(Err(error)) => return self.stop(&chunk, Stop::Post(error)),
            None => Err("the thread that posts has ended".to_owned()),
        };
        match verdicts {
            Ok(answers) => self.judge(chunk, answers),
            Err(text) => self.stop(&chunk, Stop::Answer(text)),
        }
    }

    /// The first reason to stop is the one to tell.
    fn stop(&mut self, chunk: &Chunk, why: Stop<E>) {
        self.report.unanswered += chunk.rows.len() as u64;
        self.report.stopped.get_or_insert(why);
    }

    fn judge(&mut self, chunk: Chunk, mut answers: Answers) {
        for row in chunk.rows {
            let verdict = match row.faults {
                Some(faults) => Verdict::Rejected(faults),
                None => answers.next().unwrap_or(Verdict::Unanswered(String::new())),
            };
            match verdict {
                Verdict::Created => self.report.created += 1,
                Verdict::Changed => self.report.changed += 1,
                Verdict::Unchanged => self.report.unchanged += 1,
                Verdict::Rejected(faults) => {
                    let faults = self.with_columns(faults, &row.texts);
                    if let Err(error) = self.rejects.write(&row.raw, row.is_whole, &faults) {
                        self.report.stopped.get_or_insert(Stop::RejectFile(error));
                        self.report.unanswered += 1;
                        continue;
                    }
                    self.report.rejected += 1;
                }
                Verdict::Unanswered(text) => {
                    self.report.unanswered += 1;
                    self.report.stopped.get_or_insert(Stop::Node(text));
                }
            }
        }
        self.bytes = chunk.bytes;
        let report = &mut self.report;
        report.accepted = report.created + report.changed + report.unchanged;
        report.read = report.accepted + report.rejected;
        let (read, rejected) = (report.read, report.rejected);
        if read >= JUDGED_FROM && rejected * 100 > self.max_rejects * read {
            report.stopped.get_or_insert(Stop::Rejects);
        }
        (self.progress)(Progress { bytes: self.bytes, read, rejected });
    }

    /// A clerk looks for a column, not for a place in a tree.
    fn with_columns(&self, faults: Vec<RowFault>, texts: &[String]) -> Vec<RowFault> {
        let named = |fault: RowFault| {
            let is_named = fault.pointer.is_empty() || fault.text.starts_with("Column ");
            match column_at(self.mapping, texts, &fault.pointer) {
                Some(column) if !is_named => {
                    RowFault::at_column(&fault.code, column, fault.pointer, &fault.text)
                }
                _ => fault,
            }
        };
        faults.into_iter().map(named).collect()
    }
}

#[cfg(test)]
mod tests;
