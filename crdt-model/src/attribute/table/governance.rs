//! The facts of governance: requests, decisions on them, leases and overrides.
//!
//! They are claims of the customer's own document, and never attributes of the golden record: what
//! they do to it is told in [`crate::governance`]. They are written by the endpoints of requests and
//! overrides alone, so they are not part of [`table`](super::table()).

use super::super::{Attribute, KeyType, ValueType};
use super::{member, plain, required};

/// The most bytes of a proposed edit or an override.
pub(crate) const TEXT_MAX: usize = 4_096;

/// Why somebody asks or decides.
const REASON: ValueType = ValueType::Text(500);
/// Who: as long as a principal may be.
const WHO: ValueType = ValueType::Text(128);

pub(super) const FACTS: &[Attribute] = &[
    plain(
        "request/{id}/opened",
        "Change request",
        ValueType::Group(&[
            required("by", WHO),
            // Counted as it was when the request was opened, whatever the policy becomes.
            required("needed", ValueType::Int(1, 8)),
            member("base", ValueType::Text(2_048)),
            member("reason", REASON),
            member("kind", ValueType::Word(&["change", "ownership"])),
        ]),
    )
    .keyed(&[KeyType::Id])
    .compliance(),
    plain("request/{id}/edit/{path}", "Proposed edit", ValueType::Json(TEXT_MAX))
        .keyed(&[KeyType::Id, KeyType::Path])
        .compliance(),
    plain(
        "request/{id}/decision/{principal}",
        "Decision on a request",
        ValueType::Group(&[
            required("verdict", ValueType::Word(&["approve", "reject"])),
            member("reason", REASON),
        ]),
    )
    .keyed(&[KeyType::Id, KeyType::Principal])
    .compliance(),
    plain(
        "request/{id}/lease",
        "Who works on a request",
        ValueType::Group(&[required("by", WHO), required("until", ValueType::Text(40))]),
    )
    .keyed(&[KeyType::Id])
    .compliance(),
    plain("override/{path}", "Override of a steward", ValueType::Json(TEXT_MAX))
        .keyed(&[KeyType::Path])
        .compliance(),
];
