//! The sections on where and how the customer is reached: addresses, contact points, contacts.

use super::super::{Attribute, KeyType, ValueType};
use super::{member, plain, required};

const LABEL: ValueType = ValueType::Text(60);

pub(super) const ATTRIBUTES: &[Attribute] = &[
    plain(
        "address/{id}",
        "Address",
        ValueType::Group(&[
            member("name", ValueType::Text(120)),
            member("line1", ValueType::Text(120)),
            member("line2", ValueType::Text(120)),
            member("line3", ValueType::Text(120)),
            member("street", ValueType::Text(120)),
            member("house_number", ValueType::Text(20)),
            member("po_box", ValueType::Text(20)),
            member("postcode", ValueType::Text(16)),
            member("city", ValueType::Text(80)),
            member("district", ValueType::Text(80)),
            member("region", ValueType::Text(80)),
            required("country", ValueType::Country),
        ]),
    )
    .keyed(&[KeyType::Id])
    .per("UBL 2.1, ISO 3166-1"),
    plain("address/{id}/usage/{usage}", "Use of the address", ValueType::Present)
        .keyed(&[KeyType::Id, KeyType::Usage]),
    plain(
        "address/{id}/validation",
        "Validation of the address",
        ValueType::Group(&[
            required("state", ValueType::Ranked(&["valid", "unvalidated", "invalid"])),
            member("on", ValueType::Date),
            member("service", ValueType::Text(64)),
            member("latitude", ValueType::Decimal(-90, 90)),
            member("longitude", ValueType::Decimal(-180, 180)),
        ]),
    )
    .keyed(&[KeyType::Id])
    .per("WGS 84"),
    plain("address_for/{usage}", "Address to use for", ValueType::ItemId).keyed(&[KeyType::Usage]),
    plain(
        "phone/{number}",
        "Telephone number",
        ValueType::Group(&[
            required("number", ValueType::Phone),
            member("kind", ValueType::Word(&["voice", "mobile", "fax", "pager"])),
            member("label", LABEL),
        ]),
    )
    .keyed(&[KeyType::Phone])
    .per("ITU-T E.164"),
    plain(
        "email/{address}",
        "E-mail address",
        ValueType::Group(&[
            required("address", ValueType::Email),
            member("kind", ValueType::Word(&["general", "invoice", "dunning", "order"])),
            member("label", LABEL),
        ]),
    )
    .keyed(&[KeyType::Email])
    .per("RFC 5321, RFC 6531"),
    plain(
        "contact/{id}",
        "Contact person",
        ValueType::Group(&[
            member("given", ValueType::Text(120)),
            required("family", ValueType::Text(120)),
            member("prefix", ValueType::Text(40)),
            member("suffix", ValueType::Text(40)),
            member("role", ValueType::Text(80)),
            member("department", ValueType::Text(80)),
            member("phone", ValueType::Phone),
            member("email", ValueType::Email),
            member("language", ValueType::Language),
        ]),
    )
    .keyed(&[KeyType::Id])
    .per("RFC 6350"),
];
