//! One path of every kind of attribute, and what sources say about it: what is valid, which value is
//! the greater one and which says more, all judged by hand.

use jiff::civil::{Date, date};

/// Eight sources; the second half of a name is no more than a name here.
pub(super) const SOURCES: [&str; 8] =
    ["register-de", "manual-amer", "erp-emea", "erp-amer", "erp-apac", "crm", "web", "bot"];

/// What a source may say about one path.
#[derive(Debug)]
pub(super) struct Samples {
    pub(super) path: &'static str,
    /// Whether this release knows the attribute.
    pub(super) known: bool,
    pub(super) releasable: bool,
    pub(super) says: &'static [Sample],
}

#[derive(Debug)]
pub(super) struct Sample {
    pub(super) cell: &'static str,
    pub(super) valid: bool,
    /// Values of one class compare with each other, by rank.
    pub(super) class: u8,
    pub(super) rank: i32,
    /// Members of a group, characters of a text.
    pub(super) size: usize,
    /// The day after which a block stands no longer.
    pub(super) until: Option<u8>,
}

/// The days on which anything happens.
pub(super) fn day(number: u8) -> Date {
    date(2026, 2, 1) + jiff::Span::new().days(i64::from(number))
}

const fn value(cell: &'static str, class: u8, rank: i32, size: usize) -> Sample {
    Sample { cell, valid: true, class, rank, size, until: None }
}

/// A value that compares with no other.
const fn apart(cell: &'static str, class: u8, size: usize) -> Sample {
    value(cell, class, 0, size)
}

const fn invalid(cell: &'static str) -> Sample {
    Sample { cell, valid: false, class: 0, rank: 0, size: 0, until: None }
}

const fn plain(path: &'static str, says: &'static [Sample]) -> Samples {
    Samples { path, known: true, releasable: false, says }
}

const fn item(path: &'static str, says: &'static [Sample]) -> Samples {
    Samples { releasable: true, ..plain(path, says) }
}

const BLOCKS: &[Sample] = &[
    apart(r#"{"reason":"insolvency"}"#, 0, 1),
    apart(r#"{"reason":"dispute"}"#, 1, 1),
    Sample { until: Some(3), ..apart(r#"{"reason":"dispute","until":"2026-02-04"}"#, 2, 2) },
    invalid(r#"{"until":"2026-02-04"}"#),
];

pub(super) const SAMPLES: [Samples; 23] = [
    plain("identity/home_region", &[apart("EMEA", 0, 4), apart("AMER", 1, 4), apart("APAC", 2, 4)]),
    plain("identity/account_group", &[apart("KEY", 0, 3), apart("RETAIL", 1, 6)]),
    plain(
        "identity/status",
        &[
            value("prospect", 0, 0, 8),
            value("active", 0, 1, 6),
            value("archived", 0, 3, 8),
            invalid("gone"),
        ],
    ),
    plain("name/legal", &[apart("ACME", 0, 4), apart("Müller AG", 1, 9), apart("Muller AG", 2, 9)]),
    plain(
        "name/person",
        &[
            apart(r#"{"family":"Lovelace","given":"Ada"}"#, 0, 2),
            apart(r#"{"family":"King"}"#, 1, 1),
            invalid(r#"{"given":"Ada"}"#),
        ],
    ),
    plain("general/language", &[apart("de", 0, 2), apart("en-GB", 1, 5), invalid("no language")]),
    plain(
        "general/website",
        &[apart("https://a.example", 0, 17), apart("https://b.example", 1, 17)],
    ),
    plain("general/established_on", &[apart("2004", 0, 4), apart("2004-05", 1, 7), invalid("May")]),
    item(
        "email/ann%40acme.example",
        &[
            apart(r#"{"address":"ann@acme.example"}"#, 0, 1),
            apart(r#"{"address":"ann@acme.example","label":"Ann"}"#, 1, 2),
            invalid(r#"{"address":"bob@acme.example"}"#),
        ],
    ),
    item(
        "tax_id/DE:VAT:DE136695976",
        &[
            apart(r#"{"country":"DE","number":"DE136695976","type":"VAT"}"#, 0, 3),
            invalid(r#"{"country":"DE","number":"DE136695977","type":"VAT"}"#),
        ],
    ),
    plain(
        "tax_id/DE:VAT:DE136695976/verification",
        &[
            value(r#"{"state":"verified"}"#, 0, 0, 1),
            value(r#"{"on":"2026-01-01","state":"verified"}"#, 0, 0, 2),
            value(r#"{"state":"failed"}"#, 0, 2, 1),
        ],
    ),
    plain(
        "company/1000/payment_terms",
        &[apart("NT30", 0, 4), apart("NT60", 1, 4), invalid("net 30")],
    ),
    item("company/1000/payment_methods/T", &[apart("true", 0, 0), invalid("false")]),
    item("company/1000/payment_block", BLOCKS),
    plain("company/1000/dunning", &[apart(r#"{"level":1}"#, 0, 1), apart(r#"{"level":4}"#, 1, 1)]),
    plain(
        "company/1000/legal_dunning_since",
        &[
            value("2026-01-02", 0, 2, 10),
            value("2026-01-01", 0, 1, 10),
            value("2026-01-03", 0, 3, 10),
        ],
    ),
    plain("company/1000/clearing_with_vendor", &[value("true", 0, 1, 0), value("false", 0, 0, 0)]),
    item(
        "company/1000/withholding_tax/W1",
        &[apart(r#"{"code":"01"}"#, 0, 1), apart(r#"{"code":"02"}"#, 1, 1)],
    ),
    plain(
        "credit/EU01/limit",
        &[
            value(r#"{"amount":500,"currency":"EUR"}"#, 0, 500, 2),
            value(r#"{"amount":300,"currency":"EUR"}"#, 0, 300, 2),
            value(r#"{"amount":9,"currency":"USD"}"#, 1, 9, 2),
            invalid(r#"{"amount":-1,"currency":"EUR"}"#),
        ],
    ),
    plain(
        "credit/EU01/score",
        &[value("250", 0, 250, 3), value("90.5", 0, 90, 4), value("700", 0, 700, 3)],
    ),
    item("legal_hold/h1", BLOCKS),
    plain("x/fleet", &[apart("12", 0, 2), apart("twelve", 1, 6)]),
    Samples { known: false, ..item("moon/phase", &[apart("full", 0, 4), apart("new", 1, 3)]) },
];
