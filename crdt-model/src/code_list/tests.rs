//! Code lists: standing on a day, nearest codes, and maps in both directions.

use jiff::civil::date;

use super::*;
use crate::id::RecordId;

fn value(from: Option<Date>, json: Option<&str>) -> GoldenValue {
    let value = json.map(|json| serde_json::from_str(json).unwrap());
    GoldenValue { from, value, contest: None }
}

fn list() -> CodeList {
    let mut golden = GoldenRecord::empty(RecordId::code_list("payment-terms"));
    let mut put = |path: &str, values: Vec<GoldenValue>| {
        golden.attributes.insert(path.parse().unwrap(), values);
    };
    put("code_list/name", vec![value(None, Some("\"payment-terms\""))]);
    put("code/NT30", vec![value(None, Some("{\"title\":\"30 days\"}"))]);
    let ended = vec![value(None, Some("{\"title\":\"45\"}")), value(Some(date(2026, 1, 1)), None)];
    put("code/NT45", ended);
    put("code/NT60", vec![value(Some(date(2027, 1, 1)), Some("{\"title\":\"60 days\"}"))]);
    for (code, word) in [("NT30", "ZB30"), ("NT45", "ZB45"), ("NT60", "ZB45")] {
        put(&format!("code_map/ERP_EU/{code}"), vec![value(None, Some(&format!("{word:?}")))]);
    }
    CodeList::of(&golden)
}

#[test]
fn a_code_stands_on_some_days_and_never_vanishes() {
    let list = list();
    assert_eq!(list.name, "payment-terms");
    assert!(matches!(list.standing("NT30", date(2026, 6, 1)), Standing::Valid(_)));
    assert!(matches!(list.standing("NT45", date(2025, 12, 31)), Standing::Valid(_)));
    assert_eq!(list.standing("NT45", date(2026, 1, 1)), Standing::Retired(date(2026, 1, 1)));
    assert_eq!(list.standing("NT60", date(2026, 6, 1)), Standing::NotYet(date(2027, 1, 1)));
    assert_eq!(list.standing("NT99", date(2026, 6, 1)), Standing::Unknown);
}

#[test]
fn the_nearest_codes_come_first() {
    assert_eq!(list().nearest("NT03", 2), ["NT30", "NT45"]);
    assert_eq!(list().nearest("nt60", 1), ["NT60"]);
}

#[test]
fn a_word_that_stands_for_two_codes_stands_for_none() {
    let list = list();
    assert_eq!(list.outbound("ERP_EU", "NT30"), Some("ZB30"));
    assert_eq!(list.inbound("ERP_EU", "ZB30"), Some("NT30"));
    assert_eq!(list.inbound("ERP_EU", "ZB45"), None);
    let found = list.ambiguities();
    assert_eq!((found.len(), found[0].word.as_str()), (1, "ZB45"));
    assert_eq!(found[0].codes, ["NT45", "NT60"]);
}

#[test]
fn the_list_of_an_attribute_is_named_by_its_path() {
    let mut policy = Policy::built_in();
    let pattern = "company/{company_code}/recon_account";
    policy.codes.insert(pattern.to_owned(), "recon-accounts/{company_code}".to_owned());
    let path: AttributePath = "company/1000/recon_account".parse().unwrap();
    let attribute = crate::attribute::lookup(&path).unwrap();
    assert_eq!(list_for(&policy, attribute, &path), Some("recon-accounts/1000".to_owned()));
    assert!(is_name("recon-accounts/1000") && !is_name("") && !is_name("a b"));
}

#[test]
fn the_kind_of_a_record_shows_in_its_id() {
    use crate::id::RecordKind;
    let list = RecordId::code_list("payment-terms");
    assert_eq!(list.kind(), RecordKind::CodeList);
    assert!(list < RecordId::first_customer());
    for customer in [RecordId::mint(1, [0; 10]), RecordId::derive("ERP", "4711")] {
        assert_eq!(customer.kind(), RecordKind::Customer);
        assert!(customer >= RecordId::first_customer());
    }
}
