//! The rules that a network starts with, and the rule of an attribute that no policy names.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::Rule::{
    AddWins, AnyBlock, Greatest, LastWriter, LatestElseGreatest, Least, Owner, OwnerElseLeast,
    SourcePriority,
};
use super::{Attribute, Class, Rule};
use crate::attribute::{self, ValueType};
use crate::path::AttributePath;

/// The rules that a policy names, by pattern or path. A rule for a path counts before that of its
/// pattern.
///
/// It reads as the map that it is in the file, and finds the rule of an attribute without a search: a
/// resolution asks for one per attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Rule>", into = "BTreeMap<String, Rule>")]
pub struct Rules {
    named: BTreeMap<String, Rule>,
    /// By place in the attribute table.
    of_attributes: Vec<Option<Rule>>,
    /// Whether any entry is for a path that is no pattern.
    names_paths: bool,
}

impl Rules {
    /// Names the rule of a pattern or path, in place of the one that it had.
    pub fn insert(&mut self, pattern: String, rule: Rule) {
        self.edit(|named| {
            named.insert(pattern, rule);
        });
    }

    /// Takes out the rule of a pattern or path.
    pub fn remove(&mut self, pattern: &str) {
        self.edit(|named| {
            named.remove(pattern);
        });
    }

    /// Changes the entries.
    pub fn edit(&mut self, change: impl FnOnce(&mut BTreeMap<String, Rule>)) {
        let mut named = std::mem::take(&mut self.named);
        change(&mut named);
        *self = named.into();
    }

    /// The rule of the attribute's pattern.
    pub(super) fn of_attribute(&self, attribute: &Attribute) -> Option<Rule> {
        self.of_attributes.get(attribute.place?).copied().flatten()
    }

    /// The rule of this path alone.
    pub(super) fn of_path(&self, path: &AttributePath) -> Option<Rule> {
        if !self.names_paths {
            return None;
        }
        self.named.get(path.as_str()).copied()
    }
}

impl Default for Rules {
    fn default() -> Self {
        BTreeMap::new().into()
    }
}

impl From<BTreeMap<String, Rule>> for Rules {
    fn from(named: BTreeMap<String, Rule>) -> Self {
        let table = attribute::table().iter();
        let of_attributes: Vec<Option<Rule>> =
            table.map(|attribute| named.get(attribute.pattern).copied()).collect();
        let names_paths = named.len() > of_attributes.iter().flatten().count();
        Self { named, of_attributes, names_paths }
    }
}

impl From<Rules> for BTreeMap<String, Rule> {
    fn from(rules: Rules) -> Self {
        rules.named
    }
}

impl Extend<(String, Rule)> for Rules {
    fn extend<I: IntoIterator<Item = (String, Rule)>>(&mut self, entries: I) {
        self.edit(|named| named.extend(entries));
    }
}

impl IntoIterator for Rules {
    type Item = (String, Rule);
    type IntoIter = std::collections::btree_map::IntoIter<String, Rule>;

    fn into_iter(self) -> Self::IntoIter {
        self.named.into_iter()
    }
}

impl Deref for Rules {
    type Target = BTreeMap<String, Rule>;

    fn deref(&self) -> &Self::Target {
        &self.named
    }
}

/// A business register knows best, then a clerk who looked, then the books, then sales.
pub(super) const SOURCE_KINDS: [&str; 4] = ["register", "manual", "erp", "crm"];

/// The rule of each attribute, section by section.
pub(super) const LISTED: &[(&str, Rule)] = &[
    ("identity/customer_number/{number}", AddWins),
    ("identity/home_region", Owner),
    ("identity/party_kind", SourcePriority),
    ("identity/account_group", Owner),
    // A status only goes forward.
    ("identity/status", Greatest),
    ("name/legal", SourcePriority),
    ("name/local", SourcePriority),
    ("name/trading/{name}", AddWins),
    ("name/person", SourcePriority),
    ("general/legal_form", SourcePriority),
    ("general/language", LastWriter),
    ("general/industry/{scheme}", SourcePriority),
    ("general/website", LastWriter),
    ("general/established_on", SourcePriority),
    ("general/size", SourcePriority),
    ("general/note/{id}", LastWriter),
    ("general/preferred_channel", LastWriter),
    ("tax_id/{id}", AddWins),
    ("tax_id/{id}/verification", LastWriter),
    ("identifier/lei", SourcePriority),
    ("identifier/duns", SourcePriority),
    ("identifier/gln", SourcePriority),
    ("identifier/register/{id}", AddWins),
    ("identifier/endpoint/{scheme}", SourcePriority),
    ("xref/{id}", AddWins),
    ("address/{id}", SourcePriority),
    ("address/{id}/usage/{usage}", AddWins),
    ("address/{id}/validation", LastWriter),
    ("address_for/{usage}", LastWriter),
    ("phone/{number}", AddWins),
    ("email/{address}", AddWins),
    ("contact/{id}", LastWriter),
    ("company/{company_code}/recon_account", Owner),
    ("company/{company_code}/payment_terms", Owner),
    ("company/{company_code}/payment_methods/{method}", AddWins),
    ("company/{company_code}/payment_block", AnyBlock),
    ("company/{company_code}/posting_block", AnyBlock),
    ("company/{company_code}/dunning_procedure", Owner),
    ("company/{company_code}/dunning_area", Owner),
    ("company/{company_code}/dunning_recipient", Owner),
    ("company/{company_code}/dunning_clerk", Owner),
    ("company/{company_code}/dunning_block", AnyBlock),
    // The level belongs to the accounts receivable of the owner, never to the last writer.
    ("company/{company_code}/dunning", Owner),
    ("company/{company_code}/legal_dunning_since", Least),
    ("company/{company_code}/interest", Owner),
    ("company/{company_code}/tolerance", Owner),
    ("company/{company_code}/sort_key", Owner),
    ("company/{company_code}/planning_group", Owner),
    ("company/{company_code}/alternative_payer", Owner),
    ("company/{company_code}/head_office", Owner),
    // Only when everyone says so.
    ("company/{company_code}/clearing_with_vendor", Least),
    ("company/{company_code}/withholding_tax/{type}", Owner),
    ("company/{company_code}/credit_insurance", OwnerElseLeast),
    ("sales/{sales_area}/currency", Owner),
    ("sales/{sales_area}/price_group", Owner),
    ("sales/{sales_area}/price_list", Owner),
    ("sales/{sales_area}/incoterms", Owner),
    ("sales/{sales_area}/shipping_condition", Owner),
    ("sales/{sales_area}/delivering_plant", Owner),
    ("sales/{sales_area}/partial_delivery", Owner),
    ("sales/{sales_area}/order_block", AnyBlock),
    ("sales/{sales_area}/delivery_block", AnyBlock),
    ("sales/{sales_area}/billing_block", AnyBlock),
    ("sales/{sales_area}/tax_class/{country}", Owner),
    ("sales/{sales_area}/partner/{function_and_id}", AddWins),
    ("sales/{sales_area}/sales_terms", Owner),
    ("block/order", AnyBlock),
    ("block/delivery", AnyBlock),
    ("block/billing", AnyBlock),
    ("block/payment", AnyBlock),
    ("credit/{segment}/limit", OwnerElseLeast),
    ("credit/{segment}/block", AnyBlock),
    ("credit/{segment}/risk_class", Greatest),
    // Bureaus score in both directions, so no score is the more conservative one by itself.
    ("credit/{segment}/score", Owner),
    ("credit/{segment}/check_rule", Owner),
    ("credit/{segment}/exposure/{region}", LastWriter),
    // What the owner dealt; when its own words differ, the smaller one.
    ("credit/{segment}/slice/{region}", OwnerElseLeast),
    // A fact of the region that gives; which ones count is no matter of survivorship.
    ("credit/{segment}/transfer/{id}", AddWins),
    ("bank/{iban}", AddWins),
    ("bank/{iban}/verification", Greatest),
    ("bank/{iban}/mandate/{ref}", LatestElseGreatest),
    // Where our money goes is what fraud is after: nobody adds an account but the owner.
    ("bank/{iban}/pay_to/{company_code}", Owner),
    ("vendor/{company_code}/recon_account", Owner),
    ("vendor/{company_code}/payment_terms", Owner),
    ("vendor/{company_code}/payment_block", AnyBlock),
    ("vendor/{company_code}/posting_block", AnyBlock),
    // Only when everyone says so.
    ("vendor/{company_code}/clearing_with_customer", Least),
    ("block/purchasing", AnyBlock),
    ("relation/parent", SourcePriority),
    ("relation/vendor/{id}", AddWins),
    ("relation/other/{id}", AddWins),
    ("consent/{purpose}", LatestElseGreatest),
    ("legal_hold/{id}", AnyBlock),
    ("compliance/sanctions", Greatest),
    ("compliance/exposed_person", Greatest),
    ("compliance/retention_class", Owner),
    ("compliance/retention_until", Greatest),
    ("compliance/end_of_purpose/{region}", Greatest),
    ("compliance/excluded_region/{region}", AddWins),
    ("code_list/name", LastWriter),
    ("code_list/title", LastWriter),
    ("code/{code}", LastWriter),
    ("code_map/{system}/{code}", LastWriter),
    ("x/{a}", LastWriter),
    ("x/{a}/{b}", LastWriter),
    ("x/{a}/{b}/{c}", LastWriter),
];

/// The rule of an attribute that is not listed: safe for its class, sensible for its kind.
pub(super) fn fallback(attribute: &Attribute) -> Rule {
    let is_at_stake = matches!(attribute.class, Class::Money | Class::Compliance);
    if is_block(attribute) {
        AnyBlock
    } else if attribute.pattern.starts_with("x/") && !is_at_stake {
        LastWriter
    } else if is_item(attribute) {
        AddWins
    } else if !is_at_stake {
        SourcePriority
    } else if matches!(attribute.value, ValueType::Ranked(_)) {
        Greatest
    } else {
        Owner
    }
}

/// Whether paths of the attribute name one item of a set each.
pub(super) fn is_item(attribute: &Attribute) -> bool {
    attribute.pattern.ends_with('}') && !attribute.pattern.starts_with("x/")
}

/// A block is a reason, and perhaps a day until which it stands.
fn is_block(attribute: &Attribute) -> bool {
    let ValueType::Group(members) = attribute.value else { return false };
    members.iter().any(|member| member.name == "reason")
        && members.iter().all(|member| matches!(member.name, "reason" | "until"))
}
