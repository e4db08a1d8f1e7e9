//! The attribute table of the canonical customer record.

use std::cmp::Ordering;

use crate::path::AttributePath;
use crate::value::{Assertion, Scalar, Value};

/// What kind of value an attribute takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// Text of up to so many characters after NFC normalisation and trimming.
    Text(usize),
    /// A code of up to so many characters: letters, digits, `_`, `-`, `.`; which codes exist is
    /// governed by code lists.
    Code(usize),
    /// One of these words, from the least to the most conservative.
    Ranked(&'static [&'static str]),
    /// True or false.
    Bool,
    /// A whole number in this range.
    Int(i64, i64),
    /// A day, ISO 8601 `YYYY-MM-DD`.
    Date,
    /// A country, ISO 3166-1 alpha-2.
    Country,
    /// A currency, ISO 4217.
    Currency,
    /// A language tag, BCP 47.
    Language,
    /// A web address (http or https).
    Url,
    /// An e-mail address, RFC 5321, its domain in lower case.
    Email,
    /// A telephone number, E.164 with optional `;ext=`.
    Phone,
    /// A bank account number, ISO 13616.
    Iban,
    /// A bank, ISO 9362.
    Bic,
    /// A legal entity identifier, ISO 17442.
    Lei,
    /// A D-U-N-S number: nine digits.
    Duns,
    /// A GS1 global location number: thirteen digits with check digit.
    Gln,
    /// A reference to another customer record.
    Record,
    /// Members that survive together.
    Group(&'static [Member]),
}

/// One member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its name in the JSON object.
    pub name: &'static str,
    /// What it takes; never a group.
    pub value: ValueType,
    /// Whether a group without it is refused.
    pub required: bool,
}

/// What is at stake: lint rules and access follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Descriptive data.
    Ordinary,
    /// Decides what is paid, by whom, when and to which account.
    Money,
    /// Decides what is allowed.
    Compliance,
}

/// One row of the attribute table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// The path with placeholders, for example `company/{company_code}/payment_terms`.
    pub pattern: &'static str,
    /// What a clerk calls it.
    pub title: &'static str,
    /// What it takes.
    pub value: ValueType,
    /// What is at stake.
    pub class: Class,
    /// The standard or register that defines it; empty when it is plain business data.
    pub standard: &'static str,
}

const fn row(
    pattern: &'static str,
    title: &'static str,
    value: ValueType,
    class: Class,
) -> Attribute {
    Attribute { pattern, title, value, class, standard: "" }
}

const fn member(name: &'static str, value: ValueType, required: bool) -> Member {
    Member { name, value, required }
}

const BLOCK: ValueType = ValueType::Group(&[
    member("reason", ValueType::Text(120), true),
    member("until", ValueType::Date, false),
]);
const MONEY: ValueType = ValueType::Group(&[
    member("amount", ValueType::Int(0, 1 << 52), true),
    member("currency", ValueType::Currency, true),
]);

static TABLE: &[Attribute] = &[
    row("identity/home_region", "Home region", ValueType::Code(16), Class::Compliance),
    row("identity/account_group", "Account group", ValueType::Code(32), Class::Money),
    row("name/legal", "Legal name", ValueType::Text(240), Class::Ordinary),
    row("general/language", "Language of correspondence", ValueType::Language, Class::Ordinary),
    row(
        "email/{address}",
        "E-mail address",
        ValueType::Group(&[
            member("address", ValueType::Email, true),
            member("label", ValueType::Text(60), false),
        ]),
        Class::Ordinary,
    ),
    row("company/{company_code}/payment_terms", "Payment terms", ValueType::Code(32), Class::Money),
    row("company/{company_code}/payment_block", "Payment block", BLOCK, Class::Money),
    row(
        "company/{company_code}/legal_dunning_since",
        "Legal dunning since",
        ValueType::Date,
        Class::Money,
    ),
    row(
        "company/{company_code}/clearing_with_vendor",
        "Clearing with vendor",
        ValueType::Bool,
        Class::Money,
    ),
    row("credit/{segment}/limit", "Credit limit", MONEY, Class::Money),
    row(
        "credit/{segment}/risk_class",
        "Risk class",
        ValueType::Ranked(&["very-low", "low", "medium", "high", "very-high"]),
        Class::Money,
    ),
];

/// Every attribute.
#[must_use]
pub fn table() -> &'static [Attribute] {
    TABLE
}

/// The attribute that a path names.
#[must_use]
pub fn lookup(path: &AttributePath) -> Option<&'static Attribute> {
    let is_match = |pattern: &str| {
        let (pattern, path) = (pattern.split('/'), path.as_str().split('/'));
        pattern.clone().count() == path.clone().count()
            && pattern.zip(path).all(|(a, b)| a.starts_with('{') || a == b)
    };
    TABLE.iter().find(|row| is_match(row.pattern))
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// For programs.
    pub code: &'static str,
    /// Where.
    pub pointer: String,
    /// For people.
    pub text: String,
}

impl Attribute {
    /// Judges a claim.
    ///
    /// # Errors
    /// The first fault.
    pub fn check(&self, path: &AttributePath, assertion: &Assertion) -> Result<(), Fault> {
        let holds = match assertion {
            Assertion::Tombstone => true,
            Assertion::Release { .. } => self.value == BLOCK || self.pattern.ends_with('}'),
            Assertion::Stated(statement) => match (&statement.value, self.value) {
                (Value::Group(members), ValueType::Group(known)) => {
                    known.iter().all(|member| !member.required || members.contains_key(member.name))
                }
                (Value::One(Scalar::Text(text)), ValueType::Ranked(words)) => {
                    words.contains(&text.as_str())
                }
                (Value::One(Scalar::Text(text)), ValueType::Date) => text.len() == 10,
                (Value::One(Scalar::Text(text)), ValueType::Code(_)) => {
                    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
                }
                (Value::One(Scalar::Text(_)), ValueType::Text(_) | ValueType::Language) => true,
                (Value::One(Scalar::Bool(_)), ValueType::Bool) => true,
                _ => false,
            },
        };
        let fault = Fault { code: "wrong-type", pointer: path.to_string(), text: "Wrong.".into() };
        if holds { Ok(()) } else { Err(fault) }
    }

    /// The conservative order.
    #[must_use]
    pub fn compare(&self, a: &Value, b: &Value) -> Option<Ordering> {
        match (a, b, self.value) {
            (Value::Group(_), Value::Group(_), _) => {
                let (Scalar::Int(x), Scalar::Int(y)) = (a.member("amount")?, b.member("amount")?)
                else {
                    return None;
                };
                (a.member("currency") == b.member("currency")).then(|| x.cmp(y))
            }
            (Value::One(a), Value::One(b), ValueType::Bool | ValueType::Date) => Some(a.cmp(b)),
            (
                Value::One(Scalar::Text(a)),
                Value::One(Scalar::Text(b)),
                ValueType::Ranked(words),
            ) => {
                let rank = |text: &String| words.iter().position(|word| word == text);
                Some(rank(a)?.cmp(&rank(b)?))
            }
            _ => (a == b).then_some(Ordering::Equal),
        }
    }
}
