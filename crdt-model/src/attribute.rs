//! The attribute table of the canonical customer record.

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
