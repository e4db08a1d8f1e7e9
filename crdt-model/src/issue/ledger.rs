//! Issues of the general ledger: the reconciliation account of a company code must be a customer
//! account of that company code, not blocked, in a currency that fits.

use std::sync::Arc;

use jiff::civil::Date;

use super::{Around, Held, Issue, Subject};
use crate::attribute::Fault;
use crate::code_list::{CodeList, Entry, Standing, list_for};
use crate::path::AttributePath;
use crate::policy::{Policy, Severity};
use crate::value::{Scalar, Value};

/// The type of a ledger account that stands for customers.
const CUSTOMERS: &str = "D";

/// Whether an attribute names a reconciliation account, and of which company code.
#[must_use]
fn company_of(path: &AttributePath) -> Option<String> {
    if !path.as_str().ends_with("/recon_account") {
        return None;
    }
    let segments = path.segments();
    match segments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["company", company, "recon_account"] => Some(company.to_owned()),
        _ => None,
    }
}

pub(super) fn find(
    subject: &Subject<'_>,
    held: &[Held<'_>],
    around: &dyn Around,
    issues: &mut Vec<Issue>,
) {
    for held in held {
        let Some(company) = company_of(held.path) else { continue };
        let Some(list) = list_of(subject.policy, held, around) else { continue };
        let Some(code) = held.value.as_text() else { continue };
        let currency = currency_of(subject, &company);
        for entry in list.codes.get(code).into_iter().flatten() {
            let found = faults(entry, code, &company, currency.as_deref());
            issues.extend(found.into_iter().map(|(code, text)| {
                let issue = held.issue(code, Severity::Error, text);
                Issue { from: issue.from.max(entry.from), ..issue }
            }));
        }
    }
}

fn list_of(policy: &Policy, held: &Held<'_>, around: &dyn Around) -> Option<Arc<CodeList>> {
    around.code_list(&list_for(policy, held.attribute?, held.path)?)
}

/// The currency of the company code, where an insured or limited sum says it.
fn currency_of(subject: &Subject<'_>, company: &str) -> Option<String> {
    let held = subject.last(&format!("company/{company}/credit_insurance"))?;
    match held.value.member("currency")? {
        Scalar::Text(currency) => Some(currency.clone()),
        Scalar::Bool(_) | Scalar::Int(_) => None,
    }
}

fn faults(
    entry: &Entry,
    code: &str,
    company: &str,
    currency: Option<&str>,
) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if entry.value.is_none() {
        return faults;
    }
    if let Some(kind) = entry.text("type").filter(|kind| *kind != CUSTOMERS) {
        let text = format!(
            "{code} is a ledger account of type {kind}. A customer needs one of type {CUSTOMERS}."
        );
        faults.push(("gl-wrong-type", text));
    }
    if entry.is_blocked() {
        let text = format!("The ledger account {code} is blocked. Choose another one.");
        faults.push(("gl-blocked", text));
    }
    if let Some(other) = entry.text("company_code").filter(|other| *other != company) {
        let text = format!("The ledger account {code} belongs to company code {other}.");
        faults.push(("gl-company-code", text));
    }
    if let Some((account, ours)) = entry.text("currency").zip(currency)
        && account != ours
    {
        let text = format!(
            "The ledger account {code} is kept in {account}, the company code's sums are in {ours}."
        );
        faults.push(("gl-currency", text));
    }
    faults
}

/// Judges a code at the door, on the day of the write: it must be on its list, valid, and fit for a
/// reconciliation account where it is to be one.
///
/// # Errors
/// A [`Fault`] with the code `code-unknown` (and the three nearest), `code-retired`, `code-not-yet`,
/// `gl-wrong-type`, `gl-blocked` or `gl-company-code`.
pub(super) fn judge(
    list: &CodeList,
    path: &AttributePath,
    value: &Value,
    day: Date,
) -> Result<(), Fault> {
    let attribute = crate::attribute::lookup(path);
    let code = attribute.and_then(|it| super::codes::code_of(it, path, value));
    let Some(code) = code else { return Ok(()) };
    let fault = |name: &'static str, text: String| {
        Err(Fault { code: name, pointer: format!("/{path}"), text })
    };
    let entry = match list.standing(&code, day) {
        Standing::Valid(entry) => entry,
        Standing::Unknown => {
            let near = list.nearest(&code, 3).join(", ");
            let hint = if near.is_empty() { String::new() } else { format!(" Nearest: {near}.") };
            let text = format!("{code} is not on the code list {}.{hint}", list.name);
            return fault("code-unknown", text);
        }
        Standing::Retired(since) => {
            let text = format!("{code} of {} is retired since {since}.", list.name);
            return fault("code-retired", text);
        }
        Standing::NotYet(from) => {
            let text = format!("{code} of {} is valid from {from} on.", list.name);
            return fault("code-not-yet", text);
        }
    };
    let Some(company) = company_of(path) else { return Ok(()) };
    match faults(entry, &code, &company, None).into_iter().next() {
        Some((name, text)) => fault(name, text),
        None => Ok(()),
    }
}
