//! The section of a party that is a vendor as well, one for each company code that buys from it.

use super::super::{Attribute, KeyType, ValueType};
use super::{BLOCK, CODE, plain};

/// An attribute of the vendor in one company code. Every one decides about money.
const fn vendor(pattern: &'static str, title: &'static str, value: ValueType) -> Attribute {
    plain(pattern, title, value).keyed(&[KeyType::Organisation]).money()
}

pub(super) const ATTRIBUTES: &[Attribute] = &[
    vendor("vendor/{company_code}/recon_account", "Reconciliation account of the vendor", CODE)
        .per("chart of accounts"),
    vendor("vendor/{company_code}/payment_terms", "Payment terms of the vendor", CODE)
        .per("code list"),
    vendor(
        "vendor/{company_code}/payment_block",
        "Payment block of the vendor",
        ValueType::Group(BLOCK),
    ),
    vendor(
        "vendor/{company_code}/posting_block",
        "Posting block of the vendor",
        ValueType::Group(BLOCK),
    ),
    vendor(
        "vendor/{company_code}/clearing_with_customer",
        "Clearing with customer",
        ValueType::Bool,
    ),
    plain("block/purchasing", "Central purchasing block", ValueType::Group(BLOCK)).money(),
];
