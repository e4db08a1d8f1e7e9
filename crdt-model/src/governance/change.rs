//! What has happened to change requests between two states of a golden record, as the feed tells it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::request::{Decision, Request, RequestState};

/// One step of a change request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestChange {
    /// The id of the request.
    pub id: String,
    /// What happened.
    pub step: Step,
    /// What has become of the request by it: `pending`, `effective` or `rejected`.
    pub state: String,
    /// Who did it; none where a policy or the loss of a fact did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What can happen to a change request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Somebody asks.
    Opened,
    /// Somebody approves.
    Approved,
    /// Somebody rejects.
    Rejected,
    /// Enough approve: its edits are claims from now on.
    Effective,
    /// A rejection that counts was made; what was effective is so no more.
    Withdrawn,
    /// What decided it is not there any more, and it waits again.
    Reopened,
}

/// Everything that has happened, by request and in the order of the steps.
#[must_use]
pub fn changes(
    before: &BTreeMap<String, Request>,
    after: &BTreeMap<String, Request>,
) -> Vec<RequestChange> {
    let mut changes = Vec::new();
    for (id, request) in after {
        let old = before.get(id);
        let mut tell = |step, by: Option<&str>| {
            let (by, state) = (by.map(str::to_owned), request.state.word().to_owned());
            changes.push(RequestChange { id: id.clone(), step, state, by });
        };
        if old.is_none() {
            tell(Step::Opened, Some(&request.opened_by));
        }
        let approvals = old.map(|old| &old.approvals[..]).unwrap_or_default();
        for decision in fresh(approvals, &request.approvals) {
            tell(Step::Approved, Some(&decision.principal));
        }
        let rejections = old.map(|old| &old.rejections[..]).unwrap_or_default();
        for decision in fresh(rejections, &request.rejections) {
            tell(Step::Rejected, Some(&decision.principal));
        }
        let was = old.map_or(&RequestState::Pending, |old| &old.state);
        match (was, &request.state) {
            (RequestState::Pending | RequestState::Rejected, RequestState::Effective { .. }) => {
                tell(Step::Effective, None);
            }
            (RequestState::Effective { .. }, RequestState::Rejected) => {
                tell(Step::Withdrawn, None);
            }
            (RequestState::Effective { .. } | RequestState::Rejected, RequestState::Pending) => {
                tell(Step::Reopened, None);
            }
            // That it is rejected, the rejection has told.
            (RequestState::Pending | RequestState::Rejected, RequestState::Rejected)
            | (RequestState::Pending, RequestState::Pending)
            | (RequestState::Effective { .. }, RequestState::Effective { .. }) => {}
        }
    }
    changes
}

/// Decisions that were not there before.
fn fresh<'a>(before: &'a [Decision], after: &'a [Decision]) -> impl Iterator<Item = &'a Decision> {
    let is_known = |decision: &&Decision| {
        before.iter().any(|old| {
            (&old.principal, &old.origin.commit) == (&decision.principal, &decision.origin.commit)
        })
    };
    after.iter().filter(move |decision| !is_known(decision))
}

#[cfg(test)]
mod tests {
    use super::super::tests::scene::{Scene, approve, ask, reject, says};
    use super::*;
    use crate::governance::govern;

    fn told(before: &Scene, after: &Scene) -> Vec<String> {
        let requests = |scene: &Scene| govern(&scene.claims()).requests;
        let told = changes(&requests(before), &requests(after)).into_iter();
        let word = |step: Step| serde_json::to_value(step).unwrap().as_str().unwrap().to_owned();
        told.map(|it| format!("{} {} {:?}", word(it.step), it.state, it.by)).collect()
    }

    #[test]
    fn every_step_of_a_request_is_told_once() {
        let base = Scene::new().row(1, "EMEA", 10, &[], vec![says("x/a", "crm", r#""de""#)]);
        let ask = ask("r", "anna", "crm", 2, &[("x/a", r#""en""#)]);
        let opened = base.clone().row(2, "EMEA", 20, &[1], ask);
        let once = opened.clone().row(3, "APAC", 30, &[2], vec![approve("r", "ben")]);
        let twice = once.clone().row(4, "AMER", 40, &[2], vec![approve("r", "cat")]);
        let late = twice.clone().row(5, "APAC", 50, &[2], vec![reject("r", "dan")]);
        assert_eq!(told(&base, &opened), [r#"opened pending Some("anna")"#]);
        assert_eq!(told(&opened, &once), [r#"approved pending Some("ben")"#]);
        let expected = [r#"approved effective Some("cat")"#, "effective effective None"];
        assert_eq!(told(&once, &twice), expected);
        // Reject beats approve, and what was effective here is so no more.
        let expected = [r#"rejected rejected Some("dan")"#, "withdrawn rejected None"];
        assert_eq!(told(&twice, &late), expected);
        assert_eq!(told(&late, &late), [""; 0]);
        assert_eq!(told(&late, &once).last().unwrap(), "reopened pending None");
    }
}
