//! What nodes say to each other about forks: here is my branch, here is the proof.
//!
//! Where two nodes find that they hold different commits under one number, each shows the other the
//! newest headers of its branch. Whoever sees the lowest difference has the proof. A vector or a
//! commit that lies about a log makes a node show its own headers and nothing else: nobody is accused
//! without two signatures.

use std::collections::BTreeSet;

use crdt_model::claim::Claim;
use crdt_model::document::CustomerDocument;
use crdt_model::id::{CommitRef, LogId, RecordId, SourceName};
use crdt_model::path::AttributePath;
use crdt_model::value::Assertion;

use super::{Disproof, ForkProof};
use crate::kv::ReadError;
use crate::replica::commit::{Opening, SignedHeader};
use crate::replica::event::{LinkId, Precondition, Provenance, RecordWrite, WriteRequest};
use crate::replica::frame::Frame;
use crate::replica::limits::{BLOCK_BYTES_TARGET, BRANCH_HEADERS_MAX, STALL_MS};
use crate::replica::records::Records;
use crate::replica::vector::first_8;
use crate::replica::{Replica, Turn, own_log};

/// What a node says when it issues a claim again.
const AGAIN: &str = "issued again: it had followed a log whose author signed two histories";

impl Replica {
    /// Shows a peer the newest headers of a log that it seems to hold otherwise.
    pub(in crate::replica) fn show_branch(
        &mut self,
        turn: &mut Turn<'_>,
        id: LinkId,
        log: &LogId,
    ) -> Result<(), ReadError> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        if link.branch_shown_ms.is_some_and(|at| turn.now_ms < at + STALL_MS) {
            return Ok(());
        }
        link.branch_shown_ms = Some(turn.now_ms);
        let records = Records::new(&turn.view);
        let (mut headers, mut bytes) = (Vec::new(), 0);
        for seq in (1..=self.history.vector.seq(log)).rev().take(BRANCH_HEADERS_MAX) {
            let Some(signed) = records.header(&CommitRef { log: *log, seq })? else { break };
            bytes += signed.encode().len();
            headers.push(signed);
            if bytes > BLOCK_BYTES_TARGET {
                break;
            }
        }
        if !headers.is_empty() {
            headers.reverse();
            self.send(turn, id, &Frame::Branch(headers));
        }
        Ok(())
    }

    /// Compares a peer's branch with our own: the lowest difference is the proof.
    pub(in crate::replica) fn branch(
        &mut self,
        turn: &mut Turn<'_>,
        headers: Vec<SignedHeader>,
    ) -> Result<(), ReadError> {
        for theirs in headers {
            let at = theirs.header.commit();
            let ours = Records::new(&turn.view).header(&at)?;
            let Some(ours) = ours.filter(|ours| ours.hash() != theirs.hash()) else { continue };
            return self.contradicted(turn, ours, theirs);
        }
        Ok(())
    }

    /// Two headers of one number: a proof, if the author signed both.
    pub(in crate::replica) fn contradicted(
        &mut self,
        turn: &mut Turn<'_>,
        ours: SignedHeader,
        theirs: SignedHeader,
    ) -> Result<(), ReadError> {
        match self.opening_of(turn, &ours.header.log)? {
            Some(opening) => self.fork(turn, None, &ForkProof::new(opening, ours, theirs)),
            None => Ok(()),
        }
    }

    fn opening_of(&self, turn: &Turn<'_>, log: &LogId) -> Result<Option<Opening>, ReadError> {
        let first = Records::new(&turn.view).header(&CommitRef { log: *log, seq: 1 })?;
        Ok(first.and_then(|signed| signed.header.opening))
    }

    /// Takes a proof: ends the log, passes the proof on, and issues again what fell here. `from` is the
    /// link by which the whole proof came; one that was found here goes to everybody.
    pub(in crate::replica) fn fork(
        &mut self,
        turn: &mut Turn<'_>,
        from: Option<LinkId>,
        proof: &ForkProof,
    ) -> Result<(), ReadError> {
        match (proof.check(&self.history.roster), from) {
            (Ok(()), _) => {}
            // It comes again when the roster is longer.
            (Err(Disproof::Early), _) | (Err(_), None) => return Ok(()),
            (Err(Disproof::False(why)), Some(id)) => {
                self.hang_up(turn, id, &format!("it shows no fork: {why}"));
                return Ok(());
            }
        }
        let own: BTreeSet<LogId> = self.own_logs();
        let mut history = self.history.clone();
        let Some(ended) = history.end_log(proof, &turn.view)? else { return Ok(()) };
        let before = documents(turn, &ended.touched)?;
        self.history = history;
        turn.persist(ended.ops);
        let after = documents(turn, &ended.touched)?;
        self.alarm(turn, sentence(proof, ended.void));
        ended.alarms.into_iter().for_each(|text| self.alarm(turn, text));
        let log = proof.at().log;
        self.forget_beyond(&log);
        if log == self.own.id {
            self.reopen();
        }
        let greeted = self.links.iter().filter(|(id, link)| link.greeted && Some(**id) != from);
        let greeted: Vec<LinkId> = greeted.map(|(id, _)| *id).collect();
        for id in greeted {
            self.send(turn, id, &Frame::Fork(Box::new(proof.clone())));
        }
        for ((record, before), (_, after)) in before.iter().zip(&after) {
            self.issue_again(turn, record, before, after, &own)?;
        }
        // What followed the other branch was not taken; ask for it again.
        let all: Vec<LinkId> = self.links.keys().copied().collect();
        all.into_iter().for_each(|id| self.tell_vector(turn, id));
        Ok(())
    }

    /// Tells a peer every fork that is known here.
    pub(in crate::replica) fn tell_forks(
        &mut self,
        turn: &mut Turn<'_>,
        id: LinkId,
    ) -> Result<(), ReadError> {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.greeted) else { return Ok(()) };
        if self.history.vector.forks().is_empty()
            || link.forks_told_ms.is_some_and(|at| turn.now_ms < at + STALL_MS)
        {
            return Ok(());
        }
        link.forks_told_ms = Some(turn.now_ms);
        for proof in Records::new(&turn.view).forks()? {
            self.send(turn, id, &Frame::Fork(Box::new(proof)));
        }
        Ok(())
    }

    /// The alarms of the forks that a store tells of.
    pub(in crate::replica) fn fork_alarms(
        &mut self,
        view: &dyn crate::kv::View,
    ) -> Result<(), ReadError> {
        let proofs = Records::new(view).forks()?;
        self.alarms.extend(proofs.iter().map(|proof| sentence(proof, 0)));
        Ok(())
    }

    fn own_logs(&self) -> BTreeSet<LogId> {
        let logs = self.history.vector.logs().iter();
        logs.filter(|(_, held)| held.node == self.node).map(|(log, _)| *log).collect()
    }

    /// Nothing of the log is sent any more from where it ended.
    fn forget_beyond(&mut self, log: &LogId) {
        let end = self.history.vector.seq(log);
        for link in self.links.values_mut() {
            if link.known.get(log).copied().unwrap_or(0) >= end {
                link.lacking.remove(log);
                link.pending.retain(|_, other| other != log);
            }
        }
    }

    /// Somebody else writes with our key in our log: what we write from now on stands in another one.
    fn reopen(&mut self) {
        let mut hasher = blake3::Hasher::new_derive_key("concord 2026 log after a fork");
        hasher.update(&self.config.nonce.to_be_bytes()).update(self.own.id.as_bytes());
        let nonce = u64::from_be_bytes(first_8(hasher.finalize().as_bytes()));
        self.config.nonce = nonce;
        self.own = own_log(&self.history, self.node, nonce);
    }

    /// Says again what sources said through this node and what fell with the branch.
    fn issue_again(
        &mut self,
        turn: &mut Turn<'_>,
        record: &RecordId,
        before: &CustomerDocument,
        after: &CustomerDocument,
        own: &BTreeSet<LogId>,
    ) -> Result<(), ReadError> {
        for (source, edits, principal) in fallen(turn, before, after, own)? {
            let provenance =
                Provenance { principal, reason: AGAIN.to_owned(), request: String::new() };
            let write = RecordWrite {
                record: *record,
                precondition: Precondition::None,
                edits,
                numbered: false,
            };
            let request = WriteRequest {
                source: source.clone(),
                propose: false,
                restate: true,
                provenance,
                records: vec![write],
            };
            if let Err(refusal) = self.write(turn, &request) {
                self.alarm(
                    turn,
                    format!(
                        "what {source} had said here about customer {record} followed a log whose author signed two histories, and could not be issued again: {refusal}; look at it in `concord forks` and say it again"
                    ),
                );
            }
        }
        Ok(())
    }
}

fn sentence(proof: &ForkProof, void: u64) -> String {
    let (author, at) = (proof.author(), proof.at());
    let held = match void {
        0 => String::new(),
        void => format!(" ({void} were held here and are set aside, see `concord forks`)"),
    };
    format!(
        "node {author} signed two different histories in log {}: its key is in use twice or stolen; revoke it (`concord network revoke`). Its commits from number {} on do not count{held}",
        at.log, at.seq
    )
}

fn documents(
    turn: &Turn<'_>,
    touched: &BTreeSet<RecordId>,
) -> Result<Vec<(RecordId, CustomerDocument)>, ReadError> {
    let records = Records::new(&turn.view);
    let read = touched.iter().map(|record| {
        let document = records.document(record)?;
        Ok((*record, document.unwrap_or_else(CustomerDocument::empty)))
    });
    read.collect()
}

type Fallen = (SourceName, Vec<(AttributePath, Assertion)>, String);

/// What stood before by commits of our own and stands no more, by source and who had asked for it.
fn fallen(
    turn: &Turn<'_>,
    before: &CustomerDocument,
    after: &CustomerDocument,
    own: &BTreeSet<LogId>,
) -> Result<Vec<Fallen>, ReadError> {
    let after = after.claims();
    let stands = |claim: &Claim| after.claims().contains(claim);
    let mut fallen: Vec<Fallen> = Vec::new();
    for claim in before.claims().claims() {
        let Ok(assertion) = &claim.assertion else { continue };
        if !own.contains(&claim.origin.commit.log) || stands(claim) {
            continue;
        }
        let signed = Records::new(&turn.view).header(&claim.origin.commit)?;
        let principal = signed.map(|signed| signed.note.provenance.principal).unwrap_or_default();
        let edit = (claim.path.clone(), assertion.clone());
        let same = |one: &&mut Fallen| one.0 == claim.source && one.2 == principal;
        match fallen.iter_mut().find(same) {
            Some((_, edits, _)) => edits.push(edit),
            None => fallen.push((claim.source.clone(), vec![edit], principal)),
        }
    }
    Ok(fallen)
}
