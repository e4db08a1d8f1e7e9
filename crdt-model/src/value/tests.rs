//! What is asserted reads back from the cell, and no cell makes the reader panic.

use proptest::prelude::*;
use serde::ser::Serializer;
use serde_json::Value as Json;

use super::*;
use crate::limits::INT_MAX;

/// What a group or a framed value can carry exactly: JSON numbers beyond 2^53 lose digits.
fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<bool>().prop_map(Scalar::Bool),
        (-INT_MAX..=INT_MAX).prop_map(Scalar::Int),
        any::<String>().prop_map(Scalar::Text),
        "\\{.{0,8}".prop_map(Scalar::Text),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let name = ".{0,6}".prop_filter("reserved", |name| !RESERVED_MEMBERS.contains(&name.as_str()));
    prop_oneof![
        scalar().prop_map(Value::One),
        proptest::collection::btree_map(name, scalar(), 0..5).prop_map(Value::Group),
    ]
}

fn date() -> impl Strategy<Value = Option<Date>> {
    proptest::option::of(
        (1_i16..=9999, 1_i8..=12, 1_i8..=28).prop_map(|(y, m, d)| Date::constant(y, m, d)),
    )
}

fn assertion() -> impl Strategy<Value = Assertion> {
    let stated = (value(), proptest::option::of(any::<String>()), date(), date()).prop_map(
        |(value, raw, a, b)| {
            let (valid_from, valid_to) =
                if a.zip(b).is_some_and(|(a, b)| a > b) { (b, a) } else { (a, b) };
            Assertion::Stated(Statement { value: value.into(), raw, valid_from, valid_to })
        },
    );
    prop_oneof![
        8 => stated,
        1 => Just(Assertion::Tombstone),
        1 => any::<String>().prop_map(|reason| Assertion::Release { reason }),
    ]
}

/// Any JSON that serde can hold: floats, names outside ASCII, numbers beyond what is exact.
fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-9_i64..9).prop_map(Json::from),
        (-1e6_f64..1e6).prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        let names = prop_oneof!["[a-z !\"\\\\\\n]{0,3}", "[\u{e000}-\u{10ffff}]{1,2}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            proptest::collection::btree_map(names, inner, 0..5)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

/// The same with the members of every object in the opposite order, as a struct may declare them.
struct Backwards<'a>(&'a Json);

impl Serialize for Backwards<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Json::Object(members) => serializer
                .collect_map(members.iter().rev().map(|(name, member)| (name, Backwards(member)))),
            Json::Array(items) => serializer.collect_seq(items.iter().map(Backwards)),
            plain @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) => {
                plain.serialize(serializer)
            }
        }
    }
}

proptest! {
    #[test]
    fn the_short_way_to_canonical_json_ends_where_the_library_does(json in json()) {
        let expected = serde_json_canonicalizer::to_string(&json).unwrap();
        let backwards = canonical_json(&Backwards(&json));
        prop_assert_eq!(&backwards, &expected);
        prop_assert_eq!(canonical_json(&json), expected);
    }

    #[test]
    fn assertions_read_back(assertion in assertion()) {
        let cell = assertion.to_cell();
        prop_assert_eq!(Assertion::from_cell(&cell), Ok(assertion));
    }

    #[test]
    fn plain_whole_numbers_read_back(number in any::<i64>()) {
        let assertion = Assertion::Stated(Statement::plain(Value::One(Scalar::Int(number))));
        prop_assert_eq!(assertion.to_cell(), Cell::Int(number));
        prop_assert_eq!(Assertion::from_cell(&Cell::Int(number)), Ok(assertion));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in prop_oneof![".{0,60}", "\\{[\"a-z:,0-9{}\\[\\]]{0,40}"]) {
        // What was read is written in canonical form and reads back the same.
        if let Ok(read) = Assertion::from_cell(&Cell::Str(text)) {
            prop_assert_eq!(Assertion::from_cell(&read.to_cell()), Ok(read));
        }
    }
}

#[test]
fn cells_are_what_any_tool_can_read() {
    let cell = |value: Value| Assertion::Stated(Statement::plain(value)).to_cell();
    assert_eq!(cell(Value::text("Acme")), Cell::Str("Acme".to_owned()));
    assert_eq!(cell(Value::One(Scalar::Bool(true))), Cell::Bool(true));
    assert_eq!(cell(Value::text("{")), Cell::Str("{\"value\":\"{\"}".to_owned()));
    let limit = Value::Group(BTreeMap::from([
        ("currency".to_owned(), Scalar::Text("EUR".to_owned())),
        ("amount".to_owned(), Scalar::Int(1250)),
    ]));
    assert_eq!(cell(limit), Cell::Str("{\"amount\":1250,\"currency\":\"EUR\"}".to_owned()));
    assert_eq!(Assertion::Tombstone.to_cell(), Cell::Null);
}

#[test]
fn foreign_cells_are_told_apart() {
    let read = |text: &str| Assertion::from_cell(&Cell::Str(text.to_owned()));
    for broken in
        ["{", "{\"a\":[1]}", "{\"a\":null}", "{\"a\":1.5}", "{\"value\":1,\"a\":2}", "{\"raw\":1}"]
    {
        assert_eq!(read(broken), Err(CellError::NotAnObject), "{broken}");
    }
    for broken in
        ["{\"valid_from\":\"soon\"}", "{\"valid_from\":\"2026-02-01\",\"valid_to\":\"2026-01-01\"}"]
    {
        assert_eq!(read(broken), Err(CellError::Validity), "{broken}");
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    assert_eq!(read(&deep), Err(CellError::NotAnObject));
}

#[test]
fn json_that_is_no_value_is_refused() {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    assert_eq!(read("true"), Some(Value::One(Scalar::Bool(true))));
    assert_eq!(read("-7"), Some(Value::One(Scalar::Int(-7))));
    assert_eq!(read(r#""a\u00e9""#), Some(Value::text("aé")));
    let group = BTreeMap::from([("a".to_owned(), Scalar::Int(1))]);
    assert_eq!(read(r#"{"a":1}"#), Some(Value::Group(group)));
    for text in ["null", "1.0", "9223372036854775808", "[]", r#"{"a":{}}"#, r#"{"a":null}"#] {
        assert_eq!(read(text), None, "{text}");
    }
}
