//! The sections that belong to one company code or one sales area.

use super::super::{Attribute, KeyType, ValueType};
use super::{BLOCK, CODE, member, plain, required};

/// An attribute of one company code. Every one decides about money.
const fn company(pattern: &'static str, title: &'static str, value: ValueType) -> Attribute {
    plain(pattern, title, value).keyed(&[KeyType::Organisation]).money()
}

/// An attribute of one sales area.
const fn sales(pattern: &'static str, title: &'static str, value: ValueType) -> Attribute {
    plain(pattern, title, value).keyed(&[KeyType::SalesArea])
}

/// The rules of 2020, then those of earlier editions that contracts still name.
const INCOTERMS: &[&str] = &[
    "EXW", "FCA", "CPT", "CIP", "DAP", "DPU", "DDP", "FAS", "FOB", "CFR", "CIF", "DAT", "DAF",
    "DES", "DEQ", "DDU",
];

pub(super) const COMPANY: &[Attribute] = &[
    company("company/{company_code}/recon_account", "Reconciliation account", CODE)
        .per("chart of accounts"),
    company("company/{company_code}/payment_terms", "Payment terms", CODE).per("code list"),
    company(
        "company/{company_code}/payment_methods/{method}",
        "Payment method",
        ValueType::Present,
    )
    .keyed(&[KeyType::Organisation, KeyType::Code])
    .per("code list"),
    company("company/{company_code}/payment_block", "Payment block", ValueType::Group(BLOCK)),
    company("company/{company_code}/posting_block", "Posting block", ValueType::Group(BLOCK)),
    company("company/{company_code}/dunning_procedure", "Dunning procedure", CODE).per("code list"),
    company("company/{company_code}/dunning_area", "Dunning area", CODE),
    company("company/{company_code}/dunning_recipient", "Dunning recipient", ValueType::Record),
    company("company/{company_code}/dunning_clerk", "Dunning clerk", CODE),
    company("company/{company_code}/dunning_block", "Dunning block", ValueType::Group(BLOCK)),
    company(
        "company/{company_code}/dunning",
        "Dunning level",
        ValueType::Group(&[
            required("level", ValueType::Int(0, 9)),
            member("last_dunned", ValueType::Date),
        ]),
    ),
    company("company/{company_code}/legal_dunning_since", "Legal dunning since", ValueType::Date),
    company("company/{company_code}/interest", "Interest indicator", CODE),
    company("company/{company_code}/tolerance", "Tolerance group", CODE),
    company("company/{company_code}/sort_key", "Sort key", CODE),
    company("company/{company_code}/planning_group", "Planning group", CODE),
    company("company/{company_code}/alternative_payer", "Alternative payer", ValueType::Record),
    company("company/{company_code}/head_office", "Head office", ValueType::Record),
    company("company/{company_code}/clearing_with_vendor", "Clearing with vendor", ValueType::Bool),
    company(
        "company/{company_code}/withholding_tax/{type}",
        "Withholding tax",
        ValueType::Group(&[
            required("code", CODE),
            member("exemption_number", ValueType::Text(40)),
            member("exemption_percent", ValueType::Decimal(0, 100)),
            member("exempt_until", ValueType::Date),
        ]),
    )
    .keyed(&[KeyType::Organisation, KeyType::Code]),
    company(
        "company/{company_code}/credit_insurance",
        "Credit insurance",
        ValueType::Group(&[
            required("number", ValueType::Text(40)),
            required("amount", ValueType::Money(0)),
            required("currency", ValueType::Currency),
            member("insurer", ValueType::Text(80)),
        ]),
    ),
];

pub(super) const SALES: &[Attribute] = &[
    sales("sales/{sales_area}/currency", "Currency", ValueType::Currency).per("ISO 4217").money(),
    sales("sales/{sales_area}/price_group", "Price group", CODE).money(),
    sales("sales/{sales_area}/price_list", "Price list", CODE).money(),
    sales(
        "sales/{sales_area}/incoterms",
        "Incoterms",
        ValueType::Group(&[
            required("rule", ValueType::Word(INCOTERMS)),
            member("place", ValueType::Text(80)),
            member("edition", ValueType::Int(1936, 9999)),
        ]),
    )
    .per("Incoterms 2020"),
    sales("sales/{sales_area}/shipping_condition", "Shipping condition", CODE),
    sales("sales/{sales_area}/delivering_plant", "Delivering plant", CODE),
    sales("sales/{sales_area}/partial_delivery", "Partial delivery", CODE),
    sales("sales/{sales_area}/order_block", "Order block", ValueType::Group(BLOCK)).money(),
    sales("sales/{sales_area}/delivery_block", "Delivery block", ValueType::Group(BLOCK)).money(),
    sales("sales/{sales_area}/billing_block", "Billing block", ValueType::Group(BLOCK)).money(),
    sales("sales/{sales_area}/tax_class/{country}", "Tax classification", CODE)
        .keyed(&[KeyType::SalesArea, KeyType::Country])
        .money(),
    sales(
        "sales/{sales_area}/partner/{function_and_id}",
        "Partner",
        ValueType::Group(&[
            required("function", ValueType::Code(2)),
            required("customer", ValueType::Record),
            member("default", ValueType::Bool),
        ]),
    )
    .keyed(&[KeyType::SalesArea, KeyType::Partner])
    .money(),
    sales("sales/{sales_area}/sales_terms", "Terms of sale", CODE).money(),
    plain("block/order", "Central order block", ValueType::Group(BLOCK)).money(),
    plain("block/delivery", "Central delivery block", ValueType::Group(BLOCK)).money(),
    plain("block/billing", "Central billing block", ValueType::Group(BLOCK)).money(),
    plain("block/payment", "Central payment block", ValueType::Group(BLOCK)).money(),
];
