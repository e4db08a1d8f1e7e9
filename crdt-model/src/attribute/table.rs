//! The attribute table: one row for everything that the canonical customer record can carry. What
//! each row does when claims differ is the policy's matter.

mod code_list;
mod credit;
mod governance;
mod org;
mod party;
mod place;
mod relation;
mod vendor;

use std::sync::LazyLock;

use super::{Attribute, Class, KeyType, Member, ValueType};

pub(crate) use self::governance::TEXT_MAX;

/// Every attribute of the golden record, section by section.
#[must_use]
pub fn table() -> &'static [Attribute] {
    static TABLE: LazyLock<Vec<Attribute>> = LazyLock::new(|| {
        let mut table = [
            party::ATTRIBUTES,
            place::ATTRIBUTES,
            org::COMPANY,
            org::SALES,
            credit::ATTRIBUTES,
            vendor::ATTRIBUTES,
            relation::ATTRIBUTES,
            code_list::ATTRIBUTES,
        ]
        .concat();
        for (place, attribute) in table.iter_mut().enumerate() {
            attribute.place = Some(place);
        }
        table
    });
    &TABLE
}

/// The facts of governance: stored like attributes, and no part of the golden record.
pub(crate) const fn facts() -> &'static [Attribute] {
    governance::FACTS
}

/// What a block or hold says.
pub(crate) const BLOCK: &[Member] =
    &[required("reason", ValueType::Text(120)), member("until", ValueType::Date)];

const CODE: ValueType = ValueType::Code(32);

const fn member(name: &'static str, value: ValueType) -> Member {
    Member { name, value, required: false }
}

const fn required(name: &'static str, value: ValueType) -> Member {
    Member { name, value, required: true }
}

const fn plain(pattern: &'static str, title: &'static str, value: ValueType) -> Attribute {
    Attribute {
        pattern,
        title,
        value,
        class: Class::Ordinary,
        standard: "",
        keys: &[],
        place: None,
    }
}

impl Attribute {
    const fn keyed(self, keys: &'static [KeyType]) -> Self {
        Self { keys, ..self }
    }

    const fn money(self) -> Self {
        Self { class: Class::Money, ..self }
    }

    const fn compliance(self) -> Self {
        Self { class: Class::Compliance, ..self }
    }

    const fn per(self, standard: &'static str) -> Self {
        Self { standard, ..self }
    }
}
