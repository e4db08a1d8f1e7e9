//! Trees and paths are two spellings of one thing.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::attribute::table;

fn flat(patch: &Json) -> Vec<(String, Json)> {
    flatten(patch).unwrap().into_iter().map(|(path, json)| (path.to_string(), json)).collect()
}

fn leaf(path: &str, json: Json) -> (String, Json) {
    (path.to_owned(), json)
}

fn faults(patch: &Json) -> Vec<(&'static str, String)> {
    flatten(patch).unwrap_err().into_iter().map(|fault| (fault.code, fault.pointer)).collect()
}

#[test]
fn groups_stop_the_descent_and_what_hangs_below_is_split_out() {
    let patch = json!({
        "company": {"1000": {"payment_terms": "NT30", "payment_block": null}},
        "address": {"main": {"city": "Lyon", "usage": {"bill-to": true}, "validation": {"state": "valid"}}},
        "bank": {"DE89 3704": {"verification": "pending"}},
        "sales": {"1000:10:00": {"currency": {"value": "EUR", "valid_from": "2026-01-01"}}},
        "block": {"order": {"release": "paid"}},
        "phone": {"+4930123456": {}},
        "legal_hold": {},
    });
    assert_eq!(
        flat(&patch),
        [
            leaf("address/main", json!({"city": "Lyon"})),
            leaf("address/main/usage/bill-to", json!(true)),
            leaf("address/main/validation", json!({"state": "valid"})),
            leaf("bank/DE89%203704/verification", json!("pending")),
            leaf("block/order", json!({"release": "paid"})),
            leaf("company/1000/payment_block", Json::Null),
            leaf("company/1000/payment_terms", json!("NT30")),
            leaf("phone/%2B4930123456", json!({})),
            leaf("sales/1000:10:00/currency", json!({"value": "EUR", "valid_from": "2026-01-01"})),
        ]
    );
}

#[test]
fn own_attributes_may_stand_above_others() {
    let patch = json!({"x": {"tier": {"value": "gold", "since": "2020", "of": {"what": {"value": "all"}}}}});
    assert_eq!(
        flat(&patch),
        [
            leaf("x/tier", json!("gold")),
            leaf("x/tier/of/what", json!("all")),
            leaf("x/tier/since", json!("2020")),
        ]
    );
}

#[test]
fn unknown_names_are_told_with_the_nearest() {
    let patch =
        json!({"compny": {}, "company": {"1000": {"payment_term": "A"}}, "name": {"legal/x": 1}});
    let found = flatten(&patch).unwrap_err();
    let places: Vec<&str> = found.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(places, ["/company/1000/payment_term", "/compny", "/name/legal~1x"]);
    assert!(found.iter().all(|fault| fault.code == "attribute-unknown"));
    assert!(found[0].text.contains("payment_terms?"), "{}", found[0].text);
    assert!(found[1].text.contains("company?"), "{}", found[1].text);
}

#[test]
fn removals_must_name_attributes() {
    let wide = ("removal-too-wide", "/company/1000".to_owned());
    assert_eq!(faults(&json!({"company": {"1000": null}})), [wide]);
    assert_eq!(faults(&json!({"company": null}))[0].0, "removal-too-wide");
    assert_eq!(faults(&json!({"company": "A"}))[0].0, "wrong-type");
    assert_eq!(faults(&json!(null)), [("wrong-type", String::new())]);
    assert_eq!(faults(&json!({"x": {"": "a"}}))[0].0, "path-too-long");
    assert_eq!(faults(&json!({"x": {"k".repeat(400): "a"}}))[0].0, "path-too-long");
}

#[test]
fn hostile_trees_cost_little() {
    let mut deep = json!("end");
    // serde_json reads 128 levels; many more would be too deep to drop on the stack of a test.
    for _ in 0..1_000 {
        deep = json!({"a": deep});
    }
    assert!(flatten(&deep).is_err());
    let leaves = flatten(&json!({"name": {"legal": deep}})).unwrap();
    assert!(crate::normalize::normalize(&leaves[0].0, &leaves[0].1, &Default::default()).is_err());
    let wide: Map<String, Json> = (0..6_000).map(|n| (format!("k{n}"), json!("a"))).collect();
    assert_eq!(faults(&json!({"x": wide})), [("too-many-fields", String::new())]);
    let wrong: Map<String, Json> = (0..6_000).map(|n| (format!("k{n}"), json!("a"))).collect();
    assert_eq!(flatten(&Json::Object(wrong)).unwrap_err().len(), FAULTS_MAX);
}

#[test]
fn merging_keeps_what_a_patch_does_not_name() {
    let text = |text: &str| Scalar::Text(text.to_owned());
    let stored = Value::Group(BTreeMap::from([
        ("city".to_owned(), text("Lyon")),
        ("country".to_owned(), text("FR")),
        ("postcode".to_owned(), text("69001")),
    ]));
    let stored = Statement::plain(stored);
    let patch = json!({"city": "Paris", "postcode": null});
    assert_eq!(merge(Some(&stored), &patch), json!({"city": "Paris", "country": "FR"}));
    assert_eq!(merge(None, &patch), patch);
    assert_eq!(merge(Some(&stored), &Json::Null), Json::Null);
    let release = json!({"release": "paid"});
    assert_eq!(merge(Some(&stored), &release), release);
    // What holds from a day on holds from that day on, unless the patch says otherwise.
    let planned = Statement { valid_from: Some(jiff::civil::date(2027, 1, 1)), ..stored };
    let moved = merge(Some(&planned), &patch);
    assert_eq!(moved, json!({"city": "Paris", "country": "FR", "valid_from": "2027-01-01"}));
    let at_once = merge(Some(&planned), &json!({"city": "Paris", "valid_from": null}));
    assert_eq!(at_once, json!({"city": "Paris", "country": "FR", "postcode": "69001"}));
    let plain = Statement::plain(Value::text("a"));
    assert_eq!(merge(Some(&plain), &patch), patch);
}

#[test]
fn a_currency_without_its_amount_is_refused() {
    let path: AttributePath = "credit/1000/limit".parse().unwrap();
    let row = crate::attribute::lookup(&path).unwrap();
    let limit = Value::Group(BTreeMap::from([
        ("amount".to_owned(), Scalar::Int(100_000)),
        ("currency".to_owned(), Scalar::Text("EUR".to_owned())),
    ]));
    let current = Statement::plain(limit);
    let fault = |patch: &Json| amount_left_behind(row, &path, &current, patch);
    let found = fault(&json!({"currency": "JPY"})).unwrap();
    assert_eq!((found.code, &*found.pointer), ("member-missing", "/credit/1000/limit/amount"));
    for fine in [
        json!({"currency": "EUR"}),
        json!({"currency": "JPY", "amount": "5"}),
        json!({"amount": "7"}),
    ] {
        assert_eq!(fault(&fine), None, "{fine}");
    }
}

/// A leaf as an attribute can have it: a scalar, or an object of scalars that are no attributes below.
fn any_leaf(is_group: bool) -> BoxedStrategy<Json> {
    let scalar = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        ".{0,8}".prop_map(Json::from),
    ];
    let names = if is_group {
        vec!["city", "amount", "valid_from", "reason"]
    } else {
        vec!["raw", "valid_from", "valid_to", "release"]
    };
    let object = proptest::collection::btree_map(
        proptest::sample::select(names).prop_map(str::to_owned),
        scalar.clone(),
        0..4,
    );
    prop_oneof![scalar, object.prop_map(|members| members.into_iter().collect::<Json>())].boxed()
}

fn any_leaves() -> impl Strategy<Value = BTreeMap<AttributePath, Json>> {
    let segment = prop_oneof!["[a-f]{1,2}", "[A-Z0-9:/~ä%@ ]{1,6}"];
    let row =
        (0..table().len(), proptest::collection::vec(segment, 4)).prop_flat_map(|(row, keys)| {
            let attribute = &table()[row];
            let mut keys = keys.into_iter();
            let parts: Vec<String> = attribute
                .pattern
                .split('/')
                .map(
                    |part| {
                        if part.starts_with('{') { keys.next().unwrap() } else { part.to_owned() }
                    },
                )
                .collect();
            let path = AttributePath::from_segments(&parts).unwrap();
            (Just(path), any_leaf(matches!(attribute.value, ValueType::Group(_))))
        });
    proptest::collection::btree_map(row.clone().prop_map(|(path, _)| path), Just(()), 0..12)
        .prop_flat_map(move |paths| {
            let leaves: Vec<_> = paths
                .into_keys()
                .map(|path| {
                    let attribute = crate::attribute::lookup(&path).unwrap();
                    let is_group = matches!(attribute.value, ValueType::Group(_));
                    (Just(path), any_leaf(is_group))
                })
                .collect();
            leaves.prop_map(BTreeMap::from_iter)
        })
}

proptest! {
    #[test]
    fn flatten_undoes_nest(leaves in any_leaves()) {
        let tree = nest(leaves.iter().map(|(path, json)| (path, json.clone())));
        let back: BTreeMap<AttributePath, Json> = flatten(&tree).unwrap().into_iter().collect();
        prop_assert_eq!(back, leaves);
    }

    #[test]
    fn no_tree_makes_flatten_panic(text in "\\{(\"(x|name|bank|address|value|a)\":(\\{\\}|1|null|\\{\"(value|a|legal|verification)\":(null|\\{\"b\":\\{\"c\":\\{\"d\":1\\}\\}\\})\\})){0,1}\\}") {
        let tree: Json = serde_json::from_str(&text).unwrap();
        if let Ok(leaves) = flatten(&tree) {
            let again = nest(leaves.iter().map(|(path, json)| (path, json.clone())));
            prop_assert_eq!(flatten(&again).unwrap(), leaves);
        }
    }
}
