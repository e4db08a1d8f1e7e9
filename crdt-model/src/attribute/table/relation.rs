//! The sections on relations, consent and compliance, and the attributes that customers define.

use super::super::{Attribute, KeyType, ValueType};
use super::{BLOCK, CODE, member, plain, required};

/// Who is on a list of sanctioned or politically exposed persons.
const SCREENING: ValueType = ValueType::Ranked(&["clear", "hit", "confirmed"]);

/// What customers define takes plain text.
const DEFINED: ValueType = ValueType::Text(2_000);

pub(super) const ATTRIBUTES: &[Attribute] = &[
    plain(
        "relation/parent",
        "Parent",
        ValueType::Group(&[
            required("customer", ValueType::Record),
            member("share", ValueType::Decimal(0, 100)),
        ]),
    ),
    plain(
        "relation/vendor/{id}",
        "Vendor account",
        ValueType::Group(&[
            required("system", ValueType::Code(32)),
            required("id", ValueType::Text(64)),
            member("role", CODE),
        ]),
    )
    .keyed(&[KeyType::Vendor]),
    plain(
        "relation/other/{id}",
        "Other relation",
        ValueType::Group(&[
            required("type", CODE),
            required("customer", ValueType::Record),
            member("note", ValueType::Text(240)),
        ]),
    )
    .keyed(&[KeyType::Id]),
    plain(
        "consent/{purpose}",
        "Consent",
        ValueType::Group(&[
            required("state", ValueType::Ranked(&["granted", "withdrawn"])),
            member("channel", CODE),
            member("basis", CODE),
            member("on", ValueType::Date),
            member("evidence", ValueType::Text(240)),
        ]),
    )
    .keyed(&[KeyType::Scheme])
    .per("GDPR art. 6, 7")
    .compliance(),
    plain("legal_hold/{id}", "Legal hold", ValueType::Group(BLOCK))
        .keyed(&[KeyType::Id])
        .compliance(),
    plain("compliance/sanctions", "Sanctions screening", SCREENING).compliance(),
    plain("compliance/exposed_person", "Politically exposed person", SCREENING).compliance(),
    plain("compliance/retention_class", "Retention class", CODE).compliance(),
    plain("compliance/retention_until", "Keep until", ValueType::Date).compliance(),
    plain("compliance/end_of_purpose/{region}", "End of purpose in a region", ValueType::Date)
        .keyed(&[KeyType::Region])
        .compliance(),
    // Residency narrows when regions differ: what each one excludes is excluded.
    plain("compliance/excluded_region/{region}", "Not to be kept in", ValueType::Present)
        .keyed(&[KeyType::Region])
        .compliance(),
    plain("x/{a}", "Own attribute", DEFINED).keyed(&[KeyType::Defined]),
    plain("x/{a}/{b}", "Own attribute", DEFINED).keyed(&[KeyType::Defined, KeyType::Defined]),
    plain("x/{a}/{b}/{c}", "Own attribute", DEFINED).keyed(&[
        KeyType::Defined,
        KeyType::Defined,
        KeyType::Defined,
    ]),
];
