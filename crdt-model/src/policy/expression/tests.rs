//! Tests of expressions: what is taken, what is refused and why, what they see, and what the worst
//! costs.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::limits::RECORD_MAX;
use crate::path::AttributePath;
use crate::value::{Scalar, Value};

type Record = BTreeMap<AttributePath, Value>;

fn text(text: &str) -> Scalar {
    Scalar::Text(text.to_owned())
}

fn group<const N: usize>(members: [(&str, Scalar); N]) -> Value {
    Value::Group(members.into_iter().map(|(name, scalar)| (name.to_owned(), scalar)).collect())
}

fn limit(amount: i64, currency: &str) -> Value {
    group([("amount", Scalar::Int(amount)), ("currency", text(currency))])
}

fn record() -> Record {
    let entries = [
        ("name/legal", Value::text("Acme GmbH")),
        ("credit/1000/limit", limit(500_000, "EUR")),
        ("credit/1000/risk_class", Value::text("low")),
        ("bank/DE89370400440532013000", group([("holder", text("Acme GmbH"))])),
        ("bank/DE89370400440532013000/verification", Value::text("pending")),
        ("company/1000/clearing_with_vendor", Value::One(Scalar::Bool(true))),
        ("general/note/a", Value::text("x".repeat(TEXT_MAX + 1))),
    ];
    entries.into_iter().map(|(path, value)| (path.parse().unwrap(), value)).collect()
}

fn ask_all(source: &str, record: &Record, path: &str) -> (Result<bool, String>, u64) {
    let expression = Expression::compile(source).unwrap();
    let golden: BTreeMap<_, _> = record.iter().collect();
    let mut facts = Facts::of(&golden, None);
    let path: AttributePath = path.parse().unwrap();
    facts.turn_to(&path, &record[&path]);
    let (answer, left) = expression.holds(&mut facts, STEPS_MAX);
    (answer, STEPS_MAX - left)
}

/// What an expression says of the limit of [`record`].
fn ask(source: &str) -> Result<bool, String> {
    ask_all(source, &record(), "credit/1000/limit").0
}

#[test]
fn an_expression_sees_the_value_its_keys_and_the_record() {
    for (source, answer) in [
        ("value.amount <= 500000", true),
        ("value.amount < 500000 || value.currency != 'EUR'", false),
        ("value.currency in ['EUR', 'USD']", true),
        ("record.credit[keys.segment].limit == value", true),
        ("record.credit[keys.segment].risk_class == 'low'", true),
        ("has(record.credit['1000'].block)", false),
        ("!has(record.credit['1000'].block) || record.credit['1000'].block.reason == 'x'", true),
        ("'1000' in record.credit && !('2000' in record.credit)", true),
        ("record.bank.all(iban, record.bank[iban].holder == record.name.legal)", true),
        ("record.bank.exists(iban, record.bank[iban].verification == 'verified')", false),
        ("record.bank.all(iban, iban.startsWith('DE') && size(iban) == 22)", true),
        ("record.bank.all(iban, iban.matches('^[A-Z]{2}[0-9]{20}$'))", true),
        ("matches(value.currency, '^[a-z]+$')", false),
        ("record.company['1000'].clearing_with_vendor", true),
        ("has(record.general.note.a)", true),
        ("record.general.note.a == 'x'", false),
        ("size(record.bank) == 1 && size(value) == 2", true),
        ("value.amount + 1 > 500000 ? value.currency.endsWith('R') : false", true),
        ("int('12') + value.amount == 500012 && string(value.amount) == '500000'", true),
        ("double('2.5') * 2.0 == double(5) && has(value.amount)", true),
        ("value.all(member, member in ['amount', 'currency'])", true),
        ("value.all(a, value.all(b, a == b || a != b))", true),
        ("record.name.legal.contains('GmbH') && value.amount % 1000 == 0", true),
    ] {
        assert_eq!(ask(source), Ok(answer), "{source}");
    }
}

#[test]
fn what_cannot_be_answered_says_why() {
    for (source, says) in [
        ("value.amont > 0", "There is no amont in this record. Ask has(...)"),
        ("record.bank['FR'].holder == 'x'", "There is no FR"),
        ("value.amount > 'a'", "_>_"),
        ("value.currency", "gives string, not true or false"),
        ("value.amount / 0 == 1", "zero"),
        ("value.amount * 9223372036854775807 > 0", "Overflow"),
        ("int(value.currency) > 0", "int"),
        ("record.general.note.a.contains('x')", "contains"),
        ("size(record.general.note.a) > 1", "a text of more than 1,024 bytes"),
        ("value.currency.all(c, c == 'E')", "iterable"),
        ("record == 1 || record[1] == 2", "There is no"),
    ] {
        let why = ask(source).unwrap_err();
        assert!(why.contains(says), "{source}: {why}");
        assert!(why.chars().count() < 300, "{why}");
        assert_eq!(ask(source).unwrap_err(), why);
    }
}

#[test]
fn what_an_expression_must_not_is_refused_by_name() {
    let long = format!("value == '{}'", "x".repeat(SOURCE_MAX));
    let deep = format!("{}value{} == 1", "(".repeat(30), ")".repeat(30));
    let chain = format!("value{} == 1", ".a".repeat(40));
    let sum = format!("value{} > 1", "+value".repeat(9));
    let pattern = format!("value.matches('{}')", "a".repeat(PATTERN_MAX + 1));
    let wide = format!("value in [{}]", vec!["1"; 240].join(","));
    for (source, says) in [
        ("", "cannot be read"),
        ("value >", "cannot be read"),
        ("value > 1 value", "line 1, column"),
        ("now() > value", "\"now\" is not allowed. A check may not depend on the time."),
        ("timestamp(value) > timestamp('2020-01-01T00:00:00Z')", "may not depend on the time"),
        ("value.getHours() > 1", "may not depend on the time"),
        ("random() > value", "may not depend on chance"),
        ("value.startWith('a')", "Did you mean startsWith?"),
        ("valu > 1", "Did you mean value?"),
        ("value > today", "There is no \"today\" here."),
        ("1 < 2", "says the same of every record"),
        ("true", "says the same of every record"),
        ("value.amount + 1", "does not give true or false"),
        ("size(value)", "does not give true or false"),
        ("'a' == value ? 1 : 2", "does not give true or false"),
        ("record.bank.map(k, k) == value", "x.all(key, ...)"),
        ("record.bank.filter(k, k == 'a') == value", "x.all(key, ...)"),
        ("record.bank.exists_one(k, k == 'a') && value", "x.all(key, ...)"),
        ("record.bank.all(k)", "all is not written like this"),
        ("[1, 2].all(x, x == value)", "A loop goes through a part of record or value"),
        ("record.all(value, value == 'a')", "something else than value"),
        ("record.all(a, record.all(b, record.all(c, a == b || b == c)))", "deeper than 2"),
        ("{'a': value} == value", "makes no tables"),
        ("Thing{a: value} == value", "makes no tables"),
        ("value == null", "Ask has(...)"),
        ("value == b'a'", "Leave out the b or u"),
        ("value.matches(record.name.legal)", "nothing computed"),
        ("value.matches('(')", "cannot be used"),
        ("value.matches('(a{100}){100}')", "cannot be used"),
        ("size(value, 1) > 1", "takes 1 things, not 2"),
        ("type(value) == int", "\"type\" is not allowed"),
        ("value.?a == 1", "cannot be read"),
        (&long, "at most 512"),
        (&deep, "nested deeper"),
        (&chain, "nested deeper"),
        (&sum, "adds more than 8 times"),
        (&pattern, "at most 100"),
        (&wide, ""),
    ] {
        match Expression::compile(source) {
            Err(error) => assert!(error.to_string().contains(says), "{source}: {error}"),
            Ok(expression) => assert!(says.is_empty() && expression.nodes <= NODES_MAX, "{source}"),
        }
    }
}

#[test]
fn an_expression_knows_what_it_mentions() {
    let of = |source: &str| Expression::compile(source).unwrap().mentions().clone();
    let mentions = of("record.bank[keys.iban].holder == record['name'].legal && has(value.bic)");
    assert_eq!(mentions.sections, ["bank", "name"].map(str::to_owned).into());
    assert_eq!(mentions.keys, ["iban".to_owned()].into());
    assert_eq!(mentions.members, ["bic".to_owned()].into());
    assert!(!mentions.is_whole_record);
    assert!(of("record.all(section, section != 'x')").is_whole_record);
}

/// The largest record: as many items as a collection may have, near the bytes of a record.
fn largest() -> Record {
    let holder = "y".repeat(RECORD_MAX / ITEMS_MAX - 100);
    let items = (0..ITEMS_MAX).map(|place| {
        let path = format!("bank/DE{place:020}").parse().unwrap();
        (path, group([("holder", text(&holder))]))
    });
    items.collect()
}

/// The expressions that cost most for what they are: deep loops, long texts, patterns, comparisons.
fn worst() -> Vec<String> {
    let mut all = vec![
        "record.bank.all(a, record.bank.all(b, record.bank[a].holder == record.bank[b].holder))"
            .to_owned(),
        "record.bank.all(a, record.bank.all(b, record.bank == record.bank))".to_owned(),
        "record.bank.all(a, record.bank[a].holder.matches('^(y|yy|yyy)*(y|yy)*$'))".to_owned(),
        "record.bank.all(a, record.bank.all(b, a.matches('^(D|DE)*[0-9]*(0|00|000)*[A-Z]?$')))"
            .to_owned(),
    ];
    let mut filled = "record.bank.all(a, record.bank.all(b, ".to_owned();
    while filled.len() < SOURCE_MAX - 30 {
        write!(filled, "a.contains(b+b) || ").unwrap();
        if filled.matches('+').count() == ADDITIONS_MAX {
            break;
        }
    }
    while filled.len() < SOURCE_MAX - 16 {
        filled.push_str("a != a || ");
    }
    filled.push_str("a == a))");
    all.push(filled);
    let mut long = "record.bank.all(a, ".to_owned();
    while long.len() < SOURCE_MAX - 40 {
        long.push_str("value.holder.contains(a) || ");
    }
    long.push_str("a == a)");
    all.push(long);
    all
}

#[test]
fn the_worst_expression_on_the_largest_record_ends_within_its_steps() {
    let record = largest();
    let first = record.keys().next().unwrap().to_string();
    for source in worst() {
        assert!(source.len() <= SOURCE_MAX, "{source}");
        let (answer, used) = ask_all(&source, &record, &first);
        // The steps bound the work: every turn of a loop costs as many as there are nodes.
        assert!(used <= STEPS_MAX, "{source}: {used}");
        assert!(answer.is_ok() || used > STEPS_MAX / 2, "{source}: {answer:?} after {used}");
        assert_eq!(ask_all(&source, &record, &first), (answer, used), "{source}");
    }
}

#[test]
fn a_collection_over_the_limit_is_not_gone_through() {
    let mut record = largest();
    record.insert("bank/X:one-more".parse().unwrap(), group([("holder", text("z"))]));
    let source = "record.bank.exists(a, a == 'no') || true";
    let why = ask_all(source, &record, "bank/X:one-more").0.unwrap_err();
    assert!(why.contains("too large for this check"), "{why}");
}

#[test]
fn steps_that_are_gone_give_no_answer_whatever_the_expression() {
    let record = record();
    let golden: BTreeMap<_, _> = record.iter().collect();
    let mut facts = Facts::of(&golden, None);
    let expression = Expression::compile("value == 1 || true || record.bank.all(a, true)").unwrap();
    for steps in 0..200 {
        let (answer, left) = expression.holds(&mut facts, steps);
        assert!(left <= steps);
        assert!(answer.is_err() || answer == Ok(true), "{steps}");
    }
    assert!(expression.holds(&mut facts, 0).0.is_err());
    assert_eq!(expression.holds(&mut facts, STEPS_MAX).0, Ok(true));
}

/// Texts that look like expressions, and some that do not.
fn any_source() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "value", "record", "keys", ".", "bank", "[", "]", "(", ")", "'a'", "1", "2.5", "==", "&&",
        "||", "!", "-", "?", ":", "+", "in", "has", "all", "exists", "a", ",", "size", "matches",
        "{", "}", "\"", "'", "r'", "\\", "`", "int", "@", "é", "\u{0}", "true", "null", "0x", "1e",
    ];
    let word = proptest::sample::select(WORDS);
    prop_oneof![
        proptest::collection::vec(word, 0..40).prop_map(|words| words.join(" ")),
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_the_compiler_panic_and_what_it_takes_is_bounded(source in any_source()) {
        if let Ok(expression) = Expression::compile(&source) {
            prop_assert!(expression.nodes <= NODES_MAX);
            let (answer, used) = ask_all(&source, &record(), "credit/1000/limit");
            prop_assert!(used <= STEPS_MAX);
            prop_assert_eq!(ask_all(&source, &record(), "credit/1000/limit").0, answer);
        }
    }
}
