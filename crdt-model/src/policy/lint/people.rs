//! Who acts and who signs, and the numbers that the regions give out.

use std::collections::BTreeMap;

use super::{Lint, PolicyFault, entry, names};
use crate::attribute::quote;
use crate::id::{Region, parse_hex};
use crate::limits::INT_MAX;
use crate::party::SharedSectionFault;
use crate::policy::bundle::plain_word;
use crate::policy::{NumberRange, Role};

/// The most characters of the prefix of a number range.
const PREFIX_MAX: usize = 8;

impl Lint<'_> {
    /// How many principals may approve; `None` when everybody may do everything.
    pub(super) fn approvers(&self) -> Option<usize> {
        let principals = &self.policy.principals;
        let may = principals.values().filter(|one| one.roles.contains(&Role::Approver)).count();
        (!principals.is_empty()).then_some(may)
    }

    pub(super) fn principals(&mut self) {
        for (name, principal) in &self.policy.principals {
            let at = entry("principals", name);
            if let Err(text) = names::shown(name) {
                self.fault(&at, "name-malformed", text);
            }
            if principal.roles.is_empty() {
                let text = "A principal without a role may do nothing. Give it one, or remove it.";
                self.fault(format!("{at}.roles"), "principal-without-role", text);
            }
            for code in &principal.company_codes {
                if let Err(text) = names::company_code(code) {
                    self.fault(format!("{at}.company_codes"), "company-code-malformed", text);
                }
            }
        }
    }

    pub(super) fn governors(&mut self) {
        let Some(governors) = &self.policy.governors else { return };
        let there = governors.keys.len();
        if governors.needed == 0 || usize::from(governors.needed) > there {
            let text = format!(
                "{} of {there} governors must sign. Ask for at least 1 and at most as many as there \
                 are, or no policy can follow this one.",
                governors.needed
            );
            self.fault("governors.needed", "governors-needed", text);
        }
        let mut seen = BTreeMap::new();
        for (name, key) in &governors.keys {
            let at = entry("governors.keys", name);
            if let Err(text) = names::shown(name) {
                self.fault(&at, "name-malformed", text);
            }
            if parse_hex::<32>(key).is_none() {
                let text = format!(
                    "{} is not an Ed25519 key: write 64 lower-case hexadecimal digits.",
                    quote(key)
                );
                self.fault(&at, "governor-key", text);
            }
            if let Some(other) = seen.insert(key, name) {
                let text =
                    format!("{} has the same key, so one hand would sign twice.", quote(other));
                self.fault(at, "governor-key", text);
            }
        }
    }

    pub(super) fn numbers(&mut self) {
        let mut ranges: Vec<(&Region, &NumberRange)> = self.policy.numbers.iter().collect();
        for (region, range) in &ranges {
            let at = entry("numbers", region.as_str());
            if !is_prefix(&range.prefix) {
                let text = format!(
                    "{} cannot start a customer number: use 1 to {PREFIX_MAX} upper-case letters or \
                     digits, a letter first.",
                    quote(&range.prefix)
                );
                self.fault(format!("{at}.prefix"), "number-prefix", text);
            }
            if range.from == 0 || range.from > range.to || range.to > INT_MAX.unsigned_abs() {
                let text = format!(
                    "The numbers go from {} to {}. Let the first be 1 or more and not above the last, \
                     and the last not above {INT_MAX}.",
                    range.from, range.to
                );
                self.fault(at, "number-range", text);
            }
        }
        ranges.sort_by_key(|(region, range)| (&range.prefix, range.from, *region));
        // The one before that reaches furthest, for a range may lie in one that is not its neighbour.
        let mut before: Option<(&Region, &NumberRange)> = None;
        for (region, range) in ranges {
            let same = before.filter(|(_, other)| other.prefix == range.prefix);
            if let Some((other, _)) = same.filter(|(_, other)| other.to >= range.from) {
                let text = format!(
                    "{region} and {other} would both give out {} {}. Give one of them another range \
                     or prefix.",
                    range.prefix, range.from
                );
                self.fault(entry("numbers", region.as_str()), "number-ranges-overlap", text);
            }
            if same.is_none_or(|(_, other)| other.to < range.to) {
                before = Some((region, range));
            }
        }
    }
}

/// Why the shared section has more than one owner, for a governor.
pub(super) fn shared_section(fault: &SharedSectionFault) -> PolicyFault {
    match fault {
        SharedSectionFault::NotOwners { pattern, rule } => PolicyFault {
            at: entry("rules", pattern),
            code: "shared-section-rule",
            text: format!(
                "Name, addresses, tax ids and bank accounts belong to customer and vendor alike. The \
                 rule {} lets anybody's claim survive here; owner makes one region decide.",
                plain_word(rule)
            ),
        },
        SharedSectionFault::SplitOwners(owners) => {
            let named = owners.iter().map(|(section, owner)| {
                let owner = owner.as_ref().map_or("the home region", Region::as_str);
                format!("{section}: {owner}")
            });
            let named: Vec<String> = named.collect();
            PolicyFault {
                at: "owners".to_owned(),
                code: "shared-section-owners",
                text: format!(
                    "The shared section of customer and vendor has more than one owner ({}). Name \
                     one and the same region for all four.",
                    named.join(", ")
                ),
            }
        }
    }
}

fn is_prefix(prefix: &str) -> bool {
    (1..=PREFIX_MAX).contains(&prefix.len())
        && prefix.starts_with(|c: char| c.is_ascii_uppercase())
        && prefix.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
