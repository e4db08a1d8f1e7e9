//! The sections on who the customer is: identity, names, general data and identifiers.

use super::super::{Attribute, KeyType, ValueType};
use super::{CODE, member, plain, required};
use crate::limits::INT_MAX;

pub(super) const ATTRIBUTES: &[Attribute] = &[
    plain("identity/customer_number/{number}", "Customer number", ValueType::Present)
        .keyed(&[KeyType::Code]),
    plain("identity/home_region", "Home region", ValueType::Region).compliance(),
    plain("identity/party_kind", "Kind of party", ValueType::Word(&["organisation", "person"])),
    plain("identity/account_group", "Account group", CODE).per("code list").money(),
    plain(
        "identity/status",
        "Status",
        ValueType::Ranked(&["prospect", "active", "inactive", "archived"]),
    )
    .compliance(),
    plain("name/legal", "Legal name", ValueType::Text(240)),
    plain(
        "name/local",
        "Name in the local script",
        ValueType::Group(&[
            required("name", ValueType::Text(240)),
            member("script", ValueType::Code(4)),
            member("language", ValueType::Language),
        ]),
    )
    .per("ISO 15924, BCP 47"),
    plain("name/trading/{name}", "Trading name", ValueType::Text(240)).keyed(&[KeyType::Name]),
    plain(
        "name/person",
        "Name of a person",
        ValueType::Group(&[
            member("given", ValueType::Text(120)),
            required("family", ValueType::Text(120)),
            member("prefix", ValueType::Text(40)),
            member("suffix", ValueType::Text(40)),
        ]),
    )
    .per("RFC 6350"),
    plain("general/legal_form", "Legal form", ValueType::Code(8)).per("ISO 20275"),
    plain("general/language", "Language of correspondence", ValueType::Language).per("BCP 47"),
    plain("general/industry/{scheme}", "Industry", ValueType::Code(16))
        .keyed(&[KeyType::Scheme])
        .per("ISIC, NACE, NAICS"),
    plain("general/website", "Website", ValueType::Url),
    plain("general/established_on", "Established on", ValueType::PartialDate).per("ISO 8601"),
    plain(
        "general/size",
        "Size",
        ValueType::Group(&[
            member("class", ValueType::Code(16)),
            member("employees", ValueType::Int(0, INT_MAX)),
            member("turnover", ValueType::Money(0)),
            member("currency", ValueType::Currency),
            member("year", ValueType::Int(1, 9999)),
        ]),
    ),
    plain("general/note/{id}", "Note", ValueType::Prose(10_000)).keyed(&[KeyType::Id]),
    plain(
        "general/preferred_channel",
        "Preferred channel",
        ValueType::Word(&["email", "phone", "post", "portal"]),
    ),
    plain(
        "tax_id/{id}",
        "Tax id",
        ValueType::Group(&[
            required("country", ValueType::Country),
            required("type", ValueType::Code(10)),
            required("number", ValueType::Text(32)),
        ]),
    )
    .keyed(&[KeyType::TaxId])
    .per("EU VAT directive, national"),
    plain(
        "tax_id/{id}/verification",
        "Verification of the tax id",
        ValueType::Group(&[
            required("state", ValueType::Ranked(&["verified", "unverified", "failed"])),
            member("on", ValueType::Date),
            member("service", ValueType::Text(64)),
            member("request", ValueType::Text(64)),
        ]),
    )
    .keyed(&[KeyType::TaxId]),
    plain("identifier/lei", "Legal entity identifier", ValueType::Lei).per("ISO 17442"),
    plain("identifier/duns", "D-U-N-S number", ValueType::Duns),
    plain("identifier/gln", "Global location number", ValueType::Gln).per("GS1"),
    plain(
        "identifier/register/{id}",
        "Business register entry",
        ValueType::Group(&[
            required("register", ValueType::Code(8)),
            required("number", ValueType::Text(64)),
            member("court", ValueType::Text(120)),
        ]),
    )
    .keyed(&[KeyType::Register])
    .per("GLEIF registration authorities"),
    plain("identifier/endpoint/{scheme}", "Electronic invoice address", ValueType::Text(120))
        .keyed(&[KeyType::Endpoint])
        .per("ISO 6523, EAS"),
    plain(
        "xref/{id}",
        "Key in another system",
        ValueType::Group(&[
            required("system", ValueType::Code(32)),
            member("client", ValueType::Code(16)),
            required("id", ValueType::Text(64)),
            member("active", ValueType::Bool),
        ]),
    )
    .keyed(&[KeyType::Xref]),
];
