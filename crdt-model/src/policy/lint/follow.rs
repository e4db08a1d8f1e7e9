//! Attributes that follow another one: that they do, that the chain ends, and where.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::{Lint, attribute_named, entry, plain_word};
use crate::attribute::{self, Attribute, quote};
use crate::policy::Rule;

impl Lint<'_> {
    /// The attribute and the rule at the end of the chain of an attribute; `None` when there is no end.
    pub(super) fn followed(
        &self,
        written: &str,
        attribute: &Attribute,
        rule: Rule,
    ) -> Option<(Attribute, Rule)> {
        let (mut at, mut rule, mut key) = (*attribute, rule, written);
        for _ in 0..=attribute::table().len() {
            if rule != Rule::Follow {
                return Some((at, rule));
            }
            let follows = &self.policy.follows;
            let next = follows.get(key).or_else(|| follows.get(at.pattern))?;
            at = *attribute_named(next).ok()?;
            rule =
                self.policy.rules.get(next).map_or_else(|| self.policy.rule_of(&at), |rule| *rule);
            key = next;
        }
        None
    }

    pub(super) fn follows(&mut self) {
        for (written, rule) in self.policy.rules.iter().filter(|(_, rule)| **rule == Rule::Follow) {
            let pattern = attribute_named(written).map_or("", |attribute| attribute.pattern);
            let follows = &self.policy.follows;
            if !follows.contains_key(written) && !follows.contains_key(pattern) {
                let text = format!(
                    "The rule is {}, and nothing says which attribute is followed. Write one into \
                     [follows]: {} = \"…\".",
                    plain_word(rule),
                    quote(written)
                );
                self.fault(entry("rules", written), "follow-missing", text);
            }
        }
        for (written, followed) in &self.policy.follows {
            self.follow(written, followed);
        }
        self.cycles(&self.policy.follows);
    }

    fn follow(&mut self, written: &str, followed: &str) {
        let at = entry("follows", written);
        let follower = self.attribute(&at, written);
        let target = self.attribute(&at, followed);
        let (Some(follower), Some(target)) = (follower, target) else { return };
        let rules = self.policy.rules.iter();
        let mut of_it = rules.filter(|(key, _)| {
            *key == written
                || attribute_named(key).is_ok_and(|named| named.pattern == follower.pattern)
        });
        if !of_it.any(|(_, rule)| *rule == Rule::Follow) {
            let text = format!(
                "The rule of {} is not follow, so this entry does nothing. Write \"follow\" into \
                 [rules] or remove the entry.",
                quote(written)
            );
            self.fault(&at, "follow-idle", text);
        }
        let has: BTreeSet<&str> = placeholders(follower.pattern).collect();
        let lacking: Vec<&str> = placeholders(target.pattern)
            .filter(|name| followed.contains(name) && !has.contains(name))
            .collect();
        if !lacking.is_empty() {
            let text = format!(
                "{} has {}, which {} lacks, so it is not said which one is followed.",
                quote(followed),
                lacking.join(" and "),
                quote(written)
            );
            self.fault(at, "follow-placeholders", text);
        }
    }

    /// Names each circle once, from its first member on.
    fn cycles(&mut self, follows: &BTreeMap<String, String>) {
        for start in follows.keys() {
            let mut circle = vec![start.as_str()];
            let mut next = &follows[start];
            while !circle.contains(&next.as_str()) {
                circle.push(next);
                match follows.get(next) {
                    Some(further) => next = further,
                    None => break,
                }
            }
            let is_first = circle.iter().min() == circle.first();
            if next == start && is_first {
                circle.push(start);
                let text = format!(
                    "Attributes follow each other in a circle: {}. Give one of them another rule.",
                    circle.join(" -> ")
                );
                self.fault(entry("follows", start), "follow-cycle", text);
            }
        }
    }
}

fn placeholders(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('/').filter(|segment| segment.starts_with('{'))
}
