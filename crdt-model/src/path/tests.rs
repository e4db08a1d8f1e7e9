//! Paths and claim keys have one spelling, whatever stands in them.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn segments_read_back(segments in proptest::collection::vec(".{1,8}", 2..=SEGMENTS_MAX)) {
        let path = AttributePath::from_segments(&segments).unwrap();
        prop_assert_eq!(path.segments(), segments);
        prop_assert_eq!(path.as_str().parse::<AttributePath>(), Ok(path.clone()));
        prop_assert!(path.as_str().is_ascii());
        for slot in [Slot::Undated, Slot::From(jiff::civil::date(2027, 1, 31)), Slot::Release] {
            let key = ClaimKey { path: path.clone(), source: "erp-emea".parse().unwrap(), slot };
            prop_assert_eq!(key.to_string().parse::<ClaimKey>(), Ok(key));
        }
    }

    #[test]
    fn only_one_spelling_parses(text in "[a-zA-Z0-9%/@+_ä]{0,24}") {
        if let Ok(path) = text.parse::<AttributePath>() {
            prop_assert_eq!(path.as_str(), &text);
            prop_assert_eq!(AttributePath::from_segments(&path.segments()), Ok(path));
        }
        if let Ok(key) = text.parse::<ClaimKey>() {
            prop_assert_eq!(key.to_string(), text);
        }
    }
}

#[test]
fn what_is_no_path() {
    for shape in ["", "a", "a/", "/a", "a//b", "a/b/c/d/e/f/g"] {
        assert_eq!(shape.parse::<AttributePath>(), Err(PathError::Shape), "{shape}");
    }
    for alphabet in ["a/b c", "a/%2b", "a/%41", "a/%", "a/%+f", "a/%C3", "a/b@c", "a/ä"] {
        assert_eq!(alphabet.parse::<AttributePath>(), Err(PathError::Alphabet), "{alphabet}");
    }
    assert_eq!(format!("a/{}", "b".repeat(400)).parse::<AttributePath>(), Err(PathError::TooLong));
    for source in ["a/b", "a/b@", "a/b@ERP", "a/b@c d@release"] {
        assert_eq!(source.parse::<ClaimKey>(), Err(PathError::Source), "{source}");
    }
    for slot in ["a/b@erp@", "a/b@erp@2027-1-31", "a/b@erp@2027-02-30", "a/b@erp@release@erp"] {
        assert_eq!(slot.parse::<ClaimKey>(), Err(PathError::Slot), "{slot}");
    }
    let base: AttributePath = "a/b".parse().unwrap();
    assert_eq!(base.join("c d").unwrap().as_str(), "a/b/c%20d");
    assert_eq!(base.join(""), Err(PathError::Shape));
}
