//! The attributes of a code list, which is a record of its own kind beside the customers.

use super::super::{Attribute, KeyType, ValueType};
use super::{member, plain, required};

pub(super) const ATTRIBUTES: &[Attribute] = &[
    plain("code_list/name", "Name of the code list", ValueType::Text(64)),
    plain("code_list/title", "Title of the code list", ValueType::Text(120)),
    // A code that is no longer to be used is given a last day of validity; it never goes away.
    plain(
        "code/{code}",
        "Code",
        ValueType::Group(&[
            required("title", ValueType::Text(120)),
            // What a ledger account is: D for customers, K for vendors, as the ledger has it.
            member("type", ValueType::Code(16)),
            member("currency", ValueType::Currency),
            member("company_code", ValueType::Code(10)),
            member("blocked", ValueType::Bool),
        ]),
    )
    .keyed(&[KeyType::Code]),
    plain("code_map/{system}/{code}", "Code in another system", ValueType::Text(64))
        .keyed(&[KeyType::Code, KeyType::Code]),
];
