//! The canonical form of the placeholders of a path, from what people write.

use super::{Context, phone, registry, scalar, suggest, text, vat};
use crate::attribute::{Fault, Flaw, KeyType, NAME_DIGEST, quote};
use crate::id::RecordId;

/// What an address can be used for.
const USAGES: [&str; 6] = ["bill-to", "correspondence", "legal", "remit-to", "ship-to", "sold-to"];
/// The most bytes of a name, escaped, that stand in a path as they are.
const NAME_MAX: usize = 200;

/// The canonical key, or what is wrong with it.
pub(super) fn canonical(kind: KeyType, written: &str, context: &Context) -> Result<String, Flaw> {
    let line = text::line(written)?;
    let key = match kind {
        KeyType::Id
        | KeyType::Code
        | KeyType::Reference
        | KeyType::Defined
        | KeyType::Principal
        | KeyType::Path => line,
        KeyType::Scheme => line.to_ascii_lowercase(),
        KeyType::Organisation | KeyType::Region | KeyType::Endpoint => line.to_ascii_uppercase(),
        KeyType::SalesArea => parts(&line.replace('/', ":")).join(":").to_ascii_uppercase(),
        KeyType::Country => registry::country(&line)?,
        KeyType::Name => folded_name(&line),
        KeyType::TaxId => vat::tax_id(&line)?,
        KeyType::Register => match line.split_once(':') {
            Some((register, number)) => {
                format!("{}:{}", register.trim().to_ascii_uppercase(), number.trim())
            }
            None => line,
        },
        KeyType::Xref => match line.splitn(3, ':').map(str::trim).collect::<Vec<&str>>()[..] {
            [system, id] => format!("{system}::{id}"),
            [system, client, id] => format!("{system}:{client}:{id}"),
            _ => line,
        },
        KeyType::Vendor => match line.split_once(':') {
            Some((system, id)) => format!("{}:{}", system.trim(), id.trim()),
            None => line,
        },
        KeyType::Usage => usage(&line)?,
        KeyType::Phone => phone::phone(&line, context.default_country())?,
        KeyType::Email => scalar::email(&line)?.to_ascii_lowercase(),
        KeyType::Partner => partner(&line).ok_or_else(|| kind.malformed(&line))?,
        KeyType::Account => account(&line)?,
    };
    kind.check(&key)?;
    Ok(key)
}

/// The segment that stands for a trading name in `name/trading/{name}`.
///
/// A path has room for short names alone, so whoever builds one from a long name asks here first.
///
/// # Errors
/// [`Fault`] when the text is empty, too long, or holds a control character.
pub fn trading_name_key(name: &str) -> Result<String, Fault> {
    canonical(KeyType::Name, name, &Context::default()).map_err(|flaw| flaw.at_keys(&[]))
}

fn parts(line: &str) -> Vec<&str> {
    line.split(':').map(str::trim).collect()
}

/// A trading name in lower case; a long one by its digest, so that the path stays short.
fn folded_name(line: &str) -> String {
    let folded = line.to_lowercase();
    // Three bytes for every byte that a path escapes.
    let escaped: usize =
        folded.bytes().map(|b| if b.is_ascii_alphanumeric() { 1 } else { 3 }).sum();
    if escaped <= NAME_MAX {
        return folded;
    }
    let digest = blake3::hash(folded.as_bytes()).to_hex();
    format!("{NAME_DIGEST}{}", &digest[..32])
}

fn usage(line: &str) -> Result<String, Flaw> {
    let word = line.to_ascii_lowercase().replace(['_', ' '], "-");
    if USAGES.contains(&word.as_str()) {
        return Ok(word);
    }
    let hint = suggest::did_you_mean(&word, USAGES);
    let text = format!("{} is not one of {}.{hint}", quote(line), USAGES.join(", "));
    Err(Flaw::new("usage-unknown", text))
}

fn partner(line: &str) -> Option<String> {
    let (function, customer) = line.split_once(':')?;
    let customer: RecordId = customer.trim().parse().ok()?;
    Some(format!("{}:{customer}", function.trim().to_ascii_uppercase()))
}

fn account(line: &str) -> Result<String, Flaw> {
    match line.split_once(':') {
        Some((scheme, account)) if !scheme.trim().eq_ignore_ascii_case("iban") => {
            let account: String = account.chars().filter(|c| *c != ' ').collect();
            Ok(format!("{}:{account}", scheme.trim()).to_ascii_uppercase())
        }
        Some((_, iban)) => scalar::iban(iban),
        None => scalar::iban(line),
    }
}
