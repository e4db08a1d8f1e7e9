//! Customer numbers: one for a new customer, and what may be typed in.
//!
//! A number is drawn in the turn that writes it, from this node's lane of its region's range, and the
//! commit, the mark that the number was claimed and the count of the lane are one batch. The count is
//! this node's own and moves by its own draws alone: no other member can use the lane up. What others
//! typed in is passed over when the lane comes to it.

use std::borrow::Cow;

use crdt_model::attribute::Fault;
use crdt_model::claim::ClaimSet;
use crdt_model::customer_number::{self, CustomerNumber, Lane, Memory, NoNumber};
use crdt_model::golden_record::Resolved;
use crdt_model::id::{RecordId, Region};
use crdt_model::path::AttributePath;
use crdt_model::policy::NumberRange;
use crdt_model::value::{Assertion, Scalar, Statement, Value};

use super::event::{WriteRefusal, WriteRequest};
use super::history::History;
use super::layout;
use super::node_id::NodeId;
use super::records::Records;
use crate::kv::{Op, ReadError, View};

/// That this node gave commits of its own up: which numbers they gave out, it does not know.
pub const LOST: &[u8] = b"s/numbers-lost";

/// Numbers that one write passes over at most, because somebody typed them in.
const PASSED_MAX: usize = 10_000;

/// The marks of every customer number that a record ever claimed or would get by a request.
pub(super) fn marks(record: &RecordId, claims: &ClaimSet, resolved: &Resolved) -> Vec<Op> {
    let claimed = claims.claims().iter().map(|claim| &claim.path);
    let proposed = resolved.requests.values().flat_map(|request| request.edits.keys());
    let numbers = claimed.chain(proposed).filter_map(customer_number::of);
    numbers.map(|number| Op::Put(mark(record, &number), Vec::new())).collect()
}

/// The mark that a record claimed a number.
fn mark(record: &RecordId, number: &str) -> Vec<u8> {
    [layout::number_prefix(number).as_slice(), record.as_bytes()].concat()
}

/// The numbers of one node.
pub(super) struct Numbers<'a> {
    history: &'a History,
    view: &'a dyn View,
    region: &'a Region,
    lane: Option<Lane>,
}

impl<'a> Numbers<'a> {
    pub(super) fn new(
        history: &'a History,
        view: &'a dyn View,
        node: &NodeId,
        region: &'a Region,
    ) -> Self {
        let lane = Lane::of(history.roster.admissions(), node, region);
        Self { history, view, region, lane }
    }

    /// The request with a number for each record that asks for one and has none, where the policy has
    /// a range for the region; and what is to be stored with it.
    ///
    /// # Errors
    /// [`WriteRefusal::NoNumber`] or [`WriteRefusal::Store`]. Nothing was changed.
    pub(super) fn give<'r>(
        &self,
        request: &'r WriteRequest,
    ) -> Result<(Cow<'r, WriteRequest>, Vec<Op>), WriteRefusal> {
        let range = self.history.policy().numbers.get(self.region);
        let (Some(range), Some(lane)) = (range, self.lane) else {
            return Ok((Cow::Borrowed(request), Vec::new()));
        };
        let mut request = Cow::Borrowed(request);
        let key = layout::lane_key(&range.prefix, lane.place());
        let mut given = None;
        for at in 0..request.records.len() {
            if !self.asks(&request, at)? {
                continue;
            }
            let floor = match given {
                Some(floor) => Some(floor),
                None => self.given(&key)?,
            };
            let number = self.draw(range, lane, floor)?;
            given = Some(number.count());
            if let Some(path) = number.path() {
                let statement = Statement::plain(Value::One(Scalar::Bool(true)));
                let edit = (path, Assertion::Stated(statement));
                request.to_mut().records[at].edits.push(edit);
            }
        }
        let ops = given.map(|count| Op::Put(key, count.to_be_bytes().to_vec()));
        Ok((request, ops.into_iter().collect()))
    }

    /// Whether a record of a request is to get a number.
    fn asks(&self, request: &WriteRequest, at: usize) -> Result<bool, ReadError> {
        let write = &request.records[at];
        let brings = |(path, _): &(AttributePath, Assertion)| customer_number::of(path).is_some();
        if !write.numbered || write.edits.iter().any(brings) {
            return Ok(false);
        }
        let golden = Records::new(self.view).golden(&write.record)?;
        let has = |path: &AttributePath| customer_number::of(path).is_some();
        Ok(!golden.is_some_and(|golden| golden.attributes.keys().any(has)))
    }

    fn given(&self, key: &[u8]) -> Result<Option<u64>, ReadError> {
        let Some(bytes) = self.view.get(key)? else { return Ok(None) };
        layout::number_in(&bytes, 0).map(Some).ok_or_else(|| ReadError::damaged(key))
    }

    fn draw(
        &self,
        range: &NumberRange,
        lane: Lane,
        mut floor: Option<u64>,
    ) -> Result<CustomerNumber, WriteRefusal> {
        let is_lost = self.view.get(LOST)?.is_some();
        let memory = if is_lost { Memory::Lost } else { Memory::Whole };
        for _ in 0..PASSED_MAX {
            let number = customer_number::next(range, lane, floor, memory)?;
            if !self.is_claimed(&number.to_string(), None)? {
                return Ok(number);
            }
            floor = Some(number.count());
        }
        let NumberRange { prefix, from, to } = range.clone();
        Err(NoNumber::Exhausted { prefix, from, to }.into())
    }

    /// Whether a record, other than this one, ever claimed a number.
    fn is_claimed(&self, number: &str, except: Option<&RecordId>) -> Result<bool, ReadError> {
        let prefix = layout::number_prefix(number);
        let found = self.view.scan(&prefix, &prefix, 2)?;
        let ids = found.iter().map(|(key, _)| layout::record_in(key, prefix.len()));
        Ok(ids.into_iter().any(|id| id.as_ref() != except))
    }

    /// Judges a number that is typed in. One from outside of every range is anybody's; one from a
    /// range is given out and not typed, unless the customer has it already.
    pub(super) fn judge(
        &self,
        record: &RecordId,
        path: &AttributePath,
    ) -> Result<Result<(), Fault>, ReadError> {
        let Some(number) = customer_number::of(path) else { return Ok(Ok(())) };
        let fault = |code, text: String| Ok(Err(Fault { code, pointer: format!("/{path}"), text }));
        if self.view.get(&mark(record, &number))?.is_some() {
            return Ok(Ok(()));
        }
        let home = match customer_number::check(&self.history.policy().numbers, &number) {
            Ok(home) => home,
            Err(error) => return fault("number-malformed", format!("{error}.")),
        };
        let Some(home) = home else { return Ok(Ok(())) };
        if home != self.region {
            let text = format!(
                "{number} is from the range of {home}, and only {home} gives it out. Leave the number \
                 out, and the customer gets one of {}.",
                self.region
            );
            return fault("number-of-other-region", text);
        }
        let count = number.parse::<CustomerNumber>().map(|number| number.count());
        if !self.lane.is_some_and(|lane| count.is_ok_and(|count| lane.has(count))) {
            let text = format!(
                "{number} is given out by another node of {home}, if at all. Leave the number out, and \
                 the customer gets one of this node."
            );
            return fault("number-of-other-node", text);
        }
        if self.is_claimed(&number, Some(record))? {
            let text = format!(
                "Another customer carries or carried {number}. Find it with \"concord get --number \
                 {number}\"; a number is never given twice."
            );
            return fault("number-taken", text);
        }
        Ok(Ok(()))
    }
}

impl From<NoNumber> for WriteRefusal {
    fn from(why: NoNumber) -> Self {
        Self::NoNumber { why }
    }
}
