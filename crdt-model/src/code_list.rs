//! Code lists: which codes there are, from when until when, and what other systems call them.
//!
//! A code list is a record like a customer, with claims, history and a golden record, so that it
//! replicates and is governed alike. Codes retire and never vanish: old records still name them.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::attribute::Attribute;
use crate::golden_record::{GoldenRecord, GoldenValue};
use crate::path::AttributePath;
use crate::policy::Policy;
use crate::value::{Scalar, Value};

/// The most bytes of the name of a code list.
pub const NAME_MAX: usize = 64;

/// A code list as it is shown, over all time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeList {
    /// Its name, for example `payment-terms` or `recon-accounts/1000`.
    pub name: String,
    /// What a clerk calls it.
    pub title: Option<String>,
    /// The codes, with what each says from when on.
    pub codes: BTreeMap<String, Vec<Entry>>,
    /// What other systems call the codes: by system, then by code.
    pub maps: BTreeMap<String, BTreeMap<String, String>>,
}

/// What a code says from a day on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The first day; none: since ever.
    pub from: Option<Date>,
    /// What it says; none: it is not to be used from then on.
    pub value: Option<Value>,
}

impl Entry {
    /// A member of what it says, as text.
    #[must_use]
    pub fn text(&self, member: &str) -> Option<&str> {
        match self.value.as_ref()?.member(member)? {
            Scalar::Text(text) => Some(text),
            Scalar::Bool(_) | Scalar::Int(_) => None,
        }
    }

    /// Whether it is blocked.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        let blocked = self.value.as_ref().and_then(|value| value.member("blocked"));
        blocked == Some(&Scalar::Bool(true))
    }
}

/// How a code stands on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It may be used.
    Valid(&'a Entry),
    /// It was valid and is not any more, since this day.
    Retired(Date),
    /// It will be valid from this day on.
    NotYet(Date),
    /// The list does not know it.
    Unknown,
}

/// Two codes that a system cannot tell apart: its word for both is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ambiguity {
    /// The system.
    pub system: String,
    /// Its word.
    pub word: String,
    /// The codes that it stands for, at least two.
    pub codes: Vec<String>,
}

impl CodeList {
    /// Reads the golden record of a code list.
    #[must_use]
    pub fn of(golden: &GoldenRecord) -> Self {
        let mut list = Self::default();
        for (path, values) in &golden.attributes {
            let segments = path.segments();
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            match segments[..] {
                ["code_list", "name"] => list.name = last_text(values).unwrap_or_default(),
                ["code_list", "title"] => list.title = last_text(values),
                ["code", code] => {
                    let entry = |value: &GoldenValue| Entry {
                        from: value.from,
                        value: value.value.as_deref().cloned(),
                    };
                    list.codes.insert(code.to_owned(), values.iter().map(entry).collect());
                }
                ["code_map", system, code] => {
                    if let Some(word) = last_text(values) {
                        let map = list.maps.entry(system.to_owned()).or_default();
                        map.insert(code.to_owned(), word);
                    }
                }
                _ => {}
            }
        }
        list
    }

    /// How a code stands on a day.
    #[must_use]
    pub fn standing(&self, code: &str, day: Date) -> Standing<'_> {
        let Some(entries) = self.codes.get(code) else { return Standing::Unknown };
        let begun = entries.partition_point(|entry| entry.from <= Some(day));
        let now = begun.checked_sub(1).and_then(|at| entries.get(at));
        match (now, entries.get(begun)) {
            (Some(entry), _) if entry.value.is_some() => Standing::Valid(entry),
            (Some(Entry { from: Some(since), .. }), _) => Standing::Retired(*since),
            (_, Some(Entry { from: Some(from), .. })) => Standing::NotYet(*from),
            (Some(_) | None, _) => Standing::Unknown,
        }
    }

    /// The codes most like one that is not known, the nearest first.
    #[must_use]
    pub fn nearest(&self, code: &str, most: usize) -> Vec<&str> {
        let slips =
            |known: &str| strsim::damerau_levenshtein(&code.to_lowercase(), &known.to_lowercase());
        let mut ranked: Vec<(usize, &str)> =
            self.codes.keys().map(|known| (slips(known), known.as_str())).collect();
        ranked.sort_unstable();
        ranked.into_iter().take(most).map(|(_, known)| known).collect()
    }

    /// What a system calls a code.
    #[must_use]
    pub fn outbound(&self, system: &str, code: &str) -> Option<&str> {
        self.maps.get(system)?.get(code).map(String::as_str)
    }

    /// The code that a system means by a word; none where the word stands for none or for several.
    #[must_use]
    pub fn inbound(&self, system: &str, word: &str) -> Option<&str> {
        let mut meant = self.maps.get(system)?.iter().filter(|(_, called)| *called == word);
        let (code, _) = meant.next()?;
        meant.next().is_none().then_some(code)
    }

    /// Where maps cannot be inverted: a system uses one word for several codes.
    #[must_use]
    pub fn ambiguities(&self) -> Vec<Ambiguity> {
        let mut found = Vec::new();
        for (system, map) in &self.maps {
            let mut meant: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for (code, word) in map {
                meant.entry(word).or_default().push(code.clone());
            }
            let several = meant.into_iter().filter(|(_, codes)| codes.len() > 1);
            found.extend(several.map(|(word, codes)| Ambiguity {
                system: system.clone(),
                word: word.to_owned(),
                codes,
            }));
        }
        found
    }
}

/// The list that governs the codes of an attribute: the policy's entry with the placeholders of the
/// path filled in, for example `recon-accounts/1000`.
#[must_use]
pub fn list_for(policy: &Policy, attribute: &Attribute, path: &AttributePath) -> Option<String> {
    let template = policy.codes.get(attribute.pattern)?;
    let mut name = template.clone();
    for (placeholder, segment) in attribute.placeholders(path) {
        name = name.replace(&format!("{{{placeholder}}}"), &segment);
    }
    Some(name)
}

/// Whether a text can name a code list: 1 to [`NAME_MAX`] letters, digits, `-`, `_`, `.` and `/`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    (1..=NAME_MAX).contains(&text.len()) && text.chars().all(allowed)
}

fn last_text(values: &[GoldenValue]) -> Option<String> {
    values.last()?.value.as_ref()?.as_text().map(str::to_owned)
}

#[cfg(test)]
mod tests;
