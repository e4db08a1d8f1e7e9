//! Identifiers are parsed at the edge and nothing malformed gets in.

use proptest::prelude::*;

use super::*;

#[test]
fn derived_records_never_change() {
    let id = RecordId::derive("ERP_EU", "4711");
    assert_eq!(id, RecordId::derive("ERP_EU", "4711"));
    assert_ne!(id, RecordId::derive("ERP_EU4", "711"));
    assert_eq!(id.to_string().as_bytes()[14], b'8');
    assert_eq!(RecordId::mint(1_700_000_000_000, [7; 10]).to_string().as_bytes()[14], b'7');
    assert!(RecordId::mint(1, [255; 10]) < RecordId::mint(2, [0; 10]));
}

#[test]
fn names_have_an_alphabet() {
    assert_eq!("erp-emea".parse::<SourceName>().unwrap().kind(), "erp");
    assert_eq!("manual".parse::<SourceName>().unwrap().kind(), "manual");
    for wrong in ["", "ERP", "a b", "ä", &"a".repeat(33)] {
        assert!(wrong.parse::<SourceName>().is_err(), "{wrong}");
    }
    for wrong in ["", "emea", "E MEA", &"E".repeat(17)] {
        assert!(wrong.parse::<Region>().is_err(), "{wrong}");
    }
    let error = "\u{1b}[2J".repeat(1_000).parse::<Region>().unwrap_err().to_string();
    assert!(error.len() < 1_000 && !error.contains('\u{1b}'));
}

proptest! {
    #[test]
    fn ids_read_back(bytes in any::<[u8; 16]>(), seq in any::<u64>()) {
        let record = RecordId::from_bytes(bytes);
        prop_assert_eq!(record.to_string().parse::<RecordId>(), Ok(record));
        let log = LogId::from_bytes(bytes);
        prop_assert_eq!(log.to_string().parse::<LogId>(), Ok(log));
        let json = serde_json::to_string(&CommitRef { log, seq }).unwrap();
        prop_assert_eq!(serde_json::from_str::<CommitRef>(&json).unwrap(), CommitRef { log, seq });
    }

    #[test]
    fn no_text_panics(text in ".{0,40}") {
        drop((text.parse::<RecordId>(), text.parse::<LogId>(), text.parse::<Region>()));
        if let Some(bytes) = parse_hex::<16>(&text) {
            prop_assert_eq!(LogId::from_bytes(bytes).to_string(), text);
        }
    }
}
