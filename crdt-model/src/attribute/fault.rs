//! Faults: what is wrong with a claim or an input, where, and what to do about it.

use serde::Serialize;

use crate::path::AttributePath;

/// The most characters of somebody else's text that a fault repeats.
const QUOTE_MAX: usize = 60;
/// The most characters of a pointer; a hostile key must not flood an answer.
const POINTER_MAX: usize = 512;

/// Every code that a [`Fault`] can carry, and what it means. Codes are stable: programs match on them.
///
/// | code | meaning |
/// |---|---|
/// | `attribute-unknown` | no attribute has this path |
/// | `bic-malformed` | not a BIC (ISO 9362) |
/// | `check-digit` | the check digit of a LEI, GLN or similar number is wrong |
/// | `code-malformed` | a code has other characters than letters, digits, `_`, `-`, `.` or is too long |
/// | `collection-too-large` | more items than a collection may have |
/// | `control-character` | a control or text direction character in a text |
/// | `country-unknown` | not a country of ISO 3166-1 |
/// | `currency-unknown` | not a currency of ISO 4217 |
/// | `date-malformed` | not a day of the calendar, written `YYYY-MM-DD` |
/// | `decimal-malformed` | not a decimal number with a dot |
/// | `duns-malformed` | not nine digits |
/// | `email-malformed` | not an e-mail address (RFC 5321) |
/// | `field-too-large` | the claim has more bytes than a field may have |
/// | `gln-malformed` | not thirteen digits |
/// | `governed` | a fact of governance: requests and overrides have their own endpoints |
/// | `group-empty` | an object without a single member |
/// | `iban-checksum` | the check digits of an IBAN are wrong |
/// | `iban-malformed` | not an IBAN (ISO 13616) of its country |
/// | `item-malformed` | the key of an item, such as a tax id or a sales area, has the wrong shape |
/// | `item-mismatch` | the key of an item and its value say different things |
/// | `item-twice` | two spellings of one item in one patch |
/// | `json-malformed` | not a canonical JSON object (RFC 8785) of the size allowed |
/// | `language-malformed` | not a language tag (BCP 47) |
/// | `lei-malformed` | not a legal entity identifier (ISO 17442) |
/// | `member-missing` | a group lacks a member that it needs |
/// | `member-unknown` | a group has no such member |
/// | `money-malformed` | not an amount of this currency |
/// | `name-reserved` | a name that describes a statement cannot name an attribute |
/// | `not-a-whole-number` | a whole number is asked for |
/// | `number-out-of-range` | the number is smaller or larger than the attribute allows |
/// | `path-too-long` | the path does not fit a claim key |
/// | `phone-malformed` | not a telephone number, or not one that its country can have |
/// | `record-malformed` | not a record id (UUID) |
/// | `record-too-large` | the record has more bytes than a record may have |
/// | `release-not-possible` | only blocks and items of a set can be released |
/// | `removal-too-wide` | `null` stands above several attributes: name the ones to remove |
/// | `text-empty` | an empty text; `null` removes |
/// | `text-too-long` | more characters than the attribute takes |
/// | `too-many-fields` | a patch sets more attributes than one request may |
/// | `url-malformed` | not an http or https address |
/// | `usage-unknown` | not a use of an address |
/// | `validity-order` | the validity ends before it starts |
/// | `vat-malformed` | not a VAT number of its country |
/// | `word-unknown` | not one of the words that the attribute takes |
/// | `wrong-type` | a text, number, boolean or object where another is asked for |
pub const CODES: [&str; 45] = [
    "attribute-unknown",
    "bic-malformed",
    "check-digit",
    "code-malformed",
    "collection-too-large",
    "control-character",
    "country-unknown",
    "currency-unknown",
    "date-malformed",
    "decimal-malformed",
    "duns-malformed",
    "email-malformed",
    "field-too-large",
    "gln-malformed",
    "governed",
    "group-empty",
    "iban-checksum",
    "iban-malformed",
    "item-malformed",
    "item-mismatch",
    "item-twice",
    "json-malformed",
    "language-malformed",
    "lei-malformed",
    "member-missing",
    "member-unknown",
    "money-malformed",
    "name-reserved",
    "not-a-whole-number",
    "number-out-of-range",
    "path-too-long",
    "phone-malformed",
    "record-malformed",
    "record-too-large",
    "release-not-possible",
    "removal-too-wide",
    "text-empty",
    "text-too-long",
    "too-many-fields",
    "url-malformed",
    "usage-unknown",
    "validity-order",
    "vat-malformed",
    "word-unknown",
    "wrong-type",
];

/// What is wrong with one attribute, where, and what to do. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{pointer}: {text}")]
pub struct Fault {
    /// What is wrong, for programs: one of [`CODES`].
    pub code: &'static str,
    /// Where, as a JSON pointer (RFC 6901) below the record.
    pub pointer: String,
    /// What is wrong and what to do, for a clerk.
    pub text: String,
}

/// A fault before it is known where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) code: &'static str,
    pub(crate) text: String,
}

impl Flaw {
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// Puts the flaw in its place.
    pub(crate) fn at(self, path: &AttributePath) -> Fault {
        Fault { code: self.code, pointer: pointer(&path.segments()), text: self.text }
    }

    /// Puts the flaw at a member of a group.
    pub(crate) fn at_member(self, path: &AttributePath, member: &str) -> Fault {
        let mut segments = path.segments();
        segments.push(member.to_owned());
        Fault { code: self.code, pointer: pointer(&segments), text: self.text }
    }

    /// Puts the flaw at a place in a JSON tree.
    pub(crate) fn at_keys(self, keys: &[String]) -> Fault {
        Fault { code: self.code, pointer: pointer(keys), text: self.text }
    }
}

/// The JSON pointer (RFC 6901) of a chain of keys.
pub(crate) fn pointer<S: AsRef<str>>(keys: &[S]) -> String {
    let mut pointer = String::new();
    for key in keys {
        pointer.push('/');
        pointer.push_str(&key.as_ref().replace('~', "~0").replace('/', "~1"));
    }
    match pointer.char_indices().nth(POINTER_MAX) {
        Some((end, _)) => pointer[..end].to_owned(),
        None => pointer,
    }
}

/// Somebody else's text as a fault repeats it: in quotes, escaped, cut.
pub(crate) fn quote(text: &str) -> String {
    let cut: String = text.chars().take(QUOTE_MAX).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("\"{}{more}\"", cut.escape_debug())
}
