//! The sections on credit and bank accounts.

use super::super::{Attribute, KeyType, ValueType};
use super::{BLOCK, CODE, member, plain, required};
use crate::limits::INT_MAX;

/// An attribute of one credit segment. Every one decides about money.
const fn credit(pattern: &'static str, title: &'static str, value: ValueType) -> Attribute {
    plain(pattern, title, value).keyed(&[KeyType::Organisation]).money()
}

pub(super) const ATTRIBUTES: &[Attribute] = &[
    credit(
        "credit/{segment}/limit",
        "Credit limit",
        ValueType::Group(&[
            required("amount", ValueType::Money(0)),
            required("currency", ValueType::Currency),
        ]),
    )
    .per("ISO 4217"),
    credit("credit/{segment}/block", "Credit block", ValueType::Group(BLOCK)),
    credit(
        "credit/{segment}/risk_class",
        "Risk class",
        ValueType::Ranked(&["very-low", "low", "medium", "high", "very-high"]),
    ),
    credit("credit/{segment}/score", "Credit score", ValueType::Decimal(0, 1_000_000)),
    credit("credit/{segment}/check_rule", "Credit check rule", CODE).per("code list"),
    // A figure of the region's own ledger, one per region: information, not a decision.
    plain(
        "credit/{segment}/exposure/{region}",
        "Credit exposure of a region",
        ValueType::Group(&[
            required("amount", ValueType::Money(-INT_MAX)),
            required("currency", ValueType::Currency),
            member("as_of", ValueType::Date),
        ]),
    )
    .keyed(&[KeyType::Organisation, KeyType::Region]),
    credit(
        "credit/{segment}/slice/{region}",
        "Slice of the credit limit for a region",
        ValueType::Group(&[
            required("amount", ValueType::Money(0)),
            required("currency", ValueType::Currency),
        ]),
    )
    .keyed(&[KeyType::Organisation, KeyType::Region])
    .per("ISO 4217"),
    credit(
        "credit/{segment}/transfer/{id}",
        "Transfer between slices of the credit limit",
        ValueType::Group(&[
            required("from", ValueType::Code(16)),
            required("to", ValueType::Code(16)),
            required("amount", ValueType::Money(1)),
            required("currency", ValueType::Currency),
        ]),
    )
    .keyed(&[KeyType::Organisation, KeyType::Id])
    .per("ISO 4217"),
    plain(
        "bank/{iban}",
        "Bank account",
        ValueType::Group(&[
            member("iban", ValueType::Iban),
            member("scheme", ValueType::Code(16)),
            member("account", ValueType::Text(48)),
            member("routing", ValueType::Text(40)),
            member("bic", ValueType::Bic),
            member("holder", ValueType::Text(140)),
            member("bank_name", ValueType::Text(120)),
            member("currency", ValueType::Currency),
            member("country", ValueType::Country),
        ]),
    )
    .keyed(&[KeyType::Account])
    .per("ISO 13616, ISO 9362")
    .money(),
    plain(
        "bank/{iban}/verification",
        "Verification of the bank account",
        ValueType::Ranked(&["verified", "pending", "failed"]),
    )
    .keyed(&[KeyType::Account])
    .money(),
    plain(
        "bank/{iban}/mandate/{ref}",
        "Direct debit mandate",
        ValueType::Group(&[
            required("type", ValueType::Word(&["core", "b2b"])),
            member("state", ValueType::Ranked(&["active", "revoked"])),
            member("signed_on", ValueType::Date),
            member("sequence", ValueType::Word(&["first", "recurring", "final", "one-off"])),
            member("creditor", ValueType::Code(35)),
        ]),
    )
    .keyed(&[KeyType::Account, KeyType::Reference])
    .per("SEPA direct debit rulebooks")
    .money(),
    plain(
        "bank/{iban}/pay_to/{company_code}",
        "Account that a company code pays to",
        ValueType::Present,
    )
    .keyed(&[KeyType::Account, KeyType::Organisation])
    .money(),
];
