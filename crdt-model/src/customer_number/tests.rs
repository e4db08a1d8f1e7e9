//! Spelling, check digits, and that no two nodes ever give out one number.

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::credit::tests::claims;
use crate::policy::Policy;
use crate::survivorship::resolve;

fn range(prefix: &str, from: u64, to: u64) -> NumberRange {
    NumberRange { prefix: prefix.to_owned(), from, to }
}

fn ranges(rows: &[(&str, &str, u64, u64)]) -> BTreeMap<Region, NumberRange> {
    let named = rows
        .iter()
        .map(|(region, prefix, from, to)| (region.parse().unwrap(), range(prefix, *from, *to)));
    named.collect()
}

fn lane(place: u32) -> Lane {
    Lane(place)
}

fn counts(range: &NumberRange, lane: Lane, how_many: usize) -> Vec<u64> {
    let mut highest = None;
    let mut counts = Vec::new();
    while counts.len() < how_many {
        let Ok(number) = next(range, lane, highest, Memory::Whole) else { break };
        highest = Some(number.count());
        counts.push(number.count());
    }
    counts
}

#[test]
fn a_number_is_written_in_one_way_with_check_digits() {
    let number = CustomerNumber::new("EU", 12_345).unwrap();
    assert_eq!(number.to_string(), "EU-00012345-81");
    // By hand: E = 14, U = 30, so 14 30 00012345 00 mod 97 = 17, and 98 - 17 = 81.
    assert_eq!(14_300_001_234_500_u64 % 97, 17);
    assert_eq!("EU-00012345-81".parse(), Ok(number));
    let long = CustomerNumber::new("A1B2C3D4", u64::MAX).unwrap();
    assert_eq!(long.to_string().parse(), Ok(long.clone()));
    assert!(long.to_string().len() <= 32, "it must fit the attribute");
    let path = long.path().unwrap();
    let attribute = crate::attribute::lookup(&path).unwrap();
    assert_eq!(attribute.check(&path, &crate::value::Assertion::Tombstone), Ok(()));
}

#[test]
fn what_is_not_a_number_says_why() {
    for text in [
        "",
        "EU",
        "EU-00012345",
        "EU-12345-25",
        "EU-000012345-81",
        "eu-00012345-81",
        "EU-00000000-00",
        "EU-0001234x-25",
        "EU-00012345-2",
        "-00012345-81",
        "12-00012345-81",
        "TOOLONGXX-00012345-81",
        "EU-00012345-81-1",
        "EU-+0012345-25",
        "EU-99999999999999999999999-25",
    ] {
        let error = text.parse::<CustomerNumber>().unwrap_err();
        assert!(matches!(error, NumberError::Shape { .. }), "{text}: {error}");
        assert!(error.to_string().ends_with("write it like EU-00012345-81"), "{error}");
    }
    let error = "EU-00012354-81".parse::<CustomerNumber>().unwrap_err();
    assert_eq!(error, NumberError::CheckDigits { text: "EU-00012354-81".to_owned() });
}

#[test]
fn a_number_belongs_to_the_region_of_its_range() {
    let numbers = ranges(&[("EMEA", "EU", 1, 20_000), ("AMER", "US", 1, 20_000)]);
    let emea: Region = "EMEA".parse().unwrap();
    assert_eq!(check(&numbers, "EU-00012345-81"), Ok(Some(&emea)));
    for foreign in ["4711", "EU", "EUX-1", "K-00012345-81"] {
        assert_eq!(check(&numbers, foreign), Ok(None), "{foreign}");
    }
    assert!(matches!(check(&numbers, "EU-12345-25"), Err(NumberError::Shape { .. })));
    let beyond = CustomerNumber::new("EU", 20_001).unwrap().to_string();
    assert!(matches!(check(&numbers, &beyond), Err(NumberError::OutOfRange { .. })));
}

#[test]
fn invariant_1_nodes_of_one_region_take_turns_without_asking() {
    let range = range("EU", 1, 100);
    assert_eq!(counts(&range, lane(0), 4), [1, 3, 5, 7]);
    assert_eq!(counts(&range, lane(1), 4), [2, 6, 10, 14]);
    assert_eq!(counts(&range, lane(2), 4), [4, 12, 20, 28]);
    assert_eq!(counts(&range, lane(6), 4), [64]);
    assert_eq!(counts(&range, lane(7), 4), [0; 0]);
    assert_eq!(counts(&range, lane(64), 4), [0; 0]);
    let error = next(&range, lane(6), Some(64), Memory::Whole).unwrap_err();
    assert!(error.to_string().contains("EU from 1 to 100 is used up"), "{error}");
}

#[test]
fn a_node_that_cannot_know_gives_out_nothing() {
    let range = range("EU", 1, 100);
    assert_eq!(next(&range, lane(0), None, Memory::Catching), Err(NoNumber::Catching));
    assert_eq!(next(&range, lane(0), None, Memory::Lost), Err(NoNumber::Lost));
}

#[test]
fn a_lane_is_the_place_of_the_first_admission_to_the_region() {
    let [emea, amer]: [Region; 2] = ["EMEA", "AMER"].map(|region| region.parse().unwrap());
    let admissions =
        [("a", &emea), ("b", &amer), ("c", &emea), ("a", &emea), ("c", &amer), ("d", &emea)];
    let of = |node: &str, region| {
        Lane::of(admissions.iter().map(|(node, region)| (node, *region)), &node, region)
    };
    assert_eq!(of("a", &emea), Some(lane(0)));
    assert_eq!(of("c", &emea), Some(lane(1)));
    assert_eq!(of("d", &emea), Some(lane(2)), "an admission anew takes no lane");
    assert_eq!(of("c", &amer), Some(lane(1)));
    assert_eq!(of("d", &amer), None);
}

#[test]
fn numbers_of_others_and_of_other_ranges_do_not_move_a_lane() {
    let range = range("EU", 1, 1_000);
    let number = |prefix, count| CustomerNumber::new(prefix, count).unwrap();
    let used = [number("EU", 5), number("EU", 700), number("US", 901), number("EU", 4_001)];
    assert_eq!(highest(&range, lane(0), &used), Some(5));
    assert_eq!(highest(&range, lane(2), &used), Some(700));
    assert_eq!(highest(&range, lane(1), &used), None);
}

#[test]
fn the_number_stated_first_is_shown() {
    let table = "identity/customer_number/US-2 | erp-amer | AMER | true
                 identity/customer_number/EU-9 | erp-emea | EMEA | true
                 identity/customer_number/EU-1 | erp-emea | EMEA | true
                 identity/customer_number/EU-9 | crm-emea | EMEA | true
                 identity/customer_number/EU-0 | crm-emea | EMEA | {\"release\":\"typo\"}";
    let resolved = resolve(&Policy::built_in(), &claims(table));
    let day = date(2026, 6, 1);
    let shown = shown(&resolved, day).unwrap();
    assert_eq!(shown.number, "US-2");
    assert_eq!(shown.aliases, ["EU-9", "EU-1"]);
    assert_eq!(super::shown(&Resolved::default(), day), None);
}

/// What happens to the nodes of a region.
#[derive(Debug, Clone)]
enum Act {
    Give(usize),
    Restart(usize),
    Restore(usize),
    Meet(usize, usize),
    Widen,
    Admit,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0_usize..6).prop_map(Act::Give),
        1 => (0_usize..6).prop_map(Act::Restart),
        1 => (0_usize..6).prop_map(Act::Restore),
        4 => (0_usize..6, 0_usize..6).prop_map(|(a, b)| Act::Meet(a, b)),
        1 => Just(Act::Widen),
        1 => Just(Act::Admit),
    ]
}

/// A node: the numbers in its store, and its last backup.
#[derive(Clone)]
struct Node {
    store: BTreeSet<CustomerNumber>,
    backup: BTreeSet<CustomerNumber>,
    memory: Memory,
}

proptest! {
    #[test]
    fn no_number_is_given_out_twice_apart_restarted_restored_or_widened(
        acts in prop::collection::vec(act(), 0..120),
    ) {
        let fresh = Node { store: BTreeSet::new(), backup: BTreeSet::new(), memory: Memory::Whole };
        let mut nodes = vec![fresh.clone(), fresh.clone()];
        let mut range = range("EU", 40, 120);
        let mut given: BTreeSet<CustomerNumber> = BTreeSet::new();
        for act in acts {
            let count = nodes.len();
            match act {
                Act::Give(at) => {
                    let lane = lane(u32::try_from(at % count).unwrap());
                    let node = &mut nodes[at % count];
                    let floor = highest(&range, lane, &node.store);
                    if let Ok(number) = next(&range, lane, floor, node.memory) {
                        prop_assert!(given.insert(number.clone()), "{number} twice");
                        node.store.insert(number);
                    }
                }
                // A restart loses nothing; it is when backups are made here.
                Act::Restart(at) => {
                    let node = &mut nodes[at % count];
                    node.backup = node.store.clone();
                }
                Act::Restore(at) => {
                    let node = &mut nodes[at % count];
                    node.store = node.backup.clone();
                    node.memory = Memory::Catching;
                }
                Act::Meet(a, b) => {
                    let both: BTreeSet<CustomerNumber> =
                        nodes[a % count].store.union(&nodes[b % count].store).cloned().collect();
                    for at in [a, b] {
                        nodes[at % count].store = both.clone();
                    }
                }
                Act::Widen => range = self::range("EU", range.from / 2 + 1, range.to + 37),
                Act::Admit => nodes.push(fresh.clone()),
            }
            // Whole again is who holds everything that it ever gave out.
            for (at, node) in nodes.iter_mut().enumerate() {
                let lane = lane(u32::try_from(at).unwrap());
                let own = given.iter().filter(|number| lane.has(number.count()));
                if own.clone().all(|number| node.store.contains(number)) {
                    node.memory = Memory::Whole;
                }
            }
        }
    }

    #[test]
    fn every_count_is_in_one_lane_and_lanes_leave_none_out(floor in 0_u64..5_000, place in 0_u32..12) {
        let next = lane(place).above(floor).unwrap();
        prop_assert!(next > floor && lane(place).has(next));
        prop_assert!((floor + 1..next).all(|count| !lane(place).has(count)));
        prop_assert_eq!((0..64).filter(|place| lane(*place).has(next)).count(), 1);
    }

    #[test]
    fn one_wrong_or_swapped_digit_is_noticed(count in 1_u64..100_000_000, at in 3_usize..11, by in 1_u8..10) {
        let text = CustomerNumber::new("EU", count).unwrap().to_string();
        let mut bytes = text.clone().into_bytes();
        bytes[at] = b'0' + (bytes[at] - b'0' + by) % 10;
        let wrong = String::from_utf8(bytes).unwrap();
        prop_assert!(wrong.parse::<CustomerNumber>().is_err(), "{wrong}");
        let mut bytes = text.into_bytes();
        if at < 10 && bytes[at] != bytes[at + 1] {
            bytes.swap(at, at + 1);
            let swapped = String::from_utf8(bytes).unwrap();
            prop_assert!(swapped.parse::<CustomerNumber>().is_err(), "{swapped}");
        }
    }
}
