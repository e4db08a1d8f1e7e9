//! Overrides: how long each stands, which one decides, and what they cannot do.

use jiff::civil::{Date, date};

use super::scene::{Scene, approve, ask, assertion, says};
use super::{BANK, BLOCK, LANGUAGE, TERMS, shown, value_in};
use crate::document::ClaimEdit;
use crate::golden_record::LossReason;
use crate::governance::{Ends, Override};
use crate::policy::{Policy, Rule};
use crate::survivorship::resolve;
use crate::value::Assertion;

fn overriding(path: &str, source: &str, json: &str, ends: Ends) -> ClaimEdit {
    let Assertion::Stated(statement) = assertion(json) else { panic!("{json}") };
    let overriding = Override { path: path.parse().unwrap(), statement, ends };
    let (path, assertion) = overriding.to_assertion().unwrap();
    ClaimEdit::new(path, source.parse().unwrap(), assertion)
}

/// Two sources, of which the register ranks first, and a steward who says something else.
fn overridden(ends: Ends) -> Scene {
    Scene::new()
        .row(1, "EMEA", 10, &[], vec![says("name/legal", "register", r#""Acme AG""#)])
        .row(2, "EMEA", 11, &[1], vec![says("name/legal", "crm", r#""Acme""#)])
        .row(3, "EMEA", 20, &[1, 2], vec![overriding("name/legal", "manual", r#""ACME SE""#, ends)])
}

fn on(scene: &Scene, day: Date) -> String {
    let resolved = resolve(&Policy::built_in(), &scene.claims());
    let resolution = resolved.at(&"name/legal".parse().unwrap(), day).unwrap();
    let winner = resolution.winner.as_ref().unwrap().value.as_ref().unwrap();
    winner.as_text().unwrap().to_owned()
}

#[test]
fn an_override_decides_and_says_so() {
    let resolved = resolve(&Policy::built_in(), &overridden(Ends::Never).claims());
    let of = &resolved.attributes[&"name/legal".parse().unwrap()][0].resolution;
    assert_eq!((of.rule, &of.owner), (Rule::Override, &None));
    assert_eq!(value_in(&resolved, "name/legal"), "ACME SE");
    let reasons: Vec<_> = of.losers.iter().map(|loser| &loser.reason).collect();
    assert_eq!(reasons, [&LossReason::Overridden, &LossReason::Overridden]);
    assert!(of.disagreement && !of.conflict);
    assert_eq!(resolved.attributes.len(), 1, "the fact itself is no attribute");
}

#[test]
fn one_for_ever_stands_whatever_the_sources_say() {
    let scene = overridden(Ends::Never).row(
        4,
        "EMEA",
        90,
        &[3],
        vec![says("name/legal", "register", r#""Acme KG""#)],
    );
    assert_eq!(shown(&scene, "name/legal"), "ACME SE");
    let ended =
        scene.row(5, "EMEA", 99, &[4], vec![says("override/name%2Flegal", "manual", "null")]);
    assert_eq!(shown(&ended, "name/legal"), "Acme KG");
}

#[test]
fn one_until_a_day_stands_on_that_day_still() {
    let scene = overridden(Ends::On(date(2027, 3, 31)));
    assert_eq!(on(&scene, date(2027, 3, 31)), "ACME SE");
    assert_eq!(on(&scene, date(2027, 4, 1)), "Acme AG");
}

#[test]
fn the_end_and_the_validity_of_the_value_both_count() {
    let bounded = r#"{"value":"ACME SE","valid_from":"2027-02-01","valid_to":"2027-02-28"}"#;
    let scene = overridden(Ends::Never).row(
        4,
        "EMEA",
        30,
        &[3],
        vec![overriding("name/legal", "manual", bounded, Ends::Never)],
    );
    let days = [date(2027, 1, 31), date(2027, 2, 1), date(2027, 2, 28), date(2027, 3, 1)];
    assert_eq!(days.map(|day| on(&scene, day)), ["Acme AG", "ACME SE", "ACME SE", "Acme AG"]);
}

#[test]
fn one_until_the_source_changes_ends_with_anything_the_steward_had_not_seen() {
    let scene = overridden(Ends::SourceChanges);
    assert_eq!(shown(&scene, "name/legal"), "ACME SE");
    let with = |source: &str, json: &str, sees: &[u8]| {
        scene.clone().row(4, "APAC", 5, sees, vec![says("name/legal", source, json)])
    };
    for (source, json, sees) in [
        ("crm", r#""Acme Inc""#, &[2_u8][..]),
        ("crm", r#""Acme Inc""#, &[3]),
        // A new source, and one that withdraws.
        ("web", r#""Acme Web""#, &[]),
        ("crm", "null", &[3]),
    ] {
        let scene = with(source, json, sees);
        assert_eq!(shown(&scene, "name/legal"), "Acme AG", "{source} {json}");
        let resolved = resolve(&Policy::built_in(), &scene.claims());
        let of = &resolved.attributes[&"name/legal".parse().unwrap()][0].resolution;
        assert!(of.losers.iter().any(|loser| loser.reason == LossReason::SourceChanged));
        assert_eq!(of.rule, Rule::SourcePriority);
    }
    // What nobody can read changes nothing.
    let invalid = with("web", "7", &[]);
    assert_eq!(shown(&invalid, "name/legal"), "ACME SE");
}

#[test]
fn among_several_the_last_writer_decides() {
    let again = |ms, sees: &[u8]| {
        let second = overriding("name/legal", "manual-apac", r#""ACME Ltd""#, Ends::Never);
        overridden(Ends::SourceChanges).row(4, "APAC", ms, sees, vec![second])
    };
    assert_eq!(shown(&again(5, &[3]), "name/legal"), "ACME Ltd", "causality before clocks");
    assert_eq!(shown(&again(30, &[1]), "name/legal"), "ACME Ltd");
    assert_eq!(shown(&again(15, &[1]), "name/legal"), "ACME SE");
}

#[test]
fn an_override_alone_is_a_value() {
    let scene = Scene::new().row(
        1,
        "EMEA",
        1,
        &[],
        vec![overriding(LANGUAGE, "manual", r#""de""#, Ends::SourceChanges)],
    );
    assert_eq!(shown(&scene, LANGUAGE), "de");
}

#[test]
fn an_override_can_be_proposed() {
    let inner = overriding(TERMS, "manual", r#""NT90""#, Ends::SourceChanges);
    let json = crate::governance::fact::json_of(&inner.assertion).to_string();
    let edits = [(inner.key.path.as_str(), json.as_str())];
    let scene = Scene::new().row(1, "EMEA", 10, &[], vec![says(TERMS, "erp", r#""NT30""#)]).row(
        2,
        "APAC",
        20,
        &[1],
        ask("r", "anna", "manual", 1, &edits),
    );
    assert_eq!(shown(&scene, TERMS), "NT30");
    let scene = scene.row(3, "APAC", 30, &[2], vec![approve("r", "ben")]);
    assert_eq!(shown(&scene, TERMS), "NT90");
    let changed = scene.clone().row(4, "EMEA", 40, &[1], vec![says(TERMS, "erp", r#""NT14""#)]);
    assert_eq!(shown(&changed, TERMS), "NT14", "the source changed");
    let ended =
        scene.row(4, "APAC", 40, &[3], vec![says(inner.key.path.as_str(), "manual", "null")]);
    assert_eq!(shown(&ended, TERMS), "NT30");

    let account = overriding(BANK, "manual", super::ACCOUNT, Ends::Never);
    let json = crate::governance::fact::json_of(&account.assertion).to_string();
    let bank = ask("r", "anna", "manual", 1, &[(account.key.path.as_str(), &json)]);
    let pending = Scene::new().row(1, "EMEA", 10, &[], bank);
    assert_eq!(shown(&pending, "block/payment"), "{reason:bank change pending approval}");
}

#[test]
fn an_override_lifts_no_block() {
    let over = r#"{"reason":"closed","until":"2026-12-31"}"#;
    let scene = Scene::new()
        .row(1, "EMEA", 10, &[], vec![says(BLOCK, "erp", r#"{"reason":"fraud"}"#)])
        .row(2, "EMEA", 20, &[1], vec![overriding(BLOCK, "manual", over, Ends::Never)]);
    assert_eq!(shown(&scene, BLOCK), "{reason:fraud}");
    let released = scene.row(3, "EMEA", 30, &[2], vec![says(BLOCK, "erp", r#"{"release":"ok"}"#)]);
    assert_eq!(shown(&released, BLOCK), "nothing");
}

#[test]
fn an_override_that_is_not_readable_is_an_invalid_claim() {
    for text in [
        r#""x""#,
        r#"{"value":"{\"path\":\"general/language\",\"says\":\"de\"}"}"#,
        r#"{"value":"{\"ends\":\"soon\",\"path\":\"general/language\",\"says\":\"de\"}"}"#,
        r#"{"value":"{\"ends\":\"forever\",\"path\":\"general/language\",\"says\":null}"}"#,
        r#"{"value":"{\"ends\":\"forever\",\"path\":\"general/website\",\"says\":\"de\"}"}"#,
        r#"{"release":"x"}"#,
    ] {
        let scene = Scene::new().row(
            1,
            "EMEA",
            10,
            &[],
            vec![says("override/general%2Flanguage", "manual", text)],
        );
        let resolved = resolve(&Policy::built_in(), &scene.claims());
        let of = &resolved.attributes[&LANGUAGE.parse().unwrap()][0].resolution;
        assert!(matches!(of.losers[0].reason, LossReason::Invalid { .. }), "{text}");
        assert_eq!(of.winner, None);
    }
    let nowhere = Scene::new().row(1, "EMEA", 1, &[], vec![says("override/b3-0", "crm", "1")]);
    assert!(resolve(&Policy::built_in(), &nowhere.claims()).attributes.is_empty());
}
