//! How values, times and paths look to people.

use crdt_model::normalize::format_money;
use crdt_model::tree::flatten;
use serde_json::Value as Json;

use super::table::one_line;

/// The attributes of a customer tree, in its order: path and value.
pub(super) fn attributes(customer: &Json) -> Vec<(String, Json)> {
    let leaves = flatten(customer).unwrap_or_default();
    leaves.into_iter().map(|(path, value)| (path.to_string(), value)).collect()
}

/// A value in words: `EUR 5000.00`, `yes`, `city Berlin, country DE`.
pub(super) fn value(value: &Json) -> String {
    match value {
        Json::Null => "nothing".to_owned(),
        Json::Bool(true) => "yes".to_owned(),
        Json::Bool(false) => "no".to_owned(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => one_line(text),
        Json::Array(_) => one_line(&value.to_string()),
        Json::Object(members) => {
            let currency = value["currency"].as_str().unwrap_or_default();
            let amount = value["amount"].as_i64().and_then(|minor| format_money(minor, currency));
            let money = amount.map(|amount| format!("{currency} {amount}"));
            let is_money = money.is_some();
            let others = members
                .iter()
                .filter(|(name, _)| !(is_money && matches!(name.as_str(), "amount" | "currency")))
                .map(|(name, member)| format!("{name} {}", self::value(member)));
            money.into_iter().chain(others).collect::<Vec<_>>().join(", ")
        }
    }
}

/// A text of an answer; empty when there is none.
pub(super) fn text(json: &Json) -> String {
    json.as_str().map(one_line).unwrap_or_default()
}

/// A time in milliseconds since 1970, to the second, in UTC.
pub(super) fn time(ms: u64) -> String {
    let known = i64::try_from(ms).ok().filter(|ms| *ms > 0);
    let time = known.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| "never".to_owned(), |time| format!("{time:.0}"))
}

/// A text in lines of a readable length; the first one begins with `first`, the others with `rest`.
pub(super) fn wrapped(text: &str, first: &str, rest: &str) -> String {
    let mut wrapped = first.to_owned();
    let mut column = first.chars().count();
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > LINE {
            wrapped.push_str(&format!("\n{rest}"));
            column = rest.chars().count();
        } else if index > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

/// Columns of a line that is read comfortably.
const LINE: usize = 100;

/// What an assertion says: a value with its days, a removal or a release.
pub(super) fn assertion(says: &Json) -> String {
    if says["tombstone"].as_bool() == Some(true) {
        return "withdrawn".to_owned();
    }
    if let Some(reason) = says["release"].as_str() {
        return format!("released: {}", one_line(reason));
    }
    if let Some(fault) = says["unreadable"].as_str() {
        return format!("unreadable: {}", one_line(fault));
    }
    let mut shown = value(&says["value"]);
    for (name, word) in [("valid_from", "from"), ("valid_to", "to")] {
        if let Some(day) = says[name].as_str() {
            shown.push_str(&format!(" ({word} {day})"));
        }
    }
    if let Some(raw) = says["raw"].as_str() {
        shown.push_str(&format!(" (written {:?})", one_line(raw)));
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_read_like_words() {
        for (json, expected) in [
            (json!("NT30"), "NT30"),
            (json!(true), "yes"),
            (json!({"amount": 500_000, "currency": "EUR"}), "EUR 5000.00"),
            (json!({"amount": 500, "currency": "JPY"}), "JPY 500"),
            (json!({"amount": 1, "currency": "??"}), "amount 1, currency ??"),
            (json!({"city": "Berlin", "country": "DE"}), "city Berlin, country DE"),
            (json!("a\u{1b}[2J"), "a [2J"),
        ] {
            assert_eq!(value(&json), expected);
        }
        assert_eq!(assertion(&json!({"tombstone": true})), "withdrawn");
        assert_eq!(
            assertion(&json!({"value": "A", "raw": "a", "valid_from": "2026-01-01"})),
            "A (from 2026-01-01) (written \"a\")"
        );
        assert_eq!(wrapped(&"word ".repeat(21), "- ", "  ").lines().count(), 2);
        assert_eq!(wrapped("a  b", "- ", "  "), "- a  b");
        assert_eq!(time(0), "never");
        assert_eq!(time(1_700_000_000_999), "2023-11-14T22:13:20Z");
    }
}
