//! Explanations in words: one sentence for every claim that did not survive, for a clerk to read.

use std::fmt;

use super::{Candidate, Loser, LossReason, Resolution};
use crate::attribute;
use crate::path::AttributePath;
use crate::policy::Rule;
use crate::value::{Scalar, Value};

/// The most characters of a value that a sentence repeats.
const SHOWN_MAX: usize = 80;

impl Loser {
    /// Why this claim on `path` does not show, for a clerk. `resolution` is the one it lost in.
    ///
    /// For example: `NT60 of crm-amer (AMER) lost to NT30 of erp-emea (EMEA): EMEA, the owner of
    /// company code 1000, decides on payment terms.`
    #[must_use]
    pub fn sentence(&self, path: &AttributePath, resolution: &Resolution) -> String {
        let claim = &self.candidate;
        let winner = resolution.winner.as_ref();
        let other = winner.map_or_else(|| "another claim".to_owned(), Candidate::to_string);
        let lost = |why: &str| format!("{claim} lost to {other}: {why}.");
        let out = |why: &str| format!("{claim} does not take part: {why}.");
        match &self.reason {
            LossReason::Agrees => format!("{claim} says the same as {other}."),
            LossReason::Superseded => {
                lost("a claim that still stands was made by someone who had seen it")
            }
            LossReason::Older => match winner.map(|winner| winner.origin.time) {
                Some(time) => lost(&format!(
                    "they were made apart, and the other one was made later, at {time}"
                )),
                None => lost("they were made apart, and the other is later"),
            },
            LossReason::LowerPriority => {
                let best = winner.map_or("another kind", |winner| winner.source.kind());
                lost(&format!("the source {best} ranks above {}", claim.source.kind()))
            }
            LossReason::NotOwner if winner.is_none() => format!(
                "{claim} does not take effect: {}, and has stated nothing.",
                owner_decides(path, resolution)
            ),
            LossReason::NotOwner => lost(&owner_decides(path, resolution)),
            LossReason::LessConservative => match resolution.rule {
                Rule::Least | Rule::OwnerElseLeast => lost("the lower one counts"),
                Rule::LastWriter
                | Rule::SourcePriority
                | Rule::Owner
                | Rule::AddWins
                | Rule::Greatest
                | Rule::LatestElseGreatest
                | Rule::AnyBlock
                | Rule::Oldest
                | Rule::MostFrequent
                | Rule::MostComplete
                | Rule::Follow
                | Rule::Override => lost("the more conservative one counts"),
            },
            LossReason::NotComparable => {
                lost("the two cannot be compared, so the one that stood first stays")
            }
            LossReason::AlsoBlocks => {
                format!("{claim} blocks as well. Shown is the block that was set first, {other}.")
            }
            LossReason::Overridden => lost("a steward's override stands"),
            LossReason::SourceChanged => {
                out("it stood until a source said something new, and one has")
            }
            LossReason::Newer => lost("the oldest claim counts"),
            LossReason::Rarer => lost("more sources say so"),
            LossReason::LessComplete => lost("the other one says more"),
            LossReason::NotFollowed => {
                let leader = winner.map_or("another source", |winner| winner.source.as_str());
                lost(&format!("{leader} decides here as on the attribute that this one follows"))
            }
            LossReason::Released => out("it was lifted by someone who had seen it"),
            LossReason::ItemMissing => out("what it belongs to is not there on this day"),
            LossReason::NotValid => out("it does not hold on this day"),
            LossReason::Succeeded => {
                out(&format!("{} states another value from a later day on", claim.source))
            }
            LossReason::Surplus => out(&format!(
                "{} has too many claims on this attribute, and only its latest count",
                claim.origin.region
            )),
            LossReason::Invalid { text } => out(text.trim_end_matches('.')),
        }
    }
}

/// `EMEA, the owner of company code 1000, decides on payment terms`.
fn owner_decides(path: &AttributePath, resolution: &Resolution) -> String {
    let segments = path.segments();
    let of = match segments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["company", code, _, ..] => format!("the owner of company code {code}"),
        ["sales", area, _, ..] => format!("the owner of sales area {area}"),
        ["credit", segment, _, ..] => format!("the owner of credit segment {segment}"),
        _ => "the customer's owner".to_owned(),
    };
    let title = attribute::lookup(path).map_or_else(|| path.to_string(), |row| lower(row.title));
    match &resolution.owner {
        Some(owner) => format!("{owner}, {of}, decides on {title}"),
        None => format!("{of} decides on {title}"),
    }
}

/// A title inside a sentence: `Payment terms` begins small, `D-U-N-S number` does not.
fn lower(title: &str) -> String {
    let mut letters = title.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain(title.chars().skip(1)).collect()
        }
        _ => title.to_owned(),
    }
}

/// `NT60 of crm-amer (AMER)`.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.value, &self.raw) {
            (Some(value), _) => f.write_str(&cut(&in_words(value)))?,
            (None, Some(raw)) => f.write_str(&cut(raw))?,
            (None, None) => f.write_str("An unreadable claim")?,
        }
        write!(f, " of {} ({})", self.source, self.origin.region)
    }
}

fn in_words(value: &Value) -> String {
    match (value, value.member("amount"), value.member("currency")) {
        (Value::One(scalar), _, _) => scalar_in_words(scalar),
        (_, Some(Scalar::Int(amount)), Some(Scalar::Text(currency))) => money(*amount, currency),
        (Value::Group(members), _, _) => {
            let member = |(name, scalar)| format!("{name} {}", scalar_in_words(scalar));
            members.iter().map(member).collect::<Vec<_>>().join(", ")
        }
    }
}

fn scalar_in_words(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Bool(true) => "yes".to_owned(),
        Scalar::Bool(false) => "no".to_owned(),
        Scalar::Int(number) => number.to_string(),
        Scalar::Text(text) => text.clone(),
    }
}

/// An amount in minor units as people write it: `EUR 5000.00`.
fn money(amount: i64, currency: &str) -> String {
    let known = iso_currency::Currency::from_code(currency);
    let digits = known.and_then(iso_currency::Currency::exponent).unwrap_or(0);
    let amount = rust_decimal::Decimal::new(amount, u32::from(digits));
    format!("{currency} {amount}")
}

/// Somebody else's text on one line of bounded length.
fn cut(text: &str) -> String {
    let one_line = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(SHOWN_MAX).map(one_line).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}
