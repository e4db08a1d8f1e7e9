//! Attributes that follow another one: that they do, that the chain ends, and where.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::{Lint, attribute_named, entry, plain_word};
use crate::attribute::{self, quote};
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

    /// Names each circle once, from its first entry on, and each entry from which a chain is too long.
    ///
    /// An entry for a single path joins the entries for patterns there and nowhere else. So each entry
    /// is walked as it stands, and each pattern at the paths that have an entry of their own.
    fn chains(&mut self, follows: &BTreeMap<String, String>) {
        let mut circles: BTreeSet<Vec<&str>> = BTreeSet::new();
        let mut too_long: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for start in follows.keys() {
            let places = follows.keys().filter_map(|path| at_the_place_of(start, path));
            for place in std::iter::once(start.clone()).chain(places) {
                match walk(follows, place) {
                    Chain::Circle(circle) => {
                        circles.insert(circle);
                    }
                    Chain::Ends(chain) if chain.len() > CHAIN_MAX => {
                        too_long.entry(start).or_insert(chain);
                    }
                    Chain::Ends(_) => {}
                }
            }
        }
        for circle in circles {
            let text = format!(
                "Attributes follow each other in a circle: {} -> {}. Give one of them another rule.",
                circle.join(" -> "),
                circle[0]
            );
            self.fault(entry("follows", circle[0]), "follow-cycle", text);
        }
        for (start, chain) in too_long {
            let text = format!(
                "The attributes that follow each other are more than {CHAIN_MAX}: {}. Let this one \
                 follow a later one.",
                chain.join(" -> ")
            );
            self.fault(entry("follows", start), "follow-too-long", text);
        }
    }
}

/// Where the entries lead from one path on, by their keys.
enum Chain<'a> {
    /// To one whose attribute follows none.
    Ends(Vec<&'a str>),
    /// Round these, the first in order first.
    Circle(Vec<&'a str>),
}

fn walk(follows: &BTreeMap<String, String>, start: String) -> Chain<'_> {
    let mut keys = Vec::new();
    let mut paths: Vec<String> = Vec::new();
    let mut path = start;
    while let Some((key, next)) = further(follows, &path) {
        if let Some(first) = paths.iter().position(|before| *before == path) {
            let mut circle = keys.split_off(first);
            let least = (0..circle.len()).min_by_key(|place| circle[*place]);
            circle.rotate_left(least.unwrap_or_default());
            return Chain::Circle(circle);
        }
        paths.push(path);
        keys.push(key);
        path = next;
    }
    Chain::Ends(keys)
}

/// The entry that decides whom the attribute at a path follows, and the path that it follows there; an
/// entry for a path counts before one for the pattern. The path may have placeholders left.
fn further<'a>(follows: &'a BTreeMap<String, String>, path: &str) -> Option<(&'a str, String)> {
    let pattern = pattern_of(path).unwrap_or_default();
    let entry = follows.get_key_value(path).or_else(|| follows.get_key_value(pattern));
    entry.map(|(key, followed)| (key.as_str(), filled(followed, pattern, path)))
}

/// A pattern at the place that a single path names: its placeholders filled as far as they are named
/// there; `None` where the path is a pattern itself or names none of them.
fn at_the_place_of(pattern: &str, path: &str) -> Option<String> {
    let named = pattern_of(path)?;
    let at = filled(pattern, named, path);
    (named != path && at != pattern).then_some(at)
}

/// The pattern of a path that may have placeholders left.
fn pattern_of(path: &str) -> Option<&'static str> {
    if let Ok(attribute) = attribute_named(path) {
        return Some(attribute.pattern);
    }
    let fits = |pattern: &str| {
        pattern.split('/').count() == path.split('/').count()
            && (pattern.split('/').zip(path.split('/')))
                .all(|(name, said)| name == said || name.starts_with('{'))
    };
    attribute::table().iter().map(|attribute| attribute.pattern).find(|pattern| fits(pattern))
}

/// A text with the placeholders of a pattern replaced by what stands for them in a path.
fn filled(text: &str, pattern: &str, path: &str) -> String {
    let stands_for = |segment: &str| {
        let mut pairs = pattern.split('/').zip(path.split('/'));
        pairs.find(|(name, _)| *name == segment).map(|(_, said)| said.to_owned())
    };
    let fill = |segment: &str| match segment.starts_with('{') {
        true => stands_for(segment).unwrap_or_else(|| segment.to_owned()),
        false => segment.to_owned(),
    };
    text.split('/').map(fill).collect::<Vec<_>>().join("/")
}

fn placeholders(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('/').filter(|segment| segment.starts_with('{'))
}
