//! The two roles of a party as tables.

use jiff::civil::date;

use super::*;
use crate::credit::tests::{claims, golden_under};
use crate::golden_record::Resolved;
use crate::survivorship::resolve;

const IBAN: &str = "bank/DE89370400440532013000";

fn id(byte: u8) -> RecordId {
    RecordId::from_bytes([byte; 16])
}

fn findings(table: &str, others: &[(&str, &[RecordId])]) -> Vec<Finding> {
    let golden = golden_under(&Policy::built_in(), table);
    let party = Party::on(&golden, date(2026, 6, 1));
    party.findings(|path| {
        let found = others.iter().find(|(other, _)| *other == path.as_str());
        found.map(|(_, ids)| ids.to_vec()).unwrap_or_default()
    })
}

fn codes(table: &str, others: &[(&str, &[RecordId])]) -> Vec<String> {
    let show = |finding: &Finding| format!("{} {}", finding.code, finding.path);
    findings(table, others).iter().map(show).collect()
}

#[test]
fn clearing_needs_both_sides() {
    for (customer, vendor, expected) in [
        ("true", "true", None),
        ("false", "false", None),
        ("true", "false", Some("clearing-one-sided company/1000/clearing_with_vendor")),
        ("false", "true", Some("clearing-one-sided vendor/1000/clearing_with_customer")),
    ] {
        let table = format!(
            "company/1000/clearing_with_vendor | erp-emea | EMEA | {customer}
             vendor/1000/clearing_with_customer | erp-emea | EMEA | {vendor}"
        );
        assert_eq!(codes(&table, &[]), expected.into_iter().collect::<Vec<_>>());
        let golden = golden_under(&Policy::built_in(), &table);
        let party = Party::on(&golden, date(2026, 6, 1));
        assert_eq!(party.clears("1000"), (customer, vendor) == ("true", "true"));
        assert!(!party.clears("2000"));
    }
    // One source that says no is enough, and a customer that is no vendor clears nothing.
    let table = "company/1000/clearing_with_vendor | erp-emea | EMEA | true
                 vendor/1000/clearing_with_customer | erp-emea | EMEA | true
                 vendor/1000/clearing_with_customer | erp-amer | AMER | false";
    assert_eq!(codes(table, &[]).len(), 1);
    let table = "company/1000/clearing_with_vendor | erp-emea | EMEA | true";
    assert_eq!(codes(table, &[]).len(), 1);
}

#[test]
fn a_blocked_or_sanctioned_vendor_warns_on_the_customer() {
    let table = r#"vendor/1000/payment_block | erp-emea | EMEA | {"reason":"dispute"}
                   vendor/1000/posting_block | erp-emea | EMEA | {"reason":"over","until":"2026-01-01"}
                   block/purchasing | erp-amer | AMER | {"reason":"fraud"}
                   compliance/sanctions | screening | EMEA | hit"#;
    assert_eq!(
        codes(table, &[]),
        [
            "vendor-blocked block/purchasing",
            "vendor-blocked vendor/1000/payment_block",
            "vendor-sanctioned compliance/sanctions",
        ]
    );
    assert!(findings(table, &[])[1].text.contains("(dispute)"));
    // A customer alone is a matter of compliance, not of this module.
    assert_eq!(codes("compliance/sanctions | screening | EMEA | hit", &[]), [""; 0]);
    let clear = r#"relation/vendor/ERP:9 | erp-emea | EMEA | {"system":"ERP","id":"9"}
                   compliance/sanctions | screening | EMEA | clear"#;
    assert_eq!(codes(clear, &[]), [""; 0]);
}

#[test]
fn an_account_that_is_paid_to_and_debited_is_found() {
    let account = format!(r#"{IBAN} | erp-emea | EMEA | {{"iban":"DE89370400440532013000"}}"#);
    let pay = format!("{IBAN}/pay_to/1000 | erp-emea | EMEA | true");
    let mandate = format!(r#"{IBAN}/mandate/M-1 | erp-emea | EMEA | {{"type":"core"}}"#);
    let table = |parts: &[&str]| parts.join("\n");
    assert_eq!(codes(&table(&[&account, &pay]), &[]), [""; 0]);
    assert_eq!(codes(&table(&[&account, &mandate]), &[]), [""; 0]);
    let both = table(&[&account, &pay, &mandate]);
    assert_eq!(codes(&both, &[]), [format!("bank-both-ways {IBAN}")]);
    // Money that goes through an account of two parties is looked at; else two may share one.
    let others: [(&str, &[RecordId]); 1] = [(IBAN, &[id(9)])];
    assert_eq!(codes(&account, &others), [""; 0]);
    assert_eq!(codes(&table(&[&account, &pay]), &others), [format!("bank-shared {IBAN}")]);
}

#[test]
fn only_the_owner_says_to_which_account_we_pay() {
    let mut policy = Policy::built_in();
    policy.owners.insert("bank".to_owned(), "EMEA".parse().unwrap());
    let table = format!("{IBAN}/pay_to/1000 | crm-amer | AMER | true");
    let golden = golden_under(&policy, &table);
    assert!(!Party::on(&golden, date(2026, 6, 1)).pays_to(&IBAN.parse().unwrap()));
}

#[test]
fn one_tax_id_on_two_parties_is_found_unless_it_is_explained() {
    let tax = r#"tax_id/DE:VAT:DE136695976 | erp | EMEA | {"country":"DE","type":"VAT","number":"DE136695976"}"#;
    let others: [(&str, &[RecordId]); 1] = [("tax_id/DE:VAT:DE136695976", &[id(9), id(8), id(9)])];
    let found = findings(tax, &others);
    assert_eq!(found[0].code, "tax-id-shared");
    assert_eq!(found[0].about, [id(8), id(9)]);
    assert!(found[0].text.contains("DE:VAT:DE136695976 stands at 2 other parties"));
    let related = format!(
        r#"{tax}
           relation/other/r1 | manual | EMEA | {{"type":"branch","customer":"{}"}}
           relation/parent | manual | EMEA | {{"customer":"{}"}}"#,
        id(9),
        id(8)
    );
    assert_eq!(findings(&related, &others), []);
}

#[test]
fn a_vendor_linked_with_two_customers_stays_linked_with_both() {
    let table = r#"relation/vendor/ERP:9 | erp-emea | EMEA | {"system":"ERP","id":"9"}"#;
    let others: [(&str, &[RecordId]); 1] = [("relation/vendor/ERP:9", &[id(9)])];
    let found = findings(table, &others);
    assert_eq!((found[0].code, &found[0].about[..]), ("vendor-linked-twice", &[id(9)][..]));
    let dangling = vendor_dangling(&"relation/vendor/ERP:9".parse().unwrap());
    assert!(dangling.text.starts_with("The vendor account ERP:9 is not known."));
}

#[test]
fn the_policy_says_who_owns_the_shared_section() {
    let mut policy = Policy::built_in();
    let open = shared_section_faults(&policy);
    let rule = Rule::SourcePriority;
    assert!(open.contains(&SharedSectionFault::NotOwners { pattern: "name/legal", rule }));
    for pattern in policy.rules.keys().cloned().collect::<Vec<_>>() {
        if SHARED.iter().any(|section| pattern.starts_with(&format!("{section}/"))) {
            policy.rules.insert(pattern, Rule::Owner);
        }
    }
    assert_eq!(shared_section_faults(&policy), [], "the home region owns it");
    policy.owners.insert("name".to_owned(), "EMEA".parse().unwrap());
    let faults = shared_section_faults(&policy);
    assert!(matches!(&faults[..], [SharedSectionFault::SplitOwners(owners)] if owners.len() == 4));
    for section in SHARED {
        policy.owners.insert(section.to_owned(), "EMEA".parse().unwrap());
    }
    assert_eq!(shared_section_faults(&policy), []);
    // Then the owner's name survives, whatever ranks higher elsewhere.
    let table = "name/legal | register-us | AMER | ACME Inc
                 name/legal | erp-emea | EMEA | ACME GmbH";
    let resolved: Resolved = resolve(&policy, &claims(table));
    let name = resolved.at(&"name/legal".parse().unwrap(), date(2026, 6, 1)).unwrap();
    assert_eq!(name.winner.as_ref().unwrap().value, Some(Value::text("ACME GmbH").into()));
}
