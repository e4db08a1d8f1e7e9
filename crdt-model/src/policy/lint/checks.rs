//! The checks of a policy: that each applies to something, can be read, and asks for what can be there.

use std::collections::BTreeSet;

use super::{Lint, entry, names};
use crate::attribute::{self, Attribute, ValueType, is_forbidden, quote};
use crate::normalize::did_you_mean;
use crate::policy::Check;
use crate::policy::expression::{Expression, Mentions};

/// The most characters of what a check tells people.
const TEXT_MAX: usize = 500;

impl Lint<'_> {
    pub(super) fn checks(&mut self) {
        for (name, check) in &self.policy.checks {
            let at = entry("checks", name);
            if let Err(text) = names::shown(name) {
                self.fault(&at, "name-malformed", text);
            }
            let length = check.text.chars().count();
            if check.text.trim().is_empty()
                || length > TEXT_MAX
                || check.text.chars().any(is_forbidden)
            {
                let text = format!(
                    "Tell people in 1 to {TEXT_MAX} characters, without control characters, what is \
                     wrong and what to do."
                );
                self.fault(format!("{at}.text"), "check-text", text);
            }
            let attributes = self.applies(&at, check);
            match Expression::compile(&check.expression) {
                Ok(expression) => self.mentions(&at, &attributes, expression.mentions()),
                Err(error) => {
                    self.fault(format!("{at}.expression"), "check-expression", error.to_string());
                }
            }
        }
    }

    fn applies(&mut self, at: &str, check: &Check) -> Vec<&'static Attribute> {
        let at = format!("{at}.applies");
        if check.applies.is_empty() {
            let text = "The check applies to nothing. Name at least one attribute.";
            self.fault(&at, "check-idle", text);
        }
        check.applies.iter().filter_map(|written| self.attribute(&at, written)).collect()
    }

    /// Judges what an expression asks for: what no record can have is a slip of the pen.
    fn mentions(&mut self, at: &str, attributes: &[&'static Attribute], mentions: &Mentions) {
        let at = format!("{at}.expression");
        let sections: BTreeSet<&str> =
            attribute::table().iter().filter_map(|row| row.pattern.split('/').next()).collect();
        for section in mentions.sections.iter().filter(|name| !sections.contains(name.as_str())) {
            let hint = did_you_mean(section, sections.iter().copied());
            let text = format!("No record has a section {}.{hint}", quote(section));
            self.fault(&at, "check-expression", text);
        }
        for attribute in attributes {
            let members =
                if let ValueType::Group(members) = attribute.value { members } else { &[] };
            let known = members.iter().map(|member| member.name);
            for member in
                mentions.members.iter().filter(|name| known.clone().all(|one| one != **name))
            {
                let hint = did_you_mean(member, known.clone());
                let text = format!("{} has no member {}.{hint}", attribute.pattern, quote(member));
                self.fault(&at, "check-expression", text);
            }
            let keys = attribute.pattern.split('/').filter_map(|segment| {
                segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
            });
            for key in mentions.keys.iter().filter(|name| keys.clone().all(|one| one != **name)) {
                let hint = did_you_mean(key, keys.clone());
                let text = format!("{} has no key {}.{hint}", attribute.pattern, quote(key));
                self.fault(&at, "check-expression", text);
            }
        }
    }
}
