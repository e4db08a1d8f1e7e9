//! Numbers, days and codes as files write them.

use super::{day, mapped, number};
use crate::import::mapping::ValueMap;

#[test]
fn numbers_are_read_in_the_manner_of_the_file() {
    let comma = [
        ("1234,56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("1.234.567", "1234567"),
        ("12 345,6", "12345.6"),
        ("12\u{a0}345,6", "12345.6"),
        ("12'345,60", "12345.60"),
        ("-5", "-5"),
        ("5-", "-5"),
        ("+5,0", "5.0"),
        ("0,50", "0.50"),
        ("007", "007"),
    ];
    for (written, read) in comma {
        assert_eq!(number(written, ',').as_deref(), Some(read), "{written}");
    }
    let dot = [("1,234.56", "1234.56"), ("12,34,567.00", "1234567.00"), ("12.5", "12.5")];
    for (written, read) in dot {
        assert_eq!(number(written, '.').as_deref(), Some(read), "{written}");
    }
}

#[test]
fn a_number_that_could_be_another_one_is_refused() {
    for written in ["12.34", "1.23.4", "1234.567", ".5", ",5", "5,", "1,2,3", "", "-", "x", "1e3"] {
        assert_eq!(number(written, ','), None, "{written}");
    }
    for written in ["12,34", "1,23,45", "1 2", "€5", "--5", "1,234,5", "123,45,678", "٣"] {
        assert_eq!(number(written, '.'), None, "{written}");
    }
}

#[test]
fn days_are_read_by_the_format_alone() {
    assert_eq!(day("31.12.2026", "%d.%m.%Y").unwrap(), "2026-12-31");
    assert_eq!(day("12/31/2026", "%m/%d/%Y").unwrap(), "2026-12-31");
    assert_eq!(day("20261231", "%Y%m%d").unwrap(), "2026-12-31");
    assert_eq!(day("31.12.26", "%d.%m.%y").unwrap(), "2026-12-31");
    for text in ["31.02.2026", "31.12.26", "12/31/2026", "31.12.2026 00:00", "00.00.0000"] {
        let why = day(text, "%d.%m.%Y").unwrap_err();
        assert_eq!(why.code, "date-malformed", "{text}");
        assert!(why.text.contains("%d.%m.%Y"), "{}", why.text);
    }
}

#[test]
fn codes_are_translated_and_unknown_ones_are_not_guessed() {
    let map = |keeps| ValueMap {
        values: [("ZB30", "NT30"), ("N", "")].map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
        keeps,
    };
    assert_eq!(mapped(Some(&map(false)), "ZB30").unwrap(), "NT30");
    assert_eq!(mapped(Some(&map(false)), "N").unwrap(), "");
    assert_eq!(mapped(Some(&map(false)), "").unwrap(), "");
    assert_eq!(mapped(Some(&map(true)), "ZB45").unwrap(), "ZB45");
    assert_eq!(mapped(None, "ZB45").unwrap(), "ZB45");
    let why = mapped(Some(&map(false)), "ZB31").unwrap_err();
    assert_eq!(why.code, "value-unmapped");
    assert!(why.text.contains("The nearest one is \"ZB30\"."), "{}", why.text);
}
