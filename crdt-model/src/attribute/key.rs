//! What the placeholders of a pattern stand for: the natural keys of items and scopes, the shape that
//! each has in canonical form, and the members of the value that repeat it.

use super::check::{is_code, is_email, is_iban, is_phone, is_plain_text};
use super::fault::{Flaw, quote};
use crate::id::{RecordId, Region, parse_hex};
use crate::path::AttributePath;
use crate::value::RESERVED_MEMBERS;

/// What one placeholder of a pattern stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// An identifier that the writer chose: up to 64 letters, digits and `_.:-`.
    Id,
    /// A code whose letters keep their case.
    Code,
    /// A word or code in lower case, such as a classification scheme or a purpose.
    Scheme,
    /// An organisational code in upper case: company code, credit segment.
    Organisation,
    /// A sales area `organisation:channel:division`.
    SalesArea,
    /// A region of the network.
    Region,
    /// A country, ISO 3166-1 alpha-2.
    Country,
    /// A name, folded to lower case; a long one is replaced by its digest.
    Name,
    /// A tax id `country:type:number`, for example `DE:VAT:DE123456789`.
    TaxId,
    /// A business register (GLEIF code `RA` and six digits) and the number there.
    Register,
    /// A scheme of electronic addresses: four digits or two letters of the EAS list.
    Endpoint,
    /// A key of another system: `system:client:id`, the client may be empty.
    Xref,
    /// A vendor in another system: `system:id`.
    Vendor,
    /// What an address is used for.
    Usage,
    /// A telephone number, E.164.
    Phone,
    /// An e-mail address, in lower case.
    Email,
    /// A partner function of two characters and a customer record: `SH:<uuid>`.
    Partner,
    /// A bank account: an IBAN, or `SCHEME:account` where there is none.
    Account,
    /// A free reference of up to 35 characters, such as a SEPA mandate's.
    Reference,
    /// A segment of an attribute that customers define.
    Defined,
    /// A principal, as commits name it.
    Principal,
    /// The path of another attribute; a long one is replaced by its digest.
    Path,
}

/// The most characters of an identifier in another system.
pub(crate) const FOREIGN_ID_MAX: usize = 64;
/// What the key of a long name starts with; the digest follows.
pub(crate) const NAME_DIGEST: &str = "b3-";
/// The most bytes of a principal that can stand in a key, escaped.
pub(crate) const PRINCIPAL_MAX: usize = 240;

impl KeyType {
    /// Judges the canonical form of a key. Uses shapes and arithmetic alone.
    pub(crate) fn check(self, key: &str) -> Result<(), Flaw> {
        if self == Self::Defined && RESERVED_MEMBERS.contains(&key) {
            return Err(Flaw::new(
                "name-reserved",
                format!("{} describes a statement. Choose another name.", quote(key)),
            ));
        }
        if self == Self::Account && !key.contains(':') {
            return is_iban(key);
        }
        if self.has_shape(key) { Ok(()) } else { Err(self.malformed(key)) }
    }

    /// The fault of a key of the wrong shape.
    pub(crate) fn malformed(self, key: &str) -> Flaw {
        let text = format!("{} is not {}.", quote(key), self.expected());
        Flaw::new("item-malformed", text)
    }

    fn has_shape(self, key: &str) -> bool {
        match self {
            Self::Id => is_length(key, 1, 64) && key.bytes().all(|b| b == b':' || is_code_byte(b)),
            Self::Code => is_code(key, 32),
            Self::Scheme | Self::Usage => {
                is_code(key, 32) && !key.bytes().any(|b| b.is_ascii_uppercase())
            }
            Self::Organisation => is_organisation(key),
            Self::SalesArea => {
                let parts: Vec<&str> = key.split(':').collect();
                parts.len() == 3 && parts.into_iter().all(is_organisation)
            }
            Self::Region => key.parse::<Region>().is_ok(),
            Self::Country => is_country_shape(key),
            Self::Name => is_foreign(key, 240),
            Self::TaxId => is_tax_id(key),
            Self::Register => key.split_once(':').is_some_and(|(register, number)| {
                let digits = register.strip_prefix("RA").unwrap_or_default();
                digits.len() == 6
                    && digits.bytes().all(|b| b.is_ascii_digit())
                    && is_foreign(number, FOREIGN_ID_MAX)
            }),
            Self::Endpoint => {
                (key.len() == 4 && key.bytes().all(|b| b.is_ascii_digit()))
                    || (key.len() == 2 && key.bytes().all(|b| b.is_ascii_uppercase()))
            }
            Self::Xref => {
                let parts: Vec<&str> = key.splitn(3, ':').collect();
                matches!(parts[..], [system, client, id] if is_code(system, 32)
                    && (client.is_empty() || is_code(client, 16))
                    && is_foreign(id, FOREIGN_ID_MAX))
            }
            Self::Vendor => key
                .split_once(':')
                .is_some_and(|(system, id)| is_code(system, 32) && is_foreign(id, FOREIGN_ID_MAX)),
            Self::Phone => is_phone(key),
            Self::Email => is_email(key) && !key.bytes().any(|b| b.is_ascii_uppercase()),
            Self::Partner => key.split_once(':').is_some_and(|(function, customer)| {
                function.len() == 2 && is_organisation(function) && is_record(customer)
            }),
            Self::Account => key.split_once(':').is_some_and(|(scheme, account)| {
                is_length(scheme, 2, 16)
                    && scheme.bytes().all(|b| is_upper(b) || b == b'-')
                    && is_length(account, 1, 48)
                    && account.bytes().all(|b| is_upper(b) || b":.-".contains(&b))
            }),
            Self::Reference => is_foreign(key, 35),
            Self::Defined => is_foreign(key, 64),
            Self::Principal => is_foreign(key, 128),
            Self::Path => key.parse::<AttributePath>().is_ok() || is_digest(key),
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Id => "an item's id: use 1 to 64 letters, digits, '_', '.', ':' or '-'",
            Self::Code => "a code: use up to 32 letters, digits, '_', '.' or '-'",
            Self::Scheme => "a code in lower case: use up to 32 letters, digits, '_', '.' or '-'",
            Self::Organisation => "an organisational code: use up to 10 letters or digits",
            Self::SalesArea => "a sales area: write organisation:channel:division, like 1000:10:00",
            Self::Region => "a region: use 1 to 16 upper-case letters, digits or hyphens",
            Self::Country => "a country: write two letters (ISO 3166-1)",
            Self::Name => "a name of 1 to 240 characters",
            Self::TaxId => "a tax id: write country:type:number, like DE:VAT:DE123456789",
            Self::Register => "a register entry: write register:number, like RA000242:HRB 12345",
            Self::Endpoint => "a scheme of electronic addresses: write its EAS code, like 0088",
            Self::Xref => "a key of another system: write system:client:id, like ERP_EU:100:4711",
            Self::Vendor => "a vendor: write system:id, like ERP_EU:90001",
            Self::Usage => "a use of an address, like bill-to",
            Self::Phone => "a telephone number: write it with country code, like +49 30 123456",
            Self::Email => "an e-mail address, like name@example.com",
            Self::Partner => "a partner: write function:customer, like SH: and a record id",
            Self::Account => "a bank account: write an IBAN, or SCHEME:account where there is none",
            Self::Reference => "a reference of 1 to 35 characters",
            Self::Defined => "a name of 1 to 64 characters",
            Self::Principal => "a principal: a name of 1 to 128 characters",
            Self::Path => "the path of an attribute, like general/language",
        }
    }

    /// The members of the item's value that repeat the key. The key must be canonical.
    pub(crate) fn members(self, key: &str) -> Vec<(&'static str, String)> {
        let named = |names: &[&'static str]| {
            names
                .iter()
                .copied()
                .zip(key.splitn(names.len(), ':').map(str::to_owned))
                .filter(|(_, part)| !part.is_empty())
                .collect()
        };
        match self {
            Self::TaxId => named(&["country", "type", "number"]),
            Self::Register => named(&["register", "number"]),
            Self::Xref => named(&["system", "client", "id"]),
            Self::Vendor => named(&["system", "id"]),
            Self::Partner => named(&["function", "customer"]),
            Self::Account if key.contains(':') => named(&["scheme", "account"]),
            Self::Account => vec![("iban", key.to_owned())],
            Self::Phone => vec![("number", key.to_owned())],
            Self::Email => vec![("address", key.to_owned())],
            Self::Id
            | Self::Code
            | Self::Scheme
            | Self::Organisation
            | Self::SalesArea
            | Self::Region
            | Self::Country
            | Self::Name
            | Self::Endpoint
            | Self::Usage
            | Self::Reference
            | Self::Defined
            | Self::Principal
            | Self::Path => Vec::new(),
        }
    }

    /// Whether what a member says is what the key says.
    pub(crate) fn agrees(self, stated: &str, key_part: &str) -> bool {
        // The key of an e-mail address is folded, the address keeps the case of its local part.
        if self == Self::Email { stated.eq_ignore_ascii_case(key_part) } else { stated == key_part }
    }
}

fn is_length(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len())
}

pub(crate) const fn is_code_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

const fn is_upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn is_organisation(text: &str) -> bool {
    is_length(text, 1, 10) && text.bytes().all(is_upper)
}

pub(crate) fn is_country_shape(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}

/// A text of another system: no control characters, no blanks around it.
fn is_foreign(text: &str, most: usize) -> bool {
    !text.is_empty() && text.trim() == text && is_plain_text(text, most, false).is_ok()
}

fn is_tax_id(key: &str) -> bool {
    let parts: Vec<&str> = key.splitn(3, ':').collect();
    matches!(parts[..], [country, kind, value] if is_country_shape(country)
        && is_length(kind, 2, 10) && kind.bytes().all(is_upper)
        && is_tax_number(value))
}

/// Capital letters and digits; Mexico writes `&` and `Ñ`, Ireland wrote `+` and `*`.
fn is_tax_number(text: &str) -> bool {
    let is_sign = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "&Ñ+*".contains(c);
    (2..=32).contains(&text.chars().count()) && text.chars().all(is_sign)
}

fn is_digest(key: &str) -> bool {
    key.strip_prefix(NAME_DIGEST).is_some_and(|digits| parse_hex::<16>(digits).is_some())
}

fn is_record(text: &str) -> bool {
    text.parse::<RecordId>().is_ok_and(|id| id.to_string() == text)
}
