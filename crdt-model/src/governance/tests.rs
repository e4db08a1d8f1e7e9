//! Requests, decisions and overrides, as claims of one record: what is effective and what survives.

mod delivery;
mod overrides;
mod permission;
pub(super) mod scene;

use jiff::civil::date;

use self::scene::{Scene, approve, ask, reject, says};
use super::*;
use crate::document::ClaimEdit;
use crate::golden_record::{GoldenRecord, LossReason, Resolved};
use crate::id::RecordId;
use crate::policy::Policy;
use crate::survivorship::resolve;
use crate::value::Value;

const LANGUAGE: &str = "general/language";
const TERMS: &str = "company/1000/payment_terms";
const LIMIT: &str = "credit/EU01/limit";
const BLOCK: &str = "company/1000/payment_block";
const BANK: &str = "bank/DE89370400440532013000";
const ACCOUNT: &str = r#"{"iban":"DE89370400440532013000"}"#;

fn state(scene: &Scene, id: &str) -> RequestState {
    govern(&scene.claims()).requests[id].state.clone()
}

fn is_effective(scene: &Scene, id: &str) -> bool {
    matches!(state(scene, id), RequestState::Effective { .. })
}

/// The surviving value of an attribute, as text.
fn shown(scene: &Scene, path: &str) -> String {
    value_in(&resolve(&Policy::built_in(), &scene.claims()), path)
}

fn value_in(resolved: &Resolved, path: &str) -> String {
    let resolution = resolved.at(&path.parse().unwrap(), date(2027, 1, 1));
    let winner = resolution.and_then(|resolution| resolution.winner.as_ref());
    match winner.and_then(|winner| winner.value.as_deref()) {
        None => "nothing".to_owned(),
        Some(Value::One(crate::value::Scalar::Text(text))) => text.clone(),
        Some(value) => serde_json::to_string(value).unwrap().replace('"', ""),
    }
}

/// Row 1 states German, row 2 asks for English with two approvals.
fn asked() -> Scene {
    Scene::new().row(1, "EMEA", 10, &[], vec![says(LANGUAGE, "crm", r#""de""#)]).row(
        2,
        "EMEA",
        20,
        &[1],
        ask("r", "anna", "crm", 2, &[(LANGUAGE, r#""en""#)]),
    )
}

#[test]
fn a_request_takes_effect_with_the_last_approval_that_it_needs() {
    let scene = asked().row(3, "APAC", 30, &[2], vec![approve("r", "ben")]);
    assert_eq!(state(&scene, "r"), RequestState::Pending);
    assert_eq!(shown(&scene, LANGUAGE), "de");

    let scene = scene.row(4, "AMER", 40, &[2], vec![approve("r", "eve")]);
    assert_eq!(state(&scene, "r"), RequestState::Effective { since: scene.origin(4) });
    assert_eq!(shown(&scene, LANGUAGE), "en");

    let resolved = resolve(&Policy::built_in(), &scene.claims());
    let of = &resolved.attributes[&LANGUAGE.parse().unwrap()][0].resolution;
    assert_eq!(of.winner.as_ref().unwrap().origin, scene.origin(4));
    assert_eq!(of.losers, [], "what the source had said before is replaced");
    assert!(resolved.attributes.keys().all(|path| path.as_str() == LANGUAGE), "no facts");
    let request = &resolved.requests["r"];
    let who = request.approvals.iter().map(|of| (of.principal.as_str(), of.counts));
    assert_eq!(who.collect::<Vec<_>>(), [("ben", true), ("eve", true)]);
    assert_eq!((request.opened_by.as_str(), request.needed), ("anna", 2));
    assert_eq!(request.opened, scene.origin(2));
}

#[test]
fn nobody_approves_alone() {
    let own = approve("r", "anna");
    let scene = asked()
        .row(3, "EMEA", 30, &[2], vec![own])
        .row(4, "APAC", 40, &[2], vec![approve("r", "ben")])
        .row(5, "APAC", 50, &[4], vec![scene::of_source(approve("r", "ben"), "manual-amer")]);
    assert_eq!(state(&scene, "r"), RequestState::Pending);
    let request = &govern(&scene.claims()).requests["r"];
    let who = request.approvals.iter().map(|of| (of.principal.as_str(), of.counts));
    assert_eq!(who.collect::<Vec<_>>(), [("anna", false), ("ben", true), ("ben", false)]);
}

#[test]
fn an_approval_counts_only_for_what_its_writer_had_seen() {
    let scene = asked().row(3, "APAC", 30, &[1], vec![approve("r", "ben")]).row(
        4,
        "AMER",
        40,
        &[2],
        vec![approve("r", "eve")],
    );
    assert_eq!(state(&scene, "r"), RequestState::Pending);
}

#[test]
fn a_rejection_made_apart_beats_the_approvals() {
    let scene = asked().row(3, "APAC", 30, &[2], vec![approve("r", "ben")]).row(
        4,
        "AMER",
        40,
        &[3],
        vec![approve("r", "eve")],
    );
    assert!(is_effective(&scene, "r"));
    // Its writer had seen one approval of the two.
    let scene = scene.row(5, "EMEA", 99, &[3], vec![reject("r", "tom")]);
    assert_eq!(state(&scene, "r"), RequestState::Rejected);
    assert_eq!(shown(&scene, LANGUAGE), "de");
    // Whoever approves later does not revive it.
    let scene = scene.row(6, "EMEA", 199, &[5], vec![approve("r", "uma")]);
    assert_eq!(state(&scene, "r"), RequestState::Rejected);
}

#[test]
fn a_rejection_after_the_effect_undoes_nothing() {
    let scene = asked()
        .row(3, "APAC", 30, &[2], vec![approve("r", "ben")])
        .row(4, "AMER", 40, &[2], vec![approve("r", "eve")])
        .row(5, "EMEA", 50, &[3, 4], vec![reject("r", "tom")]);
    assert!(is_effective(&scene, "r"));
    assert!(!govern(&scene.claims()).requests["r"].rejections[0].counts);
    // An approval that stands before the others in time, and arrives last, changes nothing.
    let scene = scene.row(6, "APAC", 25, &[2], vec![approve("r", "uma")]);
    assert!(is_effective(&scene, "r"));
    assert_eq!(shown(&scene, LANGUAGE), "en");
}

#[test]
fn whoever_asks_withdraws_by_rejecting() {
    let scene = asked().row(3, "EMEA", 30, &[2], vec![reject("r", "anna")]);
    assert_eq!(state(&scene, "r"), RequestState::Rejected);
}

#[test]
fn two_effective_requests_on_one_attribute_are_both_claims() {
    let both = |path: &str, first: &str, second: &str| {
        Scene::new()
            .row(1, "EMEA", 10, &[], ask("a", "anna", "crm", 1, &[(path, first)]))
            .row(2, "EMEA", 11, &[], ask("b", "anna", "crm", 1, &[(path, second)]))
            .row(3, "APAC", 30, &[1, 2], vec![approve("a", "ben")])
            .row(4, "APAC", 40, &[1, 2], vec![approve("b", "eve")])
    };
    let scene = both(LANGUAGE, r#""en""#, r#""fr""#);
    assert_eq!(govern(&scene.claims()).claims.claims().len(), 2);
    assert_eq!(shown(&scene, LANGUAGE), "fr", "the last writer");
    let [low, high] = [500, 900].map(|n| format!(r#"{{"amount":{n},"currency":"EUR"}}"#));
    let scene = both(LIMIT, &low, &high);
    assert_eq!(shown(&scene, LIMIT), "{amount:500,currency:EUR}", "the lower limit");
}

#[test]
fn a_later_request_of_the_same_source_replaces_the_earlier_one() {
    let limit = |n: i64| format!(r#"{{"amount":{n},"currency":"EUR"}}"#);
    let scene = Scene::new()
        .row(1, "EMEA", 10, &[], vec![says(LIMIT, "erp", &limit(100))])
        .row(2, "EMEA", 20, &[1], ask("a", "anna", "erp", 1, &[(LIMIT, &limit(50))]))
        .row(3, "EMEA", 30, &[2], vec![approve("a", "ben")])
        .row(4, "EMEA", 40, &[3], ask("b", "anna", "erp", 1, &[(LIMIT, &limit(300))]))
        .row(5, "EMEA", 50, &[4], vec![approve("b", "ben")]);
    assert_eq!(shown(&scene, LIMIT), "{amount:300,currency:EUR}");
    // So does a direct write of somebody who had seen it, and only of somebody who had.
    let direct = |sees: &[u8]| {
        let scene = scene.clone().row(6, "EMEA", 60, sees, vec![says(LIMIT, "erp", &limit(70))]);
        shown(&scene, LIMIT)
    };
    assert_eq!(direct(&[5]), "{amount:70,currency:EUR}");
    assert_eq!(direct(&[4]), "{amount:70,currency:EUR}", "both stand, the lower one counts");
    let higher = scene.row(6, "EMEA", 60, &[4], vec![says(LIMIT, "erp", &limit(900))]);
    assert_eq!(shown(&higher, LIMIT), "{amount:300,currency:EUR}", "both stand");
}

#[test]
fn a_removal_can_be_proposed() {
    let scene = asked()
        .row(3, "EMEA", 30, &[2], ask("x", "anna", "crm", 1, &[(LANGUAGE, "null")]))
        .row(4, "APAC", 40, &[3], vec![approve("x", "ben")]);
    assert!(is_effective(&scene, "x"));
    assert_eq!(shown(&scene, LANGUAGE), "nothing");
}

#[test]
fn a_proposed_release_lifts_what_the_requester_had_seen() {
    let lifts = r#"{"release":"paid"}"#;
    let scene = Scene::new()
        .row(1, "EMEA", 10, &[], vec![says(BLOCK, "crm", r#"{"reason":"dispute"}"#)])
        .row(2, "EMEA", 20, &[1], ask("r", "anna", "manual", 1, &[(BLOCK, lifts)]))
        .row(3, "APAC", 30, &[2], vec![says(BLOCK, "erp", r#"{"reason":"fraud"}"#)]);
    let approved = scene.clone().row(4, "APAC", 40, &[2], vec![approve("r", "ben")]);
    assert_eq!(shown(&approved, BLOCK), "{reason:fraud}");
    // Also when the one who approves had seen the new block: he approved of what was asked.
    let approved = scene.row(4, "APAC", 40, &[3], vec![approve("r", "ben")]);
    assert_eq!(shown(&approved, BLOCK), "{reason:fraud}");
}

#[test]
fn an_effective_block_is_lifted_by_whoever_had_seen_it_effective() {
    let scene = Scene::new()
        .row(1, "EMEA", 10, &[], ask("r", "anna", "crm", 1, &[(BLOCK, r#"{"reason":"x"}"#)]))
        .row(2, "APAC", 20, &[1], vec![approve("r", "ben")])
        .row(3, "APAC", 30, &[2], vec![says(BLOCK, "erp", r#"{"release":"ok"}"#)])
        // An approval made apart that stands first in time.
        .row(4, "AMER", 15, &[1], vec![approve("r", "eve")]);
    assert!(is_effective(&scene, "r"));
    assert_eq!(shown(&scene, BLOCK), "nothing");
}

#[test]
fn an_effective_edit_speaks_for_the_regions_of_all_who_stand_behind_it() {
    let scene = Scene::new().row(1, "EMEA", 10, &[], vec![says(TERMS, "erp", r#""NT30""#)]).row(
        2,
        "APAC",
        20,
        &[1],
        ask("r", "anna", "crm", 1, &[(TERMS, r#""NT60""#)]),
    );
    let by_amer = scene.row(3, "AMER", 30, &[2], vec![approve("r", "ben")]);
    assert_eq!(shown(&by_amer, TERMS), "NT30", "neither of them is the owner");
    let by_emea = by_amer.row(4, "EMEA", 40, &[2], vec![approve("r", "eve")]);
    assert_eq!(shown(&by_emea, TERMS), "NT60");

    let claims = by_emea.claims();
    let governed = govern(&claims).claims.into_owned();
    let claim = governed.claims().iter().find(|claim| claim.source.as_str() == "crm").unwrap();
    let speaks = ["EMEA", "AMER", "APAC", "MARS"]
        .map(|region| governed.speaks_for(claim, &region.parse().unwrap()));
    assert_eq!(speaks, [true, true, true, false]);
}

#[test]
fn a_part_that_a_request_begins_belongs_to_the_region_that_asked() {
    let scene = Scene::new()
        .row(1, "APAC", 10, &[], vec![says(LANGUAGE, "crm", r#""de""#)])
        .row(2, "APAC", 20, &[1], ask("r", "anna", "crm", 1, &[(TERMS, r#""NT60""#)]))
        .row(3, "EMEA", 30, &[2], vec![approve("r", "ben")])
        .row(4, "APAC", 40, &[3], vec![says(TERMS, "crm", r#""NT90""#)])
        .row(5, "EMEA", 50, &[3], vec![says(TERMS, "erp", r#""NT14""#)]);
    assert_eq!(shown(&scene, TERMS), "NT90");
    let owner = crate::survivorship::owner(
        &Policy::built_in(),
        &scene.claims(),
        &TERMS.parse().unwrap(),
        date(2027, 1, 1),
    );
    assert_eq!(owner, Some("APAC".parse().unwrap()));
}

#[test]
fn an_unreadable_request_is_kept_and_never_effective() {
    let broken = |broken: ClaimEdit| {
        let mut edits = ask("r", "anna", "crm", 1, &[(LANGUAGE, r#""en""#)]);
        edits.retain(|edit| edit.key != broken.key);
        edits.push(broken);
        Scene::new().row(1, "EMEA", 10, &[], edits).row(
            2,
            "APAC",
            20,
            &[1],
            vec![approve("r", "ben"), approve("r", "eve")],
        )
    };
    let key = "request/r/edit/general%2Flanguage";
    for (path, text) in [
        (key, r#""nonsense""#),
        (key, "null"),
        (key, r#"{"value":"{\"path\":\"general/website\",\"says\":\"en\"}"}"#),
        (key, r#"{"value":"{\"path\":\"general/language\",\"says\":[1]}"}"#),
        (key, r#"{"value":"{\"path\":\"general/language\",\"says\":\"en\",\"ends\":\"never\"}"}"#),
        (
            "request/r/edit/request%2Fx%2Fopened",
            r#"{"value":"{\"path\":\"request/x/opened\",\"says\":1}"}"#,
        ),
        ("request/r/opened", r#"{"by":"anna"}"#),
        ("request/r/opened", r#"{"by":"anna","needed":0}"#),
        ("request/r/opened", r#"{"by":"anna","needed":9}"#),
        ("request/r/opened", r#"{"needed":1}"#),
        ("request/r/opened", r#""soon""#),
        ("request/r/opened", r#"{"release":"x"}"#),
    ] {
        let scene = broken(says(path, "crm", text));
        let requests = govern(&scene.claims()).requests;
        let request = &requests["r"];
        assert!(!is_effective(&scene, "r"), "{text}");
        assert!(request.flaw.as_ref().is_some_and(|flaw| flaw.ends_with('.')), "{text}");
        let rejected = scene.row(3, "APAC", 30, &[2], vec![reject("r", "tom")]);
        assert_eq!(state(&rejected, "r"), RequestState::Rejected, "{text}");
    }
    let empty = broken(says(key, "erp", r#""an edit of another source""#));
    assert!(is_effective(&empty, "r"), "it is not part of the request");
}

#[test]
fn an_edit_that_was_written_later_is_not_part_of_the_request() {
    let mut more = ask("r", "anna", "crm", 1, &[(TERMS, r#""NT90""#)]);
    more.remove(0);
    let scene = asked().row(3, "EMEA", 30, &[2], more).row(
        4,
        "APAC",
        40,
        &[3],
        vec![approve("r", "ben"), approve("r", "eve")],
    );
    assert!(is_effective(&scene, "r"));
    assert_eq!((shown(&scene, LANGUAGE), shown(&scene, TERMS)), ("en".into(), "nothing".into()));
}

#[test]
fn one_id_opened_twice_is_two_requests_and_whoever_saw_both_approved_neither() {
    let twice = |sees: &[u8]| {
        Scene::new()
            .row(1, "EMEA", 10, &[], ask("r", "anna", "crm", 1, &[(LANGUAGE, r#""en""#)]))
            .row(2, "EMEA", 5, &[], ask("r", "anna", "crm", 1, &[(LANGUAGE, r#""fr""#)]))
            .row(3, "APAC", 20, sees, vec![approve("r", "ben")])
    };
    assert_eq!(shown(&twice(&[1]), LANGUAGE), "en", "what he had seen is what he approved");
    assert_eq!(shown(&twice(&[2]), LANGUAGE), "fr");
    assert_eq!(shown(&twice(&[1, 2]), LANGUAGE), "nothing");
    assert_eq!(govern(&twice(&[1]).claims()).requests.len(), 2);
    let rejected = twice(&[1]).row(4, "APAC", 40, &[1, 2], vec![reject("r", "tom")]);
    let states = govern(&rejected.claims()).requests.into_values().map(|of| of.state);
    assert_eq!(states.collect::<Vec<_>>(), [RequestState::Rejected, RequestState::Rejected]);
}

#[test]
fn a_pending_bank_change_blocks_payments_until_it_is_decided() {
    let block = "block/payment";
    let pending = Scene::new()
        .row(1, "EMEA", 10, &[], vec![says(block, "erp", r#"{"reason":"dispute"}"#)])
        .row(2, "EMEA", 20, &[1], ask("r", "anna", "crm", 1, &[(BANK, ACCOUNT)]));
    let resolved = resolve(&Policy::built_in(), &pending.claims());
    let of = &resolved.attributes[&block.parse().unwrap()][0].resolution;
    assert_eq!(of.losers[0].reason, LossReason::AlsoBlocks);
    assert_eq!(of.losers[0].candidate.origin, pending.origin(2));

    let released =
        pending.row(3, "EMEA", 30, &[2], vec![says(block, "manual", r#"{"release":"ok"}"#)]);
    assert_eq!(shown(&released, block), "{reason:bank change pending approval}");
    assert_eq!(shown(&released, BANK), "nothing");
    let approved = released.clone().row(4, "APAC", 40, &[3], vec![approve("r", "ben")]);
    assert_eq!(shown(&approved, block), "nothing");
    assert_eq!(shown(&approved, BANK), "{iban:DE89370400440532013000}");
    let rejected = released.row(4, "APAC", 40, &[3], vec![reject("r", "ben")]);
    assert_eq!(
        (shown(&rejected, block), shown(&rejected, BANK)),
        ("nothing".into(), "nothing".into())
    );

    let other =
        Scene::new().row(1, "EMEA", 1, &[], ask("r", "a", "crm", 1, &[(TERMS, r#""NT1""#)]));
    assert_eq!(shown(&other, block), "nothing");
}

#[test]
fn a_region_has_so_many_requests_in_view_and_the_others_wait() {
    let mut scene = Scene::new();
    for n in 0..70_u8 {
        let edits = ask(&format!("r{n:02}"), "anna", "crm", 1, &[(LANGUAGE, r#""en""#)]);
        scene = scene.row(n + 1, if n < 66 { "EMEA" } else { "APAC" }, u64::from(n), &[], edits);
    }
    let requests = govern(&scene.claims()).requests;
    assert_eq!(requests.len(), REQUESTS_PER_REGION_MAX + 4);
    assert!(!requests.contains_key("r64") && !requests.contains_key("r65"));
    let scene =
        scene.row(100, "APAC", 500, &[1, 66], vec![reject("r00", "b"), approve("r65", "b")]);
    let requests = govern(&scene.claims()).requests;
    assert!(requests.contains_key("r64"), "one before it is decided");
    assert!(
        matches!(requests["r65"].state, RequestState::Effective { .. }),
        "counted all the same"
    );
}

#[test]
fn the_last_lease_counts() {
    let by = |who: &str| lease("r", who, crate::time::Hlc::from_ms(9_000), &"crm".parse().unwrap());
    let scene = asked().row(3, "EMEA", 90, &[2], vec![by("ben").unwrap()]).row(
        4,
        "APAC",
        40,
        &[3],
        vec![scene::of_source(by("eve").unwrap(), "erp")],
    );
    let held = govern(&scene.claims()).requests["r"].lease.clone().unwrap();
    assert_eq!((held.by.as_str(), held.until.ms()), ("eve", 9_000), "she had seen the other lease");
    let bad = scene.row(
        5,
        "EMEA",
        99,
        &[4],
        vec![says("request/r/lease", "web", r#"{"by":"x","until":"soon"}"#)],
    );
    assert_eq!(govern(&bad.claims()).requests["r"].lease.as_ref().unwrap().by, "eve");
}

#[test]
fn the_golden_record_keeps_pending_requests_whole_and_of_others_who_decided() {
    let record = RecordId::from_bytes([1; 16]);
    let golden = |scene: &Scene| {
        GoldenRecord::from_resolved(record, &resolve(&Policy::built_in(), &scene.claims()))
    };
    let pending = golden(&asked());
    assert_eq!(pending.requests["r"].edits.len(), 1);
    let scene = asked().row(3, "APAC", 30, &[2], vec![approve("r", "ben"), approve("r", "eve")]);
    let effective = golden(&scene);
    assert!(effective.requests["r"].edits.is_empty());
    assert_eq!(effective.requests["r"].approvals.len(), 2);
    for golden in [pending, effective] {
        assert_eq!(GoldenRecord::from_bytes(&golden.to_bytes()).unwrap(), golden);
    }
    assert!(!String::from_utf8(golden(&Scene::new()).to_bytes()).unwrap().contains("requests"));
}

#[test]
fn a_record_without_facts_is_left_as_it_is() {
    let claims = Scene::new().row(1, "EMEA", 10, &[], vec![says(TERMS, "crm", "1")]).claims();
    let governed = govern(&claims);
    assert!(matches!(governed.claims, Cow::Borrowed(_)));
    assert!(governed.requests.is_empty());
}
