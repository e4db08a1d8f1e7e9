//! The checks of a policy, compiled once and asked of golden records.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Serialize;

use super::expression::{Expression, ExpressionError, STEPS_MAX};
use super::facts::Facts;
use super::{Policy, Severity};
use crate::attribute;
use crate::limits::FAULTS_MAX;
use crate::path::AttributePath;
use crate::value::Value;

/// The most steps that all checks of one record may take together.
const RECORD_STEPS_MAX: u64 = 4 * STEPS_MAX;

/// A check that does not hold of a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FailedCheck {
    /// The name of the check.
    pub name: String,
    /// The attribute.
    pub path: AttributePath,
    /// What the policy tells people.
    pub text: String,
    /// How bad it is.
    pub severity: Severity,
    /// Why the check could not be answered; none: it was answered, with no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The checks of a policy, compiled.
#[derive(Debug, Clone, Default)]
pub struct CompiledChecks {
    checks: Vec<Compiled>,
    /// The checks of an attribute, by its pattern or path.
    applies: BTreeMap<String, Vec<usize>>,
    /// The sections that they read; none: all.
    sections: Option<BTreeSet<String>>,
}

#[derive(Debug, Clone)]
struct Compiled {
    name: String,
    text: String,
    severity: Severity,
    expression: Result<Expression, ExpressionError>,
}

impl CompiledChecks {
    /// Compiles the checks of a policy.
    ///
    /// One that this release cannot compile, which the lint refuses, fails as a warning with the reason:
    /// a policy of a newer release must not stop the work.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let mut all = Self { sections: Some(BTreeSet::new()), ..Self::default() };
        for (name, check) in &policy.checks {
            let expression = Expression::compile(&check.expression);
            let severity = if expression.is_ok() { check.severity } else { Severity::Warning };
            if let Ok(expression) = &expression {
                let mentions = expression.mentions();
                match &mut all.sections {
                    Some(_) if mentions.is_whole_record => all.sections = None,
                    Some(sections) => sections.extend(mentions.sections.iter().cloned()),
                    None => {}
                }
            }
            let place = all.checks.len();
            for pattern in check.applies.iter().collect::<BTreeSet<_>>() {
                all.applies.entry(pattern.clone()).or_default().push(place);
            }
            let (name, text) = (name.clone(), check.text.clone());
            all.checks.push(Compiled { name, text, severity, expression });
        }
        all
    }

    /// Whether there is nothing to check.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }

    /// The checks that do not hold of the golden values of a record, by path, then name; at most
    /// [`FAULTS_MAX`].
    ///
    /// A check that cannot be answered has failed, with the reason. Once the checks have taken as many
    /// steps as a record may cost, each that is left fails once.
    #[must_use]
    pub fn failed(&self, golden: &BTreeMap<&AttributePath, &Value>) -> Vec<FailedCheck> {
        let mut failed = Vec::new();
        let mut facts = None;
        let mut left = RECORD_STEPS_MAX;
        let mut given_up = BTreeSet::new();
        for (path, value) in golden {
            let mut is_turned = false;
            for place in self.of_path(path) {
                if failed.len() >= FAULTS_MAX {
                    return failed;
                }
                let check = &self.checks[place];
                let facts = facts.get_or_insert_with(|| Facts::of(golden, self.sections.as_ref()));
                if !is_turned {
                    facts.turn_to(path, value);
                    is_turned = true;
                }
                let steps = left.min(STEPS_MAX);
                let answer = match &check.expression {
                    Ok(_) if steps == 0 && !given_up.insert(place) => continue,
                    Ok(expression) => {
                        let (answer, unused) = expression.holds(facts, steps);
                        left -= steps - unused;
                        answer
                    }
                    Err(error) => Err(error.to_string()),
                };
                if answer != Ok(true) {
                    failed.push(check.failure(path, answer.err()));
                }
            }
        }
        failed
    }

    /// The places of the checks of a path, in the order of their names.
    fn of_path(&self, path: &AttributePath) -> BTreeSet<usize> {
        let pattern = attribute::lookup(path).map(|attribute| attribute.pattern);
        let named = [pattern, Some(path.as_str())].into_iter().flatten();
        named.filter_map(|name| self.applies.get(name)).flatten().copied().collect()
    }
}

impl Compiled {
    fn failure(&self, path: &AttributePath, reason: Option<String>) -> FailedCheck {
        let (name, text) = (self.name.clone(), self.text.clone());
        FailedCheck { name, path: path.clone(), text, severity: self.severity, reason }
    }
}

#[cfg(test)]
mod tests;
