//! How a command ends: the exit code for scripts and the sentence for people.

use std::fmt;
use std::io;
use std::process::ExitCode;

use serde_json::{Value as Json, json};

/// How a command ended. The numbers are an interface: scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done and is as it should be.
    Ok = 0,
    /// It was done, and something is not as it should be: some rows were rejected, nodes differ, an
    /// audit found problems, nothing was found.
    Differences = 1,
    /// The command line is wrong. Nothing was done.
    Usage = 2,
    /// The input was refused: by a rule, a missing right, a malformed file. Nothing was done.
    Refused = 3,
    /// The node, its port, its directory or its store is not available now. The same command may
    /// succeed later.
    Unreachable = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command was not done.
#[derive(Debug)]
pub enum CliError {
    /// The command line is wrong (exit 2).
    Usage(String),
    /// The input was refused (exit 3).
    Refused(String),
    /// Something that the command needs is not available (exit 4).
    Unreachable(String),
    /// The node answered with a problem document (exit 3, or 4 when the node cannot do it now).
    Problem(Box<Problem>),
    /// Standard output cannot be written: quietly when the reader has gone, as `head` does.
    Output(io::Error),
}

/// The problem document (RFC 9457) of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The status of the answer.
    pub status: u16,
    /// The document as it came; an object.
    pub document: Json,
}

impl Problem {
    /// The stable code, for example `customer-unknown`.
    #[must_use]
    pub fn code(&self) -> &str {
        self.document["code"].as_str().unwrap_or_default()
    }
}

impl CliError {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Refused(_) => Exit::Refused,
            Self::Unreachable(_) => Exit::Unreachable,
            Self::Problem(problem) if problem.status < 500 => Exit::Refused,
            Self::Problem(_) => Exit::Unreachable,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Output(_) => Exit::Unreachable,
        }
    }

    /// Whether there is nothing to say about it.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The error for programs: the node's own document, or one in its manner.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Problem(problem) => problem.document.clone(),
            Self::Usage(_) => json!({"code": "usage", "detail": self.to_string()}),
            Self::Refused(_) => json!({"code": "refused", "detail": self.to_string()}),
            Self::Unreachable(_) => json!({"code": "unreachable", "detail": self.to_string()}),
            Self::Output(_) => json!({"code": "output", "detail": self.to_string()}),
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Refused(text) | Self::Unreachable(text) => f.write_str(text),
            Self::Problem(problem) => problem.fmt(f),
            Self::Output(error) => write!(f, "The output cannot be written: {error}."),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
        let faults = self.document["errors"].as_array().map_or(&[][..], Vec::as_slice);
        match (self.document["detail"].as_str(), faults) {
            // With one fault the detail is that fault.
            (Some(detail), [] | [_]) => f.write_str(detail)?,
            (_, []) => write!(f, "The node refused the request (status {}).", self.status)?,
            (_, faults) => {
                write!(f, "{} fields were refused:", faults.len())?;
                for fault in faults {
                    write!(f, "\n  {}: {}", text(&fault["pointer"]), text(&fault["text"]))?;
                }
            }
        }
        for changed in self.document["difference"].as_array().into_iter().flatten() {
            let shown = |json: &Json| match json {
                Json::Null => "nothing".to_owned(),
                Json::String(text) => text.clone(),
                Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                    json.to_string()
                }
            };
            let (saw, now) = (shown(&changed["yours_saw"]), shown(&changed["now"]));
            write!(f, "\n  {}: you saw {saw}, now it is {now}", text(&changed["path"]))?;
        }
        Ok(())
    }
}

impl std::error::Error for CliError {}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
