//! Attributes that follow another one: that they do, that the chain ends, and where.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::{Lint, attribute_named, entry, plain_word};
use crate::attribute::quote;
use crate::policy::Rule;

/// The most entries that lead from one to the next: survivorship goes no further.
const CHAIN_MAX: usize = 8;

impl Lint<'_> {
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
        self.chains(&self.policy.follows);
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

    /// Names each circle once, from its first member on, and each chain that is too long.
    fn chains(&mut self, follows: &BTreeMap<String, String>) {
        for start in follows.keys() {
            let mut chain = vec![start.as_str()];
            let mut next = further(follows, start);
            while let Some(key) = next.filter(|key| !chain.contains(key)) {
                chain.push(key);
                next = further(follows, key);
            }
            let is_first = chain.iter().min() == chain.first();
            if next == Some(start) && is_first {
                chain.push(start);
                let text = format!(
                    "Attributes follow each other in a circle: {}. Give one of them another rule.",
                    chain.join(" -> ")
                );
                self.fault(entry("follows", start), "follow-cycle", text);
            } else if next.is_none() && chain.len() > CHAIN_MAX {
                let text = format!(
                    "The attributes that follow each other are more than {CHAIN_MAX}: {}. Let this one \
                     follow a later one.",
                    chain.join(" -> ")
                );
                self.fault(entry("follows", start), "follow-too-long", text);
            }
        }
    }
}

/// The entry that says whom the attribute follows that an entry names; an entry for a path counts
/// before one for the pattern.
fn further<'a>(follows: &'a BTreeMap<String, String>, key: &str) -> Option<&'a str> {
    let followed = follows.get(key)?;
    let by_path = follows.get_key_value(followed);
    let pattern = attribute_named(followed).map_or("", |attribute| attribute.pattern);
    by_path.or_else(|| follows.get_key_value(pattern)).map(|(key, _)| key.as_str())
}

fn placeholders(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('/').filter(|segment| segment.starts_with('{'))
}
