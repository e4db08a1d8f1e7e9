//! VAT numbers that exist, and the same with one slip.

use super::*;

const RIGHT: [&str; 34] = [
    "ATU13585627",
    "BE0428759497",
    "BG175074752",
    "CY10259033P",
    "CZ25123891",
    "DE136695976",
    "DK13585628",
    "EE100931558",
    "EL094259216",
    "ESB58378431",
    "ESX2482300W",
    "ES54362315K",
    "FI20774740",
    "FR40303265045",
    "FR23334175221",
    "GB980780684",
    "HR33392005961",
    "HU12892312",
    "IE6433435F",
    "IE6433435OA",
    "IT00743110157",
    "LT119511515",
    "LU15027442",
    "LV40003521600",
    "MT11679112",
    "NL004495445B01",
    "NL002455799B11",
    "NO995525828MVA",
    "PL8567346215",
    "PT501964843",
    "RO18547290",
    "SE123456789701",
    "SI50223054",
    "SK2022749619",
];

const WRONG: [&str; 28] = [
    "ATU13585626",
    "BE0428759498",
    "BE0428759499",
    "DE136695977",
    "DK13585627",
    "EE100931559",
    "EL094259217",
    "ESB58378432",
    "ESX2482300A",
    "FI20774741",
    "FR84323140391",
    "HR33392005962",
    "HU12892313",
    "IT00743110158",
    "LU15027443",
    "MT11679113",
    "NL123456789B90",
    "NL4495445B01",
    "PL8567346216",
    "PT501964842",
    "SE123456789101",
    "SI50223055",
    "SK2022749618",
    "ATU1",
    "FRIO303265045",
    "ES",
    "DE",
    "BEä428759497",
];

#[test]
fn right_numbers_are_taken_and_keep_their_form() {
    for written in RIGHT {
        let key = tax_id(written).unwrap_or_else(|flaw| panic!("{written} {flaw:?}"));
        assert_eq!(tax_id(&key).as_deref(), Ok(key.as_str()));
    }
}

#[test]
fn wrong_numbers_are_refused() {
    for written in WRONG {
        let (prefix, _) = written.split_at(2);
        let country = if prefix == "EL" { "GR" } else { prefix };
        assert!(tax_id(&format!("{country}:VAT:{written}")).is_err(), "{written}");
    }
}

#[test]
fn one_wrong_digit_is_found_where_a_check_digit_is_published() {
    for written in RIGHT.into_iter().filter(|w| {
        ["AT", "BE", "DE", "DK", "EE", "EL", "FI", "HR", "HU", "LU", "MT", "PL", "SI"]
            .contains(&&w[..2])
    }) {
        let last = written.len() - 1;
        let digit = written[last..].parse::<u32>().unwrap();
        for other in (0..10).filter(|other| *other != digit) {
            let slip = format!("{}{other}", &written[..last]);
            assert!(tax_id(&slip).is_err(), "{slip}");
        }
    }
}
