//! The lint: every reason why a policy must not be put in force.
//!
//! It depends on the policy and this release alone, so every node that is asked gives the same answer.
//! Whether a code list exists is no matter of this module.

mod checks;
mod follow;
mod names;
mod people;

use serde::Serialize;

use self::names::attribute_named;
use super::bundle::{key, plain_word};
use super::{Policy, Rule, rules};
use crate::attribute::{self, Attribute, Class, KeyType, ValueType, quote};
use crate::id::SourceName;
use crate::party::{SHARED, shared_section_faults};

/// Every code that a [`PolicyFault`] can carry, and what it means. Codes are stable: programs match on
/// them.
///
/// | code | meaning |
/// |---|---|
/// | `approvals-out-of-range` | a change needs 0 or more than 8 approvals |
/// | `approvals-too-many` | a change needs more approvals than there are approvers |
/// | `attribute-unknown` | no attribute has this pattern or path |
/// | `check-expression` | the expression of a check cannot be read, asks for what is not allowed, or is too large |
/// | `check-idle` | a check applies to no attribute |
/// | `check-text` | a check has no text for people, or a name that cannot be shown |
/// | `code-list-malformed` | the name of a code list has the wrong shape |
/// | `company-code-malformed` | not a company code |
/// | `exempt-malformed` | neither a source nor a kind of sources |
/// | `follow-cycle` | attributes follow each other in a circle |
/// | `follow-idle` | an entry for an attribute whose rule is not `follow` |
/// | `follow-missing` | an attribute follows, and nothing says which one |
/// | `follow-placeholders` | the one that is followed has a placeholder that the follower lacks |
/// | `follow-too-long` | more attributes follow each other than are looked at |
/// | `governor-key` | not an Ed25519 key of 64 lower-case hexadecimal digits, or one that stands twice |
/// | `governors-needed` | 0 governors must sign, or more than there are |
/// | `kind-malformed` | no source can be of this kind |
/// | `kind-ranked-twice` | a kind of sources stands twice |
/// | `name-malformed` | a name is empty, too long, or has characters that cannot be shown |
/// | `not-a-code` | a code list for an attribute that takes no code |
/// | `not-comparable` | `only_raise` for an attribute whose values have no order |
/// | `not-conservative` | chance could decide about money or compliance |
/// | `number-prefix` | the prefix of a number range has the wrong shape |
/// | `number-range` | a number range ends before it starts, or is too large |
/// | `number-ranges-overlap` | two regions would give out the same number |
/// | `pattern-asked` | a path where the pattern is asked for |
/// | `principal-without-role` | a principal may do nothing |
/// | `rule-not-choosable` | a rule that cannot be chosen |
/// | `section-unknown` | an owner of a part that no record has |
/// | `version-zero` | versions start at 1 |
pub const CODES: [&str; 30] = [
    "approvals-out-of-range",
    "approvals-too-many",
    "attribute-unknown",
    "check-expression",
    "check-idle",
    "check-text",
    "code-list-malformed",
    "company-code-malformed",
    "exempt-malformed",
    "follow-cycle",
    "follow-idle",
    "follow-missing",
    "follow-placeholders",
    "follow-too-long",
    "governor-key",
    "governors-needed",
    "kind-malformed",
    "kind-ranked-twice",
    "name-malformed",
    "not-a-code",
    "not-comparable",
    "not-conservative",
    "number-prefix",
    "number-range",
    "number-ranges-overlap",
    "pattern-asked",
    "principal-without-role",
    "rule-not-choosable",
    "section-unknown",
    "version-zero",
];

/// The most approvals that a change may need.
const APPROVALS_MAX: u8 = 8;

/// What is wrong with a policy, where, and what to do. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[error("{at}: {text}")]
pub struct PolicyFault {
    /// Where, as the file of the policy writes it: `rules."bank/{iban}"`.
    pub at: String,
    /// What is wrong, for programs: one of [`CODES`].
    pub code: &'static str,
    /// What is wrong and what to do, for a governor.
    pub text: String,
}

impl Policy {
    /// Everything for which the policy must not be put in force, in the order of the places.
    #[must_use]
    pub fn faults(&self) -> Vec<PolicyFault> {
        let mut lint = Lint { policy: self, faults: Vec::new() };
        lint.ranks();
        lint.rules();
        lint.owners();
        lint.follows();
        lint.four_eyes();
        lint.checks();
        lint.codes();
        lint.numbers();
        lint.principals();
        lint.governors();
        lint.faults.sort();
        lint.faults.dedup();
        lint.faults
    }

    /// What a governor may want to look at, although the policy may be put in force: a policy that
    /// makes one region decide on a part of the shared section, and not on all of it.
    #[must_use]
    pub fn advice(&self) -> Vec<PolicyFault> {
        let is_begun = SHARED.iter().any(|section| self.owners.contains_key(*section));
        if !is_begun {
            return Vec::new();
        }
        let faults = shared_section_faults(self).into_iter();
        faults.map(|fault| people::shared_section(&fault)).collect()
    }

    /// Refuses a policy that must not be put in force.
    ///
    /// # Errors
    /// The first of [`Policy::faults`].
    pub fn lint(&self) -> Result<(), PolicyFault> {
        self.faults().into_iter().next().map_or(Ok(()), Err)
    }
}

/// One walk through a policy.
struct Lint<'a> {
    policy: &'a Policy,
    faults: Vec<PolicyFault>,
}

/// The place of an entry, as the file writes it.
fn entry(table: &str, name: &str) -> String {
    format!("{table}.{}", key(name))
}

impl Lint<'_> {
    fn fault(&mut self, at: impl Into<String>, code: &'static str, text: impl Into<String>) {
        self.faults.push(PolicyFault { at: at.into(), code, text: text.into() });
    }

    /// The attribute that an entry is about, with a fault where there is none.
    fn attribute(&mut self, at: &str, written: &str) -> Option<&'static Attribute> {
        match attribute_named(written) {
            Ok(attribute) => Some(attribute),
            Err(text) => {
                self.fault(at, "attribute-unknown", text);
                None
            }
        }
    }

    fn ranks(&mut self) {
        if self.policy.version == 0 {
            self.fault("version", "version-zero", "The first version is 1.");
        }
        for (place, kind) in self.policy.source_kinds.iter().enumerate() {
            if self.policy.source_kinds[..place].contains(kind) {
                let text = format!(
                    "The source kind {} is ranked twice: keep its best place and remove the other.",
                    quote(kind)
                );
                self.fault("source_kinds", "kind-ranked-twice", text);
            }
            if !kind.parse::<SourceName>().is_ok_and(|source| source.kind() == kind) {
                let text = format!(
                    "No source is of the kind {}. The kind is what stands before the first hyphen of \
                     a source, in lower-case letters and digits: erp for erp-emea.",
                    quote(kind)
                );
                self.fault("source_kinds", "kind-malformed", text);
            }
        }
    }

    fn rules(&mut self) {
        for (written, rule) in self.policy.rules.iter() {
            let at = entry("rules", written);
            if *rule == Rule::Override {
                let text = "A steward's override decides by itself where one stands. Choose the rule \
                            that decides where none does.";
                self.fault(&at, "rule-not-choosable", text);
            }
            if let Some(attribute) = self.attribute(&at, written) {
                self.conservative(at, written, attribute, *rule);
            }
        }
        // What the policy does not name is decided all the same.
        for attribute in attribute::table() {
            if !self.policy.rules.contains_key(attribute.pattern) {
                let at = entry("rules", attribute.pattern);
                let rule = self.policy.rule_of(attribute);
                self.conservative(at, attribute.pattern, attribute, rule);
            }
        }
    }

    fn conservative(&mut self, at: String, written: &str, attribute: &Attribute, rule: Rule) {
        let is_at_stake = matches!(attribute.class, Class::Money | Class::Compliance);
        // Where the source that is followed says nothing, the last writer decides: so following is not
        // conservative either, whatever it leads to.
        if is_at_stake && !rule.is_conservative(attribute.class, rules::is_item(attribute)) {
            let text = format!(
                "The rule {} cannot decide {}, which is a matter of money or compliance: choose \
                 owner, least, greatest, owner-else-least or any-block (add-wins for items of a set, \
                 latest-else-greatest for those and for compliance).",
                plain_word(&rule),
                quote(written)
            );
            self.fault(at, "not-conservative", text);
        }
    }

    fn owners(&mut self) {
        for part in self.policy.owners.keys() {
            if let Err(text) = names::part(part) {
                self.fault(entry("owners", part), "section-unknown", text);
            }
        }
    }

    fn four_eyes(&mut self) {
        let approvers = self.approvers();
        for (written, four_eyes) in &self.policy.four_eyes {
            let at = entry("four_eyes", written);
            let attribute = self.attribute(&at, written);
            let needed = four_eyes.approvals;
            if !(1..=APPROVALS_MAX).contains(&needed) {
                let text = format!("A change needs 1 to {APPROVALS_MAX} approvals, not {needed}.");
                self.fault(format!("{at}.approvals"), "approvals-out-of-range", text);
            } else if let Some(there) = approvers.filter(|there| *there < usize::from(needed)) {
                let text = format!(
                    "{needed} persons must approve, and {there} of the principals have the role \
                     approver. Give the role to more of them or ask for fewer."
                );
                self.fault(format!("{at}.approvals"), "approvals-too-many", text);
            }
            for exempt in &four_eyes.exempt {
                if exempt.parse::<SourceName>().is_err() {
                    let text = format!(
                        "{} is neither a source, like erp-emea, nor a kind of sources, like erp.",
                        quote(exempt)
                    );
                    self.fault(format!("{at}.exempt"), "exempt-malformed", text);
                }
            }
            if four_eyes.only_raise && attribute.is_some_and(|attribute| !has_order(attribute)) {
                let text = "The values of this attribute have no order, so none is a raise. Leave \
                            only_raise out: every change then needs the approval.";
                self.fault(format!("{at}.only_raise"), "not-comparable", text);
            }
        }
    }

    fn codes(&mut self) {
        for (written, list) in &self.policy.codes {
            let at = entry("codes", written);
            let Some(attribute) = self.attribute(&at, written) else { continue };
            if attribute.pattern != written {
                let text = format!("A code list is for all of them: write {}.", attribute.pattern);
                self.fault(&at, "pattern-asked", text);
            }
            if let Err(text) = names::code_list(list, attribute) {
                self.fault(&at, "code-list-malformed", text);
            }
            if !takes_a_code(attribute) {
                let text =
                    format!("{} takes no code, so no code list can govern it.", quote(written));
                self.fault(at, "not-a-code", text);
            }
        }
    }
}

/// Whether one value of the attribute can be more conservative than another.
fn has_order(attribute: &Attribute) -> bool {
    use ValueType as T;
    if let T::Group(members) = attribute.value {
        return members.iter().any(|one| matches!(one.value, T::Money(_) | T::Ranked(_)));
    }
    matches!(
        attribute.value,
        T::Ranked(_) | T::Bool | T::Int(..) | T::Money(_) | T::Decimal(..) | T::Date
    )
}

/// Whether the attribute is a code: its value, its member `code`, or the item that its path names.
fn takes_a_code(attribute: &Attribute) -> bool {
    let is_code = |value: &ValueType| matches!(value, ValueType::Code(_));
    if let ValueType::Group(members) = attribute.value {
        return members.iter().any(|one| one.name == "code" && is_code(&one.value));
    }
    let names_a_code = rules::is_item(attribute) && attribute.keys.last() == Some(&KeyType::Code);
    is_code(&attribute.value) || (attribute.value == ValueType::Present && names_a_code)
}

#[cfg(test)]
mod tests;
