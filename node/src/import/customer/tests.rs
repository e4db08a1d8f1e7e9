//! From the texts of a row to a customer tree.

use serde_json::{Value as Json, json};

use super::{Customer, column_at, customer};
use crate::import::RowFault;
use crate::import::mapping::{Mapping, slot_id};
use crdt_model::id::RecordId;
use crdt_model::value::{Assertion, Scalar, Statement, Value};

fn mapping(rest: &str) -> Mapping {
    let head = "source = \"erp-emea\"\nkey = { system = \"no\", column = \"K\" }\n";
    Mapping::parse("m", &format!("{head}{rest}")).unwrap()
}

fn row(mapping: &Mapping, texts: &[(&str, &str)]) -> Result<Customer, Vec<RowFault>> {
    let text = |column: &String| {
        let found = texts.iter().find(|(name, _)| name == column);
        found.map_or(String::new(), |(_, text)| (*text).to_owned())
    };
    customer(mapping, &mapping.columns.iter().map(text).collect::<Vec<_>>())
}

fn tree(mapping: &Mapping, texts: &[(&str, &str)]) -> Json {
    row(mapping, texts).unwrap().tree
}

const ADDRESS: &str = r#"
[[columns]]
column = "NAME"
attribute = "name/legal"
[[columns]]
column = "CITY"
attribute = "address/{slot:main}"
member = "city"
[[columns]]
constant = "DE"
attribute = "address/{slot:main}"
member = "country"
[[columns]]
constant = true
attribute = "address/{slot:main}/usage/legal"
[[columns]]
constant = "{slot:main}"
attribute = "address_for/legal"
"#;

#[test]
fn what_every_row_says_is_said_only_with_what_the_row_says() {
    let mapping = mapping(ADDRESS);
    let id = "erp-emea:main".to_owned();
    assert_eq!(
        tree(&mapping, &[("K", " 1 "), ("NAME", "Acme "), ("CITY", "Bonn")]),
        json!({
            "name": {"legal": "Acme"},
            "address": {id.clone(): {
                "city": "Bonn", "country": "DE", "usage": {"legal": true}
            }},
            "address_for": {"legal": id},
        })
    );
    assert_eq!(tree(&mapping, &[("K", "1"), ("NAME", "Acme")]), json!({"name": {"legal": "Acme"}}));
    assert_eq!(row(&mapping, &[("K", "1")]).unwrap_err()[0].code, "row-empty");
    assert_eq!(row(&mapping, &[("NAME", "Acme")]).unwrap_err()[0].code, "key-empty");
}

#[test]
fn the_id_of_a_slot_is_that_of_source_and_slot() {
    let longest = ("s".repeat(32).parse().unwrap(), "x".repeat(31));
    assert_eq!(slot_id(&"erp-amer".parse().unwrap(), "main"), "erp-amer:main");
    let path = format!("address/{}", slot_id(&longest.0, &longest.1)).parse().unwrap();
    let known = crdt_model::attribute::lookup(&path).unwrap();
    let text = |text: &str| Scalar::Text(text.to_owned());
    let members = [("city", text("Bonn")), ("country", text("DE"))];
    let city = Value::Group(members.map(|(name, it)| (name.to_owned(), it)).into());
    assert!(known.check(&path, &Assertion::Stated(Statement::plain(city))).is_ok());
}

#[test]
fn an_empty_column_says_nothing_or_takes_back() {
    let rest = "[[columns]]\ncolumn = \"N\"\nattribute = \"name/legal\"\n\
        [[columns]]\ncolumn = \"T\"\nattribute = \"company/1000/payment_terms\"\nempty = \"clear\"\n\
        [[columns]]\ncolumn = \"A\"\nattribute = \"credit/1000/limit\"\nmember = \"amount\"\n\
        currency = \"EUR\"\nempty = \"clear\"\n";
    let mapping = mapping(rest);
    assert_eq!(
        tree(&mapping, &[("K", "1"), ("N", " "), ("T", "NT30"), ("A", "12.5")]),
        json!({
            "company": {"1000": {"payment_terms": "NT30"}},
            "credit": {"1000": {"limit": {"amount": "12.5", "currency": "EUR"}}},
        })
    );
    assert_eq!(
        tree(&mapping, &[("K", "1")]),
        json!({"company": {"1000": {"payment_terms": null}}, "credit": {"1000": {"limit": null}}})
    );
}

#[test]
fn items_are_named_by_their_values() {
    let rest = "default_country = { column = \"C\" }\n\
        [[columns]]\ncolumn = \"P1\"\nattribute = \"phone/{value}\"\n\
        [[columns]]\ncolumn = \"P2\"\nattribute = \"phone/{value}\"\n\
        [[columns]]\ncolumn = \"V\"\nattribute = \"tax_id/{column:C}:VAT:{value}\"\n\
        [[columns]]\ncolumn = \"I\"\nattribute = \"bank/{value}\"\n\
        [[columns]]\ncolumn = \"B\"\nattribute = \"bank/{column:I}\"\nmember = \"bic\"\n\
        [[columns]]\nconstant = \"EUR\"\nattribute = \"bank/{column:I}\"\nmember = \"currency\"\n\
        [[columns]]\ncolumn = \"T\"\nattribute = \"name/trading/{value}\"\n";
    let mapping = mapping(rest);
    let long = "Ä".repeat(120);
    let made = row(
        &mapping,
        &[
            ("K", "1"),
            ("C", "DE"),
            ("P1", "030 23125001"),
            ("P2", "+49 (30) 23125-001"),
            ("V", "DE136695976"),
            ("I", "DE89 3704 0044 0532 0130 00"),
            ("B", "COBADEFFXXX"),
            ("T", &long),
        ],
    )
    .unwrap();
    assert_eq!(made.default_country.as_deref(), Some("DE"));
    assert_eq!(made.tree["phone"], json!({"030 23125001": true}), "one number, spelled twice");
    assert_eq!(made.tree["tax_id"], json!({"DE:VAT:DE136695976": true}));
    assert_eq!(
        made.tree["bank"],
        json!({"DE89 3704 0044 0532 0130 00": {"bic": "COBADEFFXXX", "currency": "EUR"}})
    );
    let names = made.tree["name"]["trading"].as_object().unwrap();
    let (key, name) = names.iter().next().unwrap();
    assert!(key.starts_with("b3-") && *name == json!(long), "{key}");
    // Nothing of a bank account without its number, and the loss is not silent.
    let faults = row(&mapping, &[("K", "1"), ("B", "COBADEFFXXX")]).unwrap_err();
    assert_eq!(faults[0].code, "item-key-empty");
    assert!(faults[0].text.starts_with("Column B: "), "{faults:?}");
    assert!(faults[0].text.contains("the column I"), "{faults:?}");
}

#[test]
fn what_was_read_differently_keeps_its_raw_text() {
    let rest = "decimal = \",\"\ndate = \"%d.%m.%Y\"\n\
        [[columns]]\ncolumn = \"T\"\nattribute = \"company/1000/payment_terms\"\n\
        values = { \"ZB30\" = \"NT30\", \"NT60\" = \"NT60\" }\n\
        [[columns]]\ncolumn = \"F\"\nattribute = \"company/1000/payment_terms\"\nmember = \"valid_from\"\n\
        [[columns]]\ncolumn = \"S\"\nattribute = \"credit/1000/score\"\n\
        [[columns]]\ncolumn = \"E\"\nattribute = \"general/established_on\"\n\
        [[columns]]\ncolumn = \"H\"\nattribute = \"company/1000/head_office\"\n";
    let mapping = mapping(rest);
    assert_eq!(
        tree(&mapping, &[("K", "1"), ("T", "ZB30"), ("F", "01.02.2027"), ("S", "1.234,5")]),
        json!({
            "company": {"1000": {"payment_terms":
                {"value": "NT30", "raw": "ZB30", "valid_from": "2027-02-01"}}},
            "credit": {"1000": {"score": {"value": "1234.5", "raw": "1.234,5"}}},
        })
    );
    assert_eq!(
        tree(&mapping, &[("K", "1"), ("T", "NT60"), ("F", "01.02.2027"), ("E", "1998")]),
        json!({
            "company": {"1000": {"payment_terms": {"value": "NT60", "valid_from": "2027-02-01"}}},
            "general": {"established_on": "1998"},
        })
    );
    let head = tree(&mapping, &[("K", "1"), ("H", "4711")]);
    let office = &head["company"]["1000"]["head_office"]["value"];
    assert_eq!(*office, json!(RecordId::derive("no", "4711").to_string()));
}

#[test]
fn every_fault_of_a_row_is_found_and_names_its_column() {
    let rest = "decimal = \",\"\n\
        [[columns]]\ncolumn = \"A\"\nattribute = \"credit/1000/limit\"\nmember = \"amount\"\n\
        currency = \"EUR\"\n\
        [[columns]]\ncolumn = \"E\"\nattribute = \"general/established_on\"\n";
    let mapping = mapping(rest);
    let faults = row(&mapping, &[("K", "1"), ("A", "12.34"), ("E", "31.12.26")]).unwrap_err();
    let codes: Vec<&str> = faults.iter().map(|fault| fault.code.as_str()).collect();
    assert_eq!(codes, ["number-malformed", "date-malformed"]);
    assert_eq!(faults[0].pointer, "/credit/1000/limit/amount");
    assert!(faults[1].text.starts_with("Column E: "), "{faults:?}");
}

#[test]
fn a_fault_of_the_node_is_led_back_to_the_column() {
    let mapping = mapping(ADDRESS);
    let texts: Vec<String> = ["1", "Acme", "Bonn"].map(str::to_owned).to_vec();
    let at = |pointer: &str| column_at(&mapping, &texts, pointer);
    assert_eq!(at("/name/legal"), Some("NAME"));
    assert_eq!(at("/address/erp-emea:main/city"), Some("CITY"));
    assert_eq!(at("/address/erp-emea:main"), Some("CITY"), "its only column");
    assert_eq!(at("/bank/X"), None);
}
