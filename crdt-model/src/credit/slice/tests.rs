//! Slices by hand: what the door says, what counts, and what is found.

mod escrow;
mod network;

use self::network::{Network, money, transfer};
use super::door::{Desk, Refusal};
use super::*;

/// EMEA owns the segment and deals 600 and 400 of 1000.
fn network() -> Network {
    let mut network = Network::new(&["EMEA", "AMER"]);
    let edits = [("slice/EMEA", money(600)), ("slice/AMER", money(400)), ("limit", money(1_000))];
    let edits: Vec<(&str, &str)> = edits.iter().map(|(p, s)| (*p, s.as_str())).collect();
    network.write(0, &edits).unwrap();
    network.sync_all();
    network
}

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn code(result: Result<(), Refusal>) -> &'static str {
    result.map_or_else(|refusal| refusal.code, |()| "admitted")
}

fn codes(slices: &Slices) -> Vec<&'static str> {
    slices.findings().iter().map(|finding| finding.code).collect()
}

#[test]
fn a_region_draws_up_to_its_slice() {
    let mut network = network();
    assert_eq!(network.write(1, &[("exposure/AMER", &money(400))]), Ok(()));
    let refusal = network.write(1, &[("exposure/AMER", &money(401))]).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.text.as_str()),
        (
            "slice-exceeded",
            "AMER may draw 4.00 EUR here, and this would be 4.01 EUR. Ask another region to give some \
             of its slice, or the owner to raise the limit."
        )
    );
    let slices = network.slices(1);
    let desk = Desk { region: &region("AMER"), is_teller: true };
    let euro = |amount| Money { amount, currency: "EUR".to_owned() };
    assert_eq!(slices.can_draw(desk, &euro(399)), Ok(()));
    assert_eq!(code(slices.can_draw(desk, &euro(500))), "slice-exceeded");
    let dollars = Money { amount: 1, currency: "USD".to_owned() };
    assert_eq!(code(slices.can_draw(desk, &dollars)), "slice-currency");
    let second = Desk { is_teller: false, ..desk };
    assert_eq!(code(slices.can_draw(second, &euro(1))), "not-teller");
    assert_eq!((slices.available(&region("AMER")), slices.available(&region("EMEA"))), (0, 600));
    assert_eq!(slices.available(&region("APAC")), 0);
    assert_eq!(codes(&slices), [""; 0]);
}

#[test]
fn what_is_given_is_gone_here_and_there_once_seen() {
    let mut network = network();
    network.write(0, &[("exposure/EMEA", &money(100))]).unwrap();
    assert_eq!(
        code(network.write(0, &[("transfer/a", &transfer("EMEA", "AMER", 501))])),
        "transfer-uncovered"
    );
    network.write(0, &[("transfer/a", &transfer("EMEA", "AMER", 500))]).unwrap();
    assert_eq!(network.slices(0).available(&region("EMEA")), 0);
    assert_eq!(network.slices(1).available(&region("AMER")), 400, "not seen yet");
    network.sync(0, 1);
    assert_eq!(network.slices(1).available(&region("AMER")), 900);
    // Two in one breath are judged together.
    let both = [transfer("AMER", "EMEA", 500), transfer("AMER", "EMEA", 401)];
    let edits = [("transfer/b", both[0].as_str()), ("transfer/c", both[1].as_str())];
    assert_eq!(code(network.write(1, &edits)), "transfer-uncovered");
    let edits = [("exposure/AMER", &*money(401)), ("transfer/b", &both[0])];
    assert_eq!(code(network.write(1, &edits)), "transfer-uncovered");
    let edits = [("exposure/AMER", &*money(400)), ("transfer/b", &both[0])];
    assert_eq!(code(network.write(1, &edits)), "admitted");
}

#[test]
fn what_is_owed_to_a_customer_backs_no_lending() {
    let mut network = network();
    network.write(1, &[("exposure/AMER", &money(-900))]).unwrap();
    assert_eq!(network.slices(1).available(&region("AMER")), 400);
    assert_eq!(
        code(network.write(1, &[("transfer/a", &transfer("AMER", "EMEA", 401))])),
        "transfer-uncovered"
    );
}

#[test]
fn the_door_keeps_slices_from_shrinking_and_transfers_from_changing() {
    let mut network = network();
    network.write(0, &[("transfer/a", &transfer("EMEA", "AMER", 50))]).unwrap();
    let bounded = r#"{"amount":400,"currency":"EUR","valid_to":"2026-12-31"}"#;
    for (node, path, says, expected) in [
        (0, "slice/AMER", money(399), "slice-lowered"),
        (0, "slice/AMER", "null".to_owned(), "slice-lowered"),
        (0, "slice/AMER", r#"{"release":"enough"}"#.to_owned(), "slice-lowered"),
        (0, "slice/AMER", money(401), "slices-exceed-limit"),
        (0, "slice/AMER", bounded.to_owned(), "slice-bounded"),
        (0, "slice/APAC", r#"{"amount":1,"currency":"USD"}"#.to_owned(), "slice-currency"),
        (1, "slice/AMER", money(500), "slice-not-owners"),
        (0, "transfer/a", "null".to_owned(), "transfer-final"),
        (0, "transfer/a", transfer("EMEA", "AMER", 49), "transfer-final"),
        (0, "transfer/a", transfer("EMEA", "AMER", 50), "admitted"),
        (0, "transfer/b", transfer("AMER", "EMEA", 1), "transfer-not-givers"),
        (0, "transfer/b", transfer("EMEA", "EMEA", 1), "transfer-receiver"),
        (0, "transfer/b", transfer("EMEA", "MARS", 1), "transfer-receiver"),
        (0, "transfer/b", transfer("emea", "AMER", 1), "transfer-malformed"),
        (0, "exposure/AMER", money(1), "exposure-not-own"),
        (0, "exposure/EMEA", bounded.to_owned(), "slice-bounded"),
        (0, "exposure/EMEA", "null".to_owned(), "admitted"),
        (0, "risk_class", "low".to_owned(), "admitted"),
    ] {
        assert_eq!(code(network.write(node, &[(path, &says)])), expected, "{path} {says}");
    }
    network.write(0, &[("limit", &money(1_100))]).unwrap();
    network.write(0, &[("slice/AMER", &money(500))]).unwrap();
    let second = network.join("EMEA", false);
    network.sync(0, second);
    let refusal = network.write(second, &[("slice/AMER", &money(600))]).unwrap_err();
    assert_eq!(refusal.code, "not-teller");
}

#[test]
fn without_slices_no_exposure_is_refused() {
    let mut network = Network::new(&["EMEA", "AMER"]);
    assert_eq!(network.write(1, &[("exposure/AMER", &money(999_999))]), Ok(()));
    assert_eq!(
        code(network.write(1, &[("transfer/a", &transfer("AMER", "EMEA", 1))])),
        "slice-currency",
        "there is no limit"
    );
    network.policy.owners.clear();
    assert_eq!(code(network.write(0, &[("slice/EMEA", &money(1))])), "slice-needs-owner");
}

#[test]
fn transfers_that_do_not_count_say_why_and_lend_nothing() {
    let mut network = network();
    network.force(1, &[("transfer/a", &transfer("EMEA", "AMER", 10))]);
    network.force(0, &[("transfer/b", &transfer("EMEA", "AMER", 601))]);
    network.force(0, &[("transfer/c", &transfer("EMEA", "EMEA", 10))]);
    let dollars = transfer("EMEA", "AMER", 10).replace("EUR", "USD");
    network.force(0, &[("transfer/d", &dollars)]);
    let bounded =
        r#"{"amount":1,"currency":"EUR","from":"AMER","to":"EMEA","valid_to":"2030-01-01"}"#;
    network.force(1, &[("transfer/e", bounded)]);
    network.sync_all();
    let slices = network.slices(1);
    let faults: Vec<Option<TransferFault>> = {
        let mut transfers = slices.transfers.clone();
        transfers.sort_by(|a, b| a.path.cmp(&b.path));
        transfers.iter().map(|transfer| transfer.fault).collect()
    };
    assert_eq!(
        faults,
        [
            Some(TransferFault::NotGivers),
            Some(TransferFault::Uncovered),
            Some(TransferFault::ToItself),
            Some(TransferFault::OtherCurrency),
            Some(TransferFault::Bounded),
        ]
    );
    assert_eq!(slices.available(&region("AMER")), 399, "nothing received, and one given");
    assert_eq!(slices.available(&region("EMEA")), -1, "held to what it said it gives");
    let findings = slices.findings();
    let text = |path: &str| {
        let found = findings.iter().find(|finding| finding.path.as_str().ends_with(path));
        found.unwrap().text.clone()
    };
    assert_eq!(
        text("transfer/a"),
        "The transfer of 0.10 EUR from EMEA to AMER does not count: AMER wrote it, and only EMEA can \
         give its slice away. Ask EMEA."
    );
    assert!(text("transfer/b").contains("EMEA did not have that much"), "{}", text("transfer/b"));
}

#[test]
fn two_nodes_of_one_region_together_give_no_more_than_there_was() {
    let mut network = network();
    let second = network.join("EMEA", false);
    network.sync(0, second);
    network.force(0, &[("transfer/a", &transfer("EMEA", "AMER", 600))]);
    network.force(second, &[("transfer/b", &transfer("EMEA", "AMER", 600))]);
    network.sync_all();
    let slices = network.slices(1);
    assert_eq!(slices.available(&region("AMER")), 1_000);
    assert_eq!(slices.available(&region("EMEA")), -600);
    assert_eq!(codes(&slices), ["slice-overdrawn", "transfer-not-counted"]);
    // One id for two transfers is neither.
    let mut network = self::network();
    let second = network.join("EMEA", false);
    network.sync(0, second);
    network.force(0, &[("transfer/a", &transfer("EMEA", "AMER", 10))]);
    network.force(second, &[("transfer/a", &transfer("EMEA", "AMER", 30))]);
    network.sync_all();
    let slices = network.slices(1);
    assert_eq!(slices.transfers.len(), 1);
    assert_eq!(slices.transfers[0].fault, Some(TransferFault::Ambiguous));
    assert_eq!(slices.available(&region("AMER")), 400);
    assert_eq!(slices.available(&region("EMEA")), 570, "held to the larger one");
}

#[test]
fn a_transfer_is_judged_by_what_its_writer_had_seen() {
    let mut network = Network::new(&["EMEA", "AMER", "APAC"]);
    let edits = [
        ("limit", money(100)),
        ("slice/EMEA", money(100)),
        ("slice/AMER", money(0)),
        ("slice/APAC", money(0)),
    ];
    let edits: Vec<(&str, &str)> = edits.iter().map(|(p, s)| (*p, s.as_str())).collect();
    network.write(0, &edits).unwrap();
    network.sync_all();
    network.write(0, &[("transfer/a", &transfer("EMEA", "AMER", 80))]).unwrap();
    // AMER passes it on before it has got it.
    network.force(1, &[("transfer/b", &transfer("AMER", "APAC", 80))]);
    network.sync_all();
    let slices = network.slices(2);
    assert_eq!(slices.available(&region("APAC")), 0);
    assert_eq!(codes(&slices), ["transfer-not-counted"]);
    assert_eq!(slices.available(&region("AMER")), 0, "held to its word");
}

#[test]
fn of_the_owners_own_words_the_least_counts_and_what_it_said_is_honoured() {
    let mut network = network();
    let second = network.join("EMEA", true);
    network.sync(0, second);
    network.force(0, &[("slice/AMER", &money(300))]);
    network.force(second, &[("slice/AMER", &money(400))]);
    network.sync(second, 1);
    network.write(1, &[("transfer/a", &transfer("AMER", "EMEA", 350))]).unwrap();
    network.sync_all();
    let slices = network.slices(1);
    assert_eq!(slices.regions[&region("AMER")].granted(), 300);
    assert_eq!(slices.transfers[0].fault, None, "AMER had seen 400");
    assert_eq!(slices.available(&region("AMER")), -50);
    assert_eq!(slices.available(&region("EMEA")), 950);
    assert_eq!(codes(&slices), ["slice-overdrawn"]);
}

#[test]
fn slices_that_do_not_fit_the_limit_are_found() {
    let mut network = network();
    network.force(0, &[("limit", &money(900))]);
    network.force(1, &[("slice/AMER", &money(500))]);
    network.force(0, &[("slice/APAC", r#"{"amount":5,"currency":"USD"}"#)]);
    network.force(1, &[("exposure/AMER", r#"{"amount":5,"currency":"USD"}"#)]);
    network.sync_all();
    let slices = network.slices(1);
    let found = codes(&slices);
    let expected =
        ["exposure-currency", "slice-currency", "slice-not-owners", "slices-exceed-limit"];
    assert_eq!(found, expected);
    assert_eq!(slices.granted(), 1_000);
    let findings = slices.findings();
    let sum = findings.iter().find(|f| f.code == "slices-exceed-limit").unwrap();
    assert!(sum.text.starts_with("The slices of the regions sum up to 10.00 EUR, more than"));
    network.policy.owners.clear();
    let slices = network.slices(1);
    assert!(!slices.is_dealt());
    assert!(codes(&slices).iter().all(|code| *code == "slice-needs-owner"));
    // Without a limit nothing counts, and still nobody draws more.
    let mut network = self::network();
    network.force(0, &[("limit", "null")]);
    assert_eq!(codes(&network.slices(0)), ["slice-without-limit", "slice-without-limit"]);
    assert_eq!(code(network.write(0, &[("exposure/EMEA", &money(1))])), "slice-currency");
}

#[test]
fn a_region_may_pay_back_what_it_drew_too_much() {
    let mut network = network();
    network.force(1, &[("exposure/AMER", &money(700))]);
    assert_eq!(codes(&network.slices(1)), ["slice-overdrawn"]);
    assert_eq!(code(network.write(1, &[("exposure/AMER", &money(650))])), "admitted");
    assert_eq!(code(network.write(1, &[("exposure/AMER", &money(651))])), "slice-exceeded");
}

/// What slices are for: the same two regions apart, once watching the headroom, once their slices.
#[test]
fn headroom_alone_is_exceeded_where_slices_are_not() {
    let mut apart = Network::new(&["EMEA", "AMER"]);
    apart.write(0, &[("limit", &money(1_000))]).unwrap();
    apart.sync_all();
    for (node, edit) in [(0, "exposure/EMEA"), (1, "exposure/AMER")] {
        let left = network::headroom(&apart, node);
        assert!(left >= 700, "{left}");
        apart.write(node, &[(edit, &money(700))]).unwrap();
    }
    apart.sync_all();
    assert_eq!(network::headroom(&apart, 0), -400);
    let mut sliced = network();
    assert_eq!(code(sliced.write(0, &[("exposure/EMEA", &money(700))])), "slice-exceeded");
    assert_eq!(code(sliced.write(1, &[("exposure/AMER", &money(700))])), "slice-exceeded");
}

#[test]
fn nobody_makes_room_by_reporting_anothers_exposure() {
    let mut network = network();
    network.write(1, &[("exposure/AMER", &money(400))]).unwrap();
    network.sync_all();
    network.force(0, &[("exposure/AMER", &money(0))]);
    network.sync_all();
    let slices = network.slices(1);
    assert_eq!(slices.available(&region("AMER")), 0);
    assert_eq!(codes(&slices), ["exposure-not-own"]);
}

#[test]
fn no_more_transfers_count_than_one_region_may_make() {
    let mut network = Network::new(&["EMEA", "AMER"]);
    let edits = [("limit", money(1_000)), ("slice/EMEA", money(1_000)), ("slice/AMER", money(0))];
    let edits: Vec<(&str, &str)> = edits.iter().map(|(p, s)| (*p, s.as_str())).collect();
    network.write(0, &edits).unwrap();
    let one = transfer("EMEA", "AMER", 1);
    let paths: Vec<String> = (0..=TRANSFERS_MAX).map(|at| format!("transfer/{at:04}")).collect();
    let edits: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), &*one)).collect();
    network.force(0, &edits);
    let slices = network.slices(0);
    assert_eq!(slices.available(&region("AMER")), TRANSFERS_MAX as i128);
    assert_eq!(slices.transfers.last().unwrap().fault, Some(TransferFault::Surplus));
    let refusal = network.write(0, &[("transfer/x", &one)]).unwrap_err();
    assert_eq!(refusal.code, "transfers-too-many");
}
