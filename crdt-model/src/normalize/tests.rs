//! What people and files write arrives in canonical form, or is refused with a code and a place.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::attribute::CODES;

const IBAN: &str = "DE89370400440532013000";
const RECORD: &str = "0190f3a2-0000-7000-8000-000000000001";

fn german() -> Context {
    Context::with_country("Germany").unwrap()
}

fn segments(parts: &[&str]) -> AttributePath {
    AttributePath::from_segments(parts).unwrap()
}

fn accept(parts: &[&str], input: &Json) -> (Vec<String>, Statement) {
    match normalize(&segments(parts), input, &german()) {
        Ok((path, Assertion::Stated(statement))) => (path.segments(), statement),
        other => panic!("{parts:?} {input} {other:?}"),
    }
}

fn value(parts: &[&str], input: &Json) -> Json {
    serde_json::to_value(accept(parts, input).1.value).unwrap()
}

fn refuse(parts: &[&str], input: &Json) -> (&'static str, String) {
    let faults = normalize(&segments(parts), input, &german()).unwrap_err();
    (faults[0].code, faults[0].pointer.clone())
}

fn code(parts: &[&str], input: &Json) -> &'static str {
    refuse(parts, input).0
}

/// The last segment of the canonical path of an item.
fn key(parts: &[&str]) -> String {
    canonical_path(&segments(parts), &german()).unwrap().segments().pop().unwrap()
}

#[test]
fn text_is_composed_trimmed_and_collapsed() {
    let (_, statement) =
        accept(&["name", "legal"], &json!("  Mu\u{308}ller\t\u{a0} &\r\nSo\u{308}hne "));
    assert_eq!(*statement.value, Value::text("Müller & Söhne"));
    assert!(statement.raw.unwrap().starts_with("  Mu"));
    assert_eq!(accept(&["name", "legal"], &json!("Acme")).1.raw, None);
    assert_eq!(value(&["name", "legal"], &json!("\u{feff}Ac\u{ad}me")), json!("Acme"));
    assert_eq!(code(&["name", "legal"], &json!("a\u{0}b")), "control-character");
    assert_eq!(code(&["name", "legal"], &json!("a\u{202e}b")), "control-character");
    assert_eq!(code(&["name", "legal"], &json!(" \u{200b} ")), "text-empty");
    assert_eq!(code(&["name", "legal"], &json!("x".repeat(70_000))), "text-too-long");
    assert_eq!(code(&["name", "legal"], &json!("x".repeat(241))), "text-too-long");
    assert_eq!(code(&["name", "legal"], &json!(12)), "wrong-type");
    assert_eq!(code(&["name", "legal"], &json!(["a"])), "wrong-type");
    let note = value(&["general", "note", "1"], &json!(" one \r\n\ttwo\rthree\n "));
    assert_eq!(note, json!("one\n two\nthree"));
}

#[test]
fn null_is_a_tombstone_and_release_gives_a_reason() {
    let null = normalize(&segments(&["name", "legal"]), &Json::Null, &german()).unwrap();
    assert_eq!(null.1, Assertion::Tombstone);
    let wrapped = normalize(&segments(&["name", "legal"]), &json!({"value": null}), &german());
    assert_eq!(wrapped.unwrap().1, Assertion::Tombstone);
    let block = segments(&["block", "order"]);
    let release = normalize(&block, &json!({"release": " paid  up "}), &german()).unwrap();
    assert_eq!(release.1, Assertion::Release { reason: "paid up".to_owned() });
    assert_eq!(code(&["name", "legal"], &json!({"release": "why"})), "release-not-possible");
    assert_eq!(code(&["block", "order"], &json!({"release": "a", "reason": "b"})), "wrong-type");
    assert_eq!(code(&["block", "order"], &json!({"release": 1})), "wrong-type");
}

#[test]
fn validity_stands_beside_the_value() {
    let terms = json!({"value": "NT30", "valid_from": "01.02.2026", "valid_to": "20261231"});
    let (_, statement) = accept(&["company", "1000", "payment_terms"], &terms);
    assert_eq!(*statement.value, Value::text("NT30"));
    assert_eq!(statement.valid_from.unwrap().to_string(), "2026-02-01");
    assert_eq!(statement.valid_to.unwrap().to_string(), "2026-12-31");
    let limit = json!({"amount": "5000", "currency": "EUR", "valid_to": "2026-12-31"});
    assert!(accept(&["credit", "0000", "limit"], &limit).1.valid_to.is_some());
    let turned = json!({"value": "A", "valid_from": "2026-02-01", "valid_to": "2026-01-01"});
    assert_eq!(code(&["name", "legal"], &turned), "validity-order");
    let malformed = json!({"value": "A", "valid_from": "02/01/2026"});
    let place = ("date-malformed", "/name/legal/valid_from".to_owned());
    assert_eq!(refuse(&["name", "legal"], &malformed), place);
    assert_eq!(code(&["name", "legal"], &json!({"value": "A", "valu": 1})), "member-unknown");
    assert_eq!(code(&["name", "legal"], &json!({"valid_form": "2026-01-01"})), "member-unknown");
}

#[test]
fn bank_accounts_meet_in_one_key() {
    let written = "de89 3704 0044 0532 0130 00";
    for input in
        [json!(true), json!({}), json!(written), json!({"iban": "DE89-3704-0044-0532-0130-00"})]
    {
        let (path, statement) = accept(&["bank", written], &input);
        assert_eq!(path, ["bank", IBAN]);
        assert_eq!(statement.value.member("iban"), Some(&Scalar::Text(IBAN.to_owned())));
        assert_eq!(statement.raw.as_deref(), Some(written));
    }
    assert_eq!(accept(&["bank", IBAN], &json!(true)).1.raw, None);
    assert_eq!(code(&["bank", "DE89370400440532013001"], &json!(true)), "iban-checksum");
    assert_eq!(code(&["bank", "DE8937040044"], &json!(true)), "iban-malformed");
    let other = json!({"iban": "GB82WEST12345698765432"});
    let place = ("item-mismatch", format!("/bank/{IBAN}/iban"));
    assert_eq!(refuse(&["bank", IBAN], &other), place);
    assert_eq!(key(&["bank", "us-aba:021000021:12 345"]), "US-ABA:021000021:12345");
    assert_eq!(key(&["bank", "IBAN: DE89 3704 0044 0532 0130 00"]), IBAN);
    let rich = json!({"bic": "cobadeff xxx", "currency": "eur", "country": "Germany"});
    let stored = value(&["bank", IBAN], &rich);
    assert_eq!(
        stored,
        json!({"iban": IBAN, "bic": "COBADEFFXXX", "currency": "EUR", "country": "DE"})
    );
    assert_eq!(code(&["bank", IBAN], &json!({"bic": "COBAQQFF"})), "bic-malformed");
    let place = ("member-unknown", format!("/bank/{IBAN}/bicc"));
    assert_eq!(refuse(&["bank", IBAN], &json!({"bicc": "COBADEFF"})), place);
    assert_eq!(value(&["bank", written, "verification"], &json!("Pending")), json!("pending"));
    let mandate = value(&["bank", IBAN, "mandate", "M 1"], &json!("CORE"));
    assert_eq!(mandate, json!({"type": "core"}));
}

#[test]
fn a_home_region_is_a_region_and_an_address_pointer_takes_any_id_of_an_address() {
    assert_eq!(value(&["identity", "home_region"], &json!("emea")), json!("EMEA"));
    for wrong in ["EU_WEST", "a region of more than sixteen", "ü"] {
        assert_eq!(code(&["identity", "home_region"], &json!(wrong)), "item-malformed", "{wrong}");
    }
    assert_eq!(key(&["address", "crm:4711"]), "crm:4711");
    assert_eq!(value(&["address_for", "bill-to"], &json!("crm:4711")), json!("crm:4711"));
    assert_eq!(code(&["address_for", "bill-to"], &json!("an address")), "item-malformed");
}

#[test]
fn tax_ids_meet_in_one_key() {
    for written in
        ["DE:VAT:DE136695976", "de:vat:136 695 976", "DE136695976", "Germany:VAT:DE-136.695.976"]
    {
        assert_eq!(key(&["tax_id", written]), "DE:VAT:DE136695976", "{written}");
    }
    let stored = json!({"country": "DE", "type": "VAT", "number": "DE136695976"});
    assert_eq!(value(&["tax_id", "DE136695976"], &json!({"number": "136695976"})), stored);
    assert_eq!(code(&["tax_id", "DE136695976"], &json!({"number": "999999999"})), "item-mismatch");
    assert_eq!(key(&["tax_id", "EL094259216"]), "GR:VAT:EL094259216");
    assert_eq!(key(&["tax_id", "GR:VAT:094259216"]), "GR:VAT:EL094259216");
    for greek in ["GR094259216", "GR:VAT:GR094259216", "EL:VAT:GR 094 259 216"] {
        assert_eq!(key(&["tax_id", greek]), "GR:VAT:EL094259216", "{greek}");
    }
    for belgian in ["BE428759497", "BE 0428.759.497", "BE:VAT:428.759.497"] {
        assert_eq!(key(&["tax_id", belgian]), "BE:VAT:BE0428759497", "{belgian}");
    }
    for signs in ["MX:RFC:P&G851223B24", "MX:RFC:ÑAN850101AB1", "IE:VAT:IE8+47563I"] {
        assert_eq!(key(&["tax_id", signs]), signs);
        let (path, _) = accept(&["tax_id", signs], &json!(true));
        assert_eq!(path[1], signs);
    }
    assert_eq!(key(&["tax_id", "MX:RFC:ñan-850101-ab1"]), "MX:RFC:ÑAN850101AB1");
    assert_eq!(code(&["tax_id", "MX:RFC:A#B850101AB1"], &json!(true)), "item-malformed");
    assert_eq!(key(&["tax_id", "US:EIN:12-3456789"]), "US:EIN:123456789");
    assert_eq!(key(&["tax_id", "CHE-116.281.710 MWST"]), "CH:VAT:CHE116281710");
    assert_eq!(code(&["tax_id", "DE:VAT:DE136695977"], &json!(true)), "vat-malformed");
    assert_eq!(code(&["tax_id", "12345"], &json!(true)), "item-malformed");
    assert_eq!(code(&["tax_id", "QQ:VAT:1"], &json!(true)), "country-unknown");
}

#[test]
fn telephones_take_the_default_country() {
    for written in ["030 123456", "+49 (0)30 / 12 34 56", "0049 30 123456", "tel:+49-30-123456"] {
        assert_eq!(key(&["phone", written]), "+4930123456", "{written}");
    }
    assert_eq!(key(&["phone", "030 123456 ext. 12"]), "+4930123456;ext=12");
    assert_eq!(key(&["phone", "+39 06 1234 5678"]), "+390612345678");
    let canonical = key(&["phone", "+4930123456;ext=12"]);
    assert_eq!(canonical, "+4930123456;ext=12");
    let stored = value(&["phone", "030 123456"], &json!({"kind": "Voice", "number": "030/123456"}));
    assert_eq!(stored, json!({"number": "+4930123456", "kind": "voice"}));
    for wrong in [
        "12",
        "+49",
        "not a number",
        "+999 123456",
        "030 123456 ext. x",
        "٠٣٠١٢٣٤٥٦",
        "++4930123456",
    ] {
        assert_eq!(code(&["phone", wrong], &json!(true)), "phone-malformed", "{wrong}");
    }
    let nowhere = normalize(&segments(&["phone", "030 123456"]), &json!(true), &Context::default());
    assert_eq!(nowhere.unwrap_err()[0].code, "phone-malformed");
    let antarctica = Context::with_country("AQ").unwrap();
    assert!(normalize(&segments(&["phone", "030 123456"]), &json!(true), &antarctica).is_err());
}

#[test]
fn addresses_of_mail_keep_the_case_of_the_local_part() {
    let (path, statement) =
        accept(&["email", "Anna.Berg@Example.COM"], &json!({"kind": "invoice"}));
    assert_eq!(path[1], "anna.berg@example.com");
    let stored = serde_json::to_value(statement.value).unwrap();
    assert_eq!(stored, json!({"address": "Anna.Berg@example.com", "kind": "invoice"}));
    for wrong in
        ["anna", "anna@localhost", "Anna <anna@example.com>", "a b@example.com", "a@[1.2.3.4]"]
    {
        assert_eq!(code(&["email", wrong], &json!(true)), "email-malformed", "{wrong}");
    }
}

#[test]
fn other_keys_are_canonical() {
    assert_eq!(key(&["sales", "1000/10/00", "currency"]), "currency");
    let path = canonical_path(&segments(&["sales", "ab1/10/00", "currency"]), &german()).unwrap();
    assert_eq!(path.as_str(), "sales/AB1:10:00/currency");
    assert_eq!(key(&["sales", "1:1:1", "tax_class", "Germany"]), "DE");
    assert_eq!(
        key(&["sales", "1:1:1", "partner", &format!("sh: {}", RECORD.to_uppercase())]),
        format!("SH:{RECORD}")
    );
    assert_eq!(key(&["xref", "ERP_EU : 100 : 47 11"]), "ERP_EU:100:47 11");
    assert_eq!(key(&["xref", "CRM:4711"]), "CRM::4711");
    assert_eq!(value(&["xref", "CRM:4711"], &json!(true)), json!({"system": "CRM", "id": "4711"}));
    assert_eq!(key(&["identifier", "register", "ra000242:HRB 12345"]), "RA000242:HRB 12345");
    assert_eq!(key(&["relation", "vendor", "ERP: 90001"]), "ERP:90001");
    assert_eq!(key(&["general", "industry", "NACE"]), "nace");
    assert_eq!(key(&["address", "a", "usage", "Bill_To"]), "bill-to");
    assert_eq!(code(&["address", "a", "usage", "bil-to"], &json!(true)), "usage-unknown");
    assert_eq!(code(&["address", "a b"], &json!({"country": "DE"})), "item-malformed");
    let name = accept(&["name", "trading", "ACME"], &json!(true));
    assert_eq!((name.0[2].as_str(), &*name.1.value), ("acme", &Value::text("ACME")));
    let long = "株".repeat(80);
    let digest = trading_name_key(&long).unwrap();
    assert!(digest.starts_with("b3-") && digest.len() == 35);
    assert_eq!(accept(&["name", "trading", &digest], &json!(long)).0[2], digest);
    assert_eq!(code(&["company", "1000 ", "payment_methods", "Ü"], &json!(true)), "item-malformed");
    let number = value(&["identity", "customer_number", "EU-1"], &json!("EU-1"));
    assert_eq!(number, json!(true));
    assert_eq!(code(&["identity", "customer_number", "EU-1"], &json!("EU-2")), "wrong-type");
    assert_eq!(code(&["identity", "customer_number", "EU-1"], &json!(false)), "wrong-type");
}

#[test]
fn countries_currencies_and_languages() {
    let country = |written: &str| {
        let address = json!({"city": "Lyon", "country": written});
        value(&["address", "main"], &address)["country"].clone()
    };
    for (written, expected) in [
        ("fr", "FR"),
        ("FRA", "FR"),
        ("250", "FR"),
        (" france ", "FR"),
        ("United Kingdom", "GB"),
        ("UK", "GB"),
        ("Netherlands", "NL"),
        ("côte d'ivoire", "CI"),
        ("Kosovo", "XK"),
        ("Türkiye", "TR"),
    ] {
        assert_eq!(country(written), json!(expected), "{written}");
    }
    for unknown in ["Frankreichh", "QQ", "Korea", "Virgin Islands"] {
        let place = ("country-unknown", "/address/main/country".to_owned());
        assert_eq!(refuse(&["address", "main"], &json!({"country": unknown})), place, "{unknown}");
    }
    assert_eq!(value(&["sales", "1:1:1", "currency"], &json!("eur")), json!("EUR"));
    for unknown in ["EURO", "XXX", "XTS", ""] {
        assert!(registry::currency(unknown).is_err(), "{unknown}");
    }
    assert_eq!(value(&["general", "language"], &json!("PT_br")), json!("pt-BR"));
    assert_eq!(code(&["general", "language"], &json!("German")), "language-malformed");
}

#[test]
fn money_is_whole_minor_units() {
    assert_eq!(parse_money("12345.67", "EUR"), Ok(1_234_567));
    assert_eq!(parse_money("12345.6", "eur"), Ok(1_234_560));
    assert_eq!(parse_money("-0.05", "EUR"), Ok(-5));
    assert_eq!(parse_money("5000", "JPY"), Ok(5_000));
    assert_eq!(parse_money("5000.00", "JPY"), Ok(5_000));
    assert_eq!(parse_money("1.234", "KWD"), Ok(1_234));
    assert_eq!(parse_money("90071992547409.91", "EUR"), Ok((1 << 53) - 1));
    assert!(matches!(parse_money("90071992547409.92", "EUR"), Err(MoneyError::TooLarge(_))));
    assert!(matches!(parse_money("0.001", "EUR"), Err(MoneyError::Decimals { decimals: 2, .. })));
    assert!(matches!(parse_money("5.5", "JPY"), Err(MoneyError::Decimals { decimals: 0, .. })));
    for wrong in ["12,50", "1'000", "", ".", "1.", ".5", "1e3", "--1", "+1", "1.2.3", "٣"] {
        assert!(matches!(parse_money(wrong, "EUR"), Err(MoneyError::Malformed(_))), "{wrong}");
    }
    assert!(matches!(parse_money("1", "QQQ"), Err(MoneyError::Currency(_))));
    assert_eq!(format_money(1_234_560, "EUR").as_deref(), Some("12345.60"));
    assert_eq!(format_money(-5, "JPY").as_deref(), Some("-5"));
    assert_eq!(format_money(5, "QQQ"), None);

    let limit = |amount: Json| {
        value(&["credit", "0000", "limit"], &json!({"amount": amount, "currency": "eur"}))
    };
    assert_eq!(limit(json!("12.50")), json!({"amount": 1250, "currency": "EUR"}));
    assert_eq!(limit(json!(1250)), json!({"amount": 1250, "currency": "EUR"}));
    let at = |input: Json| refuse(&["credit", "0000", "limit"], &input);
    let place = |code, member: &str| (code, format!("/credit/0000/limit/{member}"));
    assert_eq!(
        at(json!({"amount": 12.5, "currency": "EUR"})),
        place("not-a-whole-number", "amount")
    );
    assert_eq!(
        at(json!({"amount": "1.999", "currency": "EUR"})),
        place("money-malformed", "amount")
    );
    assert_eq!(
        at(json!({"amount": -1, "currency": "EUR"})),
        place("number-out-of-range", "amount")
    );
    assert_eq!(
        at(json!({"amount": "-1", "currency": "EUR"})),
        place("number-out-of-range", "amount")
    );
    assert_eq!(at(json!({"amount": 5})), place("member-missing", "currency"));
}

#[test]
fn numbers_flags_and_words_may_be_text() {
    assert_eq!(value(&["company", "1000", "clearing_with_vendor"], &json!("X")), json!(true));
    assert_eq!(value(&["company", "1000", "clearing_with_vendor"], &json!("No")), json!(false));
    assert_eq!(code(&["company", "1000", "clearing_with_vendor"], &json!("perhaps")), "wrong-type");
    let dunning =
        value(&["company", "1000", "dunning"], &json!({"level": "03", "last_dunned": "20260131"}));
    assert_eq!(dunning, json!({"level": 3, "last_dunned": "2026-01-31"}));
    assert_eq!(value(&["company", "1000", "dunning"], &json!(2)), json!({"level": 2}));
    assert_eq!(code(&["company", "1000", "dunning"], &json!({"level": 10})), "number-out-of-range");
    assert_eq!(value(&["credit", "0000", "score"], &json!(7.50)), json!("7.5"));
    assert_eq!(
        accept(&["credit", "0000", "score"], &json!("07.50")).1.raw.as_deref(),
        Some("07.50")
    );
    assert_eq!(code(&["credit", "0000", "score"], &json!("7,5")), "decimal-malformed");
    assert_eq!(value(&["credit", "0000", "risk_class"], &json!("Very High")), json!("very-high"));
    assert_eq!(code(&["credit", "0000", "risk_class"], &json!("hihg")), "word-unknown");
    assert_eq!(value(&["block", "order"], &json!("fraud")), json!({"reason": "fraud"}));
    let until = json!({"reason": "fraud", "until": "31.12.2026"});
    assert_eq!(value(&["block", "order"], &until)["until"], json!("2026-12-31"));
    assert_eq!(
        value(&["general", "website"], &json!("WWW.Example.com/A")),
        json!("https://www.example.com/A")
    );
    assert_eq!(code(&["general", "website"], &json!("ftp://example.com")), "url-malformed");
    assert_eq!(
        value(&["relation", "parent"], &json!(RECORD.replace('-', ""))),
        json!({"customer": RECORD})
    );
    assert_eq!(
        value(&["identifier", "lei"], &json!("529900-T8BM49-AURSDO55")),
        json!("529900T8BM49AURSDO55")
    );
    assert_eq!(value(&["identifier", "duns"], &json!("12-345-6789")), json!("123456789"));
    assert_eq!(code(&["name", "person"], &json!("Anna Berg")), "wrong-type");
    assert_eq!(code(&["address", "main"], &json!("France")), "wrong-type");
}

#[test]
fn unknown_paths_name_the_nearest() {
    let fault =
        |parts: &[&str]| normalize(&segments(parts), &json!("a"), &german()).unwrap_err().remove(0);
    let found = fault(&["company", "1000", "payment_term"]);
    assert_eq!(found.code, "attribute-unknown");
    assert_eq!(found.pointer, "/company/1000/payment_term");
    assert!(found.text.contains("company/1000/payment_terms?"), "{}", found.text);
    assert!(!fault(&["zzzzzzzz", "qqqqqqqqqqqqqq"]).text.contains("mean"));
    let long = "n".repeat(64);
    let segment = [long.as_str(); 5];
    assert_eq!(fault(&segment).code, "attribute-unknown");
}

#[test]
fn patches_are_all_or_nothing() {
    let patch = json!({
        "name": {"legal": "Acme"},
        "company": {"1000": {"payment_terms": "NT30", "payment_block": null}},
        "bank": {"de89 3704 0044 0532 0130 00": {"bic": "COBADEFF", "verification": "pending"}},
        "address": {"main": {"city": "Lyon", "country": "FR", "usage": {"bill-to": true}}},
    });
    let assertions = normalize_patch(&patch, &german()).unwrap();
    let paths: Vec<&str> = assertions.keys().map(AttributePath::as_str).collect();
    assert_eq!(
        paths,
        [
            "address/main",
            "address/main/usage/bill-to",
            "bank/DE89370400440532013000",
            "bank/DE89370400440532013000/verification",
            "company/1000/payment_block",
            "company/1000/payment_terms",
            "name/legal",
        ]
    );
    let twice = json!({"bank": {IBAN: true, "de89370400440532013000": true}});
    assert_eq!(normalize_patch(&twice, &german()).unwrap_err()[0].code, "item-twice");
    let faults =
        json!({"name": {"legal": "", "person": {"given": "A"}}, "identifier": {"duns": "1"}});
    let faults = normalize_patch(&faults, &german()).unwrap_err();
    let codes: Vec<&str> = faults.iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["duns-malformed", "text-empty", "member-missing"]);
    let many: Map<String, Json> = (0..501).map(|n| (format!("M{n}"), json!(true))).collect();
    let many = json!({"company": {"1000": {"payment_methods": many}}});
    assert_eq!(normalize_patch(&many, &german()).unwrap_err()[0].code, "collection-too-large");
    let heavy: Map<String, Json> =
        (0..30).map(|n| (format!("n{n}"), json!("x".repeat(9_900)))).collect();
    let heavy = json!({"general": {"note": heavy}});
    assert_eq!(normalize_patch(&heavy, &german()).unwrap_err()[0].code, "record-too-large");
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        "[+0-9 ()/.x-]{0,24}".prop_map(Json::from),
        "[A-Za-z]{2}[0-9A-Za-z ]{0,30}".prop_map(Json::from),
    ];
    let name = prop_oneof![
        "[a-z_]{1,10}",
        proptest::sample::select(vec![
            "value",
            "raw",
            "valid_from",
            "valid_to",
            "release",
            "amount",
            "currency",
            "country",
            "reason",
            "number"
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(2, 12, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            proptest::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|members| members.into_iter().collect::<Json>()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_input_makes_the_door_panic(
        row in 0..table().len(),
        keys in proptest::collection::vec(
            prop_oneof![
                ".{1,20}", "[+]?[0-9() /-]{3,20}", "[A-Z]{2}[0-9]{2}[0-9A-Z ]{4,26}",
                "[A-Z]{2}:VAT:[A-Z0-9]{1,14}", "[a-z]{1,6}@[a-zä.]{1,9}", "[A-Z0-9]{1,4}:[0-9]{1,2}:[0-9]{1,2}",
            ],
            4,
        ),
        input in any_json(),
    ) {
        let attribute = &table()[row];
        let mut keys = keys.into_iter();
        let parts: Vec<String> = attribute
            .pattern
            .split('/')
            .map(|part| if part.starts_with('{') { keys.next().unwrap() } else { part.to_owned() })
            .collect();
        let path = AttributePath::from_segments(&parts).unwrap();
        match normalize(&path, &input, &german()) {
            Ok((canonical, assertion)) => {
                prop_assert_eq!(attribute.check(&canonical, &assertion), Ok(()));
                // A canonical path is its own canonical form, and what is stored reads back.
                prop_assert_eq!(canonical_path(&canonical, &german()), Ok(canonical.clone()));
                prop_assert_eq!(Assertion::from_cell(&assertion.to_cell()), Ok(assertion.clone()));
                if let Assertion::Stated(statement) = assertion {
                    let again = serde_json::to_value(&statement.value).unwrap();
                    let again = normalize(&canonical, &again, &german()).unwrap().1;
                    let Assertion::Stated(again) = again else { panic!("{again:?}") };
                    prop_assert_eq!(again.value, statement.value);
                }
            }
            Err(faults) => {
                prop_assert!(!faults.is_empty());
                for fault in faults {
                    prop_assert!(CODES.contains(&fault.code), "{}", fault.code);
                }
            }
        }
    }

    #[test]
    fn no_text_makes_a_telephone_or_vat_number_panic(
        text in prop_oneof!["[+0-9 ]{1,24}", "\\+?[0-9]{1,20}(x|ext|;ext=|#)?[0-9]{0,12}", ".{0,30}"],
        country in proptest::sample::select(rust_iso3166::ALL),
    ) {
        let here = phone::phone(&text, Some(country.alpha2));
        if let Ok(number) = here {
            prop_assert_eq!(phone::phone(&number, None), Ok(number));
        }
        drop(vat::tax_id(&format!("{}:VAT:{text}", country.alpha2)));
        drop(vat::tax_id(&format!("{}{text}", country.alpha2)));
    }

    #[test]
    fn money_reads_what_it_writes(minor in -crate::limits::INT_MAX..=crate::limits::INT_MAX, which in 0..4_usize) {
        let currency = ["EUR", "JPY", "KWD", "CLF"][which];
        let text = format_money(minor, currency).unwrap();
        prop_assert_eq!(parse_money(&text, currency), Ok(minor));
    }
}
