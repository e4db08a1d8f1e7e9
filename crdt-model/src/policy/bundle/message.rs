//! What a reader of TOML says, in words for a governor: the key or word that is wrong, and the nearest
//! that would be right.
//!
//! The phrases are serde's. One that is not known here is passed on as it is.

use crate::attribute::quote;
use crate::normalize::nearest;

/// The most known words that a message lists when none is near.
const LISTED_MAX: usize = 20;

/// A message of the reader as a sentence for people.
pub(super) fn plain(message: &str) -> String {
    let message = message.trim();
    let rest = |prefix: &str| message.strip_prefix(prefix);
    if let Some(rest) = rest("unknown field ") {
        return unknown("a key", rest);
    }
    if let Some(rest) = rest("unknown variant ") {
        return unknown("a word", rest);
    }
    if message == "missing field `version`" {
        return "The policy has no version. Write version = 2, or one more than the version in force."
            .to_owned();
    }
    if let Some(rest) = rest("missing field ") {
        return format!("The key {} is missing in this table.", rest.replace('`', "\""));
    }
    let found = rest("invalid type: ").or_else(|| rest("invalid value: "));
    match found.and_then(|found| found.rsplit_once(", expected ")) {
        Some((found, expected)) => {
            format!("Here stands {}; write {}.", article(found), in_words(expected))
        }
        None => sentence(message),
    }
}

/// `` `x`, expected one of `a`, `b` `` as a sentence with the nearest of them.
fn unknown(what: &str, rest: &str) -> String {
    let mut named = rest.split('`').skip(1).step_by(2);
    let written = named.next().unwrap_or_default();
    let known: Vec<&str> = named.collect();
    let hint = match nearest(written, &known) {
        Some(near) => format!(" Did you mean {near}?"),
        None if known.is_empty() => String::new(),
        None if known.len() > LISTED_MAX => {
            format!(" Known are {}, …", known[..LISTED_MAX].join(", "))
        }
        None => format!(" Known are {}.", known.join(", ")),
    };
    format!("{} is not {what} that the policy has here.{hint}", quote(written))
}

/// What serde calls a type, in words.
fn in_words(expected: &str) -> String {
    let words = match expected {
        "u8" => "a whole number from 0 to 255",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number, 0 or more",
        "a string" => "a text in quotation marks",
        "a boolean" => "true or false",
        "a map" => "a table",
        "a sequence" => "a list in brackets",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    words.to_owned()
}

fn article(found: &str) -> String {
    let words = match found {
        "map" => "a table",
        "sequence" => "a list",
        other => {
            let vowel = other.starts_with(['a', 'e', 'i', 'o', 'u']);
            return format!("{} {}", if vowel { "an" } else { "a" }, other.replace('`', ""));
        }
    };
    words.to_owned()
}

/// Some other message, one line, with a capital and a full stop.
fn sentence(message: &str) -> String {
    let line = message.replace('\n', "; ");
    let mut chars = line.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if line.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}
