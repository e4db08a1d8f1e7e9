//! The clock never goes back and never overflows.

use proptest::prelude::*;

use super::*;

/// Any number, and those around the last reading.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), (0..4_u64).prop_map(|back| (u64::MAX >> 1) - back)]
}

proptest! {
    #[test]
    fn ticks_go_forward(value in value(), wall in any::<u64>()) {
        let Some(now) = Hlc::from_u64(value) else { return Ok(()) };
        let next = now.tick(wall);
        prop_assert!(next > now || now.as_u64() == u64::MAX >> 1);
        prop_assert_eq!(Hlc::from_u64(next.as_u64()), Some(next));
        prop_assert!(next.ms() >= wall.min(Hlc::MS_MAX));
        prop_assert_eq!(Hlc::from_u64(now.as_u64()), Some(now));
    }

    #[test]
    fn a_number_that_is_no_reading_is_not_read(value in value()) {
        let read = serde_json::from_value::<Hlc>(serde_json::json!(value));
        prop_assert_eq!(read.ok(), Hlc::from_u64(value));
    }

    #[test]
    fn every_reading_has_a_text(wall in any::<u64>()) {
        prop_assert!(!Hlc::from_ms(wall).to_rfc3339().is_empty());
    }
}

#[test]
fn the_last_reading_of_all_stays_one_that_commits_carry() {
    let last = Hlc::from_u64(u64::MAX >> 1).unwrap();
    assert_eq!((last.ms(), last.as_u64() & 0xffff), (Hlc::MS_MAX, 0xffff));
    for wall in [0, Hlc::MS_MAX, u64::MAX] {
        assert_eq!(last.tick(wall), last);
        assert_eq!(Hlc::from_u64(last.tick(wall).as_u64()), Some(last));
    }
}

#[test]
fn readings_are_what_people_expect() {
    assert_eq!(Hlc::from_ms(0).to_rfc3339(), "1970-01-01T00:00:00.000Z");
    assert_eq!(Hlc::from_ms(1_700_000_000_123).to_rfc3339(), "2023-11-14T22:13:20.123Z");
    assert_eq!(Hlc::from_u64(u64::MAX), None);
    assert_eq!(Hlc::from_ms(u64::MAX).ms(), Hlc::MS_MAX);
    assert!(Hlc::from_ms(5).tick(3) > Hlc::from_ms(5));
    // The largest reading that commits carry stays within what they carry.
    assert_eq!(Hlc::from_ms(7).tick(7).ms(), 7);
}

#[test]
fn the_refusal_of_a_number_names_it() {
    let last = u64::MAX >> 1;
    assert_eq!(serde_json::from_str::<Hlc>(&last.to_string()).unwrap(), Hlc(last));
    let error = serde_json::from_str::<Hlc>(&(last + 1).to_string()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("9223372036854775808 is later than the last reading"), "{text}");
}
