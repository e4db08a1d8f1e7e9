//! The answer of the bulk page: one line for each line that was sent, in order.

use serde::Deserialize;

use super::RowFault;

/// Codes by which a node says that it cannot write now, whatever the row says. A row with one of them
/// is not rejected: the import stops.
const OF_THE_NODE: [&str; 10] = [
    "clock-skew",
    "internal",
    "not-a-member",
    "not-ready",
    "outcome-unknown",
    "shutting-down",
    "store-damaged",
    "store-failed",
    "store-full",
    "timeout",
];

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Created,
    Changed,
    Unchanged,
    Rejected(Vec<RowFault>),
    /// The node could not write it; what it said.
    Unanswered(String),
}

/// The verdicts on the lines of a chunk, in order.
pub(super) type Answers = std::vec::IntoIter<Verdict>;

#[derive(Deserialize)]
struct Line {
    line: usize,
    #[serde(default)]
    created: bool,
    #[serde(default)]
    written: bool,
    errors: Option<Vec<Fault>>,
}

#[derive(Deserialize)]
struct Fault {
    code: String,
    #[serde(default)]
    pointer: String,
    text: String,
}

/// Reads the answer to so many lines. The error is what is wrong with the answer.
pub(super) fn read(body: &[u8], sent: usize) -> Result<Answers, String> {
    let mut verdicts = Vec::with_capacity(sent);
    for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Line = serde_json::from_slice(line)
            .map_err(|error| format!("a line of the answer cannot be read ({error})"))?;
        if line.line != verdicts.len() + 1 {
            return Err(format!("line {} was not answered", verdicts.len() + 1));
        }
        verdicts.push(verdict(line));
    }
    if verdicts.len() == sent {
        Ok(verdicts.into_iter())
    } else {
        Err(format!("{sent} lines were sent and {} answered", verdicts.len()))
    }
}

fn verdict(line: Line) -> Verdict {
    let Some(errors) = line.errors else {
        return match (line.created, line.written) {
            (true, _) => Verdict::Created,
            (false, true) => Verdict::Changed,
            (false, false) => Verdict::Unchanged,
        };
    };
    if let Some(fault) = errors.iter().find(|fault| OF_THE_NODE.contains(&fault.code.as_str())) {
        return Verdict::Unanswered(fault.text.clone());
    }
    let fault =
        |fault: Fault| RowFault { code: fault.code, pointer: fault.pointer, text: fault.text };
    Verdict::Rejected(errors.into_iter().map(fault).collect())
}

#[cfg(test)]
mod tests {
    use super::{Verdict, read};

    #[test]
    fn every_line_gets_its_verdict() {
        let body = concat!(
            "{\"line\":1,\"id\":\"x\",\"version\":\"v\",\"created\":true,\"written\":true}\n",
            "{\"line\":2,\"id\":\"x\",\"created\":false,\"written\":true}\n",
            "{\"line\":3,\"id\":\"x\",\"created\":false,\"written\":false}\n",
            "{\"line\":4,\"errors\":[{\"code\":\"iban-checksum\",\"pointer\":\"/bank/X\",\"text\":\"T.\"}]}\n",
            "{\"line\":5,\"errors\":[{\"code\":\"not-ready\",\"pointer\":\"\",\"text\":\"Later.\"}]}\n",
        );
        let verdicts: Vec<Verdict> = read(body.as_bytes(), 5).unwrap().collect();
        assert_eq!(verdicts[..3], [Verdict::Created, Verdict::Changed, Verdict::Unchanged]);
        assert!(matches!(&verdicts[3], Verdict::Rejected(f) if f[0].pointer == "/bank/X"));
        assert_eq!(verdicts[4], Verdict::Unanswered("Later.".to_owned()));
    }

    #[test]
    fn an_answer_that_does_not_fit_is_no_answer() {
        let line = |number: usize| format!("{{\"line\":{number},\"created\":true}}\n");
        assert!(read(line(1).as_bytes(), 2).is_err(), "too few");
        assert!(read((line(1) + &line(3)).as_bytes(), 2).is_err(), "out of order");
        assert!(read((line(1) + &line(2)).as_bytes(), 1).is_err(), "too many");
        assert!(read(b"<html>", 1).is_err(), "not of a node");
    }
}
