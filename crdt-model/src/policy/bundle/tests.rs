//! Tests of the file: what is layered, what is written, and where a fault is said to be.

use proptest::prelude::*;

use super::*;
use crate::policy::{Role, Severity};

fn fault(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn what_a_file_does_not_name_keeps_the_built_in_rule() {
    let policy = read(
        "version = 2\n[rules]\n\"name/legal\" = \"last-writer\"\n\
         [owners]\n\"company/1000\" = \"EMEA\"\n",
    )
    .unwrap();
    let mut expected = Policy { version: 2, ..Policy::built_in() };
    expected.rules.insert("name/legal".to_owned(), Rule::LastWriter);
    expected.owners.insert("company/1000".to_owned(), "EMEA".parse().unwrap());
    assert_eq!(policy, expected);
    let bare = read("\u{feff}version = 1\nbase = \"none\"\n").unwrap();
    assert_eq!((bare.rules.len(), bare.source_kinds.len()), (0, 0));
}

#[test]
fn a_fault_names_its_place_and_the_nearest_word() {
    for (text, says) in [
        ("version = 1\nowner = 1\n", "line 2, column 1: \"owner\" is not a key"),
        ("version = 1\nowner = 1\n", "Did you mean owners?"),
        ("version = 1\n[rules]\n  \"name/legal\" = \"last-wrter\"", "line 3, column 18: "),
        ("version = 1\n[rules]\n\"name/legal\" = \"last-wrter\"", "Did you mean last-writer?"),
        ("version = 1\n[rules]\n\"name/legal\" = \"moon\"", "Known are last-writer, "),
        ("version = 1\n[owners]\nname = \"Emea\"", "line 3, column 8: "),
        ("version = 1\n[owners]\nname = \"Emea\"", "upper-case letters"),
        ("version = 1\n[numbers.emea]\nprefix = \"A\"\nfrom = 1\nto = 2", "upper-case letters"),
        ("version = 1\n[principals.ada]\nroles = [\"stewart\"]", "Did you mean steward?"),
        ("version = 1\n[four_eyes.\"bank/{iban}\"]\n", "The key \"approvals\" is missing"),
        ("version = 1\n[four_eyes.\"bank/{iban}\"]\napprovals = -1", "from 0 to 255"),
        (
            "version = \"1\"\n",
            "line 1, column 11: Here stands a string \"1\"; write a whole number",
        ),
        ("source_kinds = []\n", "Write version = 2"),
        ("version = 1\nversion = 2\n", "line 2, column 1: Duplicate key"),
        ("version = 1\n[rules\n", "line 2, column 7: "),
        ("version = 1\nrules = 3\n", "write a table"),
        ("version = 1\nsource_kinds = \"erp\"\n", "write a list in brackets"),
    ] {
        assert!(fault(text).contains(says), "{text:?} gives {:?}, not {says:?}", fault(text));
    }
    assert_eq!(read(&" ".repeat(BUNDLE_MAX + 1)), Err(BundleError::TooLong(BUNDLE_MAX + 1)));
}

#[test]
fn the_written_policy_marks_what_differs_from_the_built_in_one() {
    let mut policy = Policy::built_in();
    policy.rules.insert("name/legal".to_owned(), Rule::LastWriter);
    let text = write(&policy);
    assert!(text.contains("\"name/legal\" = \"last-writer\" # built-in: source-priority\n"));
    assert!(!text.contains("base"), "{text}");
    assert_eq!(read(&text).as_ref(), Ok(&policy));
    policy.rules.remove("name/legal");
    assert_eq!(read(&write(&policy)), Ok(policy));
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-z/{}\"'\\\\#\n\u{7f}]{0,12}"]
}

fn some<V: Strategy>(value: V) -> impl Strategy<Value = BTreeMap<String, V::Value>>
where
    V::Value: std::fmt::Debug,
{
    proptest::collection::btree_map(any_text(), value, 0..4)
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(any_text(), 0..4)
}

fn any_region() -> impl Strategy<Value = Region> {
    "[A-Z0-9-]{1,16}".prop_map(|text| text.parse().unwrap())
}

fn any_rule() -> impl Strategy<Value = Rule> {
    prop_oneof![Just(Rule::LastWriter), Just(Rule::OwnerElseLeast), Just(Rule::AnyBlock)]
}

prop_compose! {
    fn any_four_eyes()(approvals in any::<u8>(), exempt in texts(), only_raise in any::<bool>(),
        at_creation in any::<bool>()) -> FourEyes
    {
        FourEyes { approvals, exempt, only_raise, at_creation }
    }
}

prop_compose! {
    fn any_check()(applies in texts(), expression in any_text(), text in any_text(),
                   is_error in any::<bool>()) -> Check
    {
        let severity = if is_error { Severity::Error } else { Severity::Warning };
        Check { applies, expression, text, severity }
    }
}

prop_compose! {
    fn any_range()(prefix in any_text(), from in 0..(1u64 << 53), to in 0..(1u64 << 53))
        -> NumberRange
    {
        NumberRange { prefix, from, to }
    }
}

prop_compose! {
    fn any_principal()(steward in any::<bool>(), company_codes in texts(),
                       regions in proptest::collection::vec(any_region(), 0..3)) -> Principal
    {
        let roles = if steward { vec![Role::Steward, Role::Auditor] } else { Vec::new() };
        let sources = vec!["erp-emea".parse().unwrap()];
        Principal { roles: roles.into_iter().collect(), regions, company_codes, sources }
    }
}

prop_compose! {
    fn rarely()(four_eyes in some(any_four_eyes()), checks in some(any_check()),
                numbers in proptest::collection::btree_map(any_region(), any_range(), 0..3),
                principals in some(any_principal()),
                governors in proptest::option::of((any::<u8>(), some(any_text())))) -> Policy
    {
        let governors = governors.map(|(needed, keys)| Governors { needed, keys });
        Policy { four_eyes, checks, numbers, principals, governors, ..Policy::built_in() }
    }
}

prop_compose! {
    fn any_policy()(policy in rarely(), version in any::<u32>(), source_kinds in texts(),
                    rules in some(any_rule()), owners in some(any_region()),
                    follows in some(any_text()), codes in some(any_text()),
                    is_whole in any::<bool>(), proposes in any::<bool>()) -> Policy
    {
        let mut all = if is_whole { policy.rules.clone() } else { Rules::default() };
        all.extend(rules);
        let non_owner = if proposes { NonOwner::Propose } else { NonOwner::Claim };
        Policy { version, source_kinds, rules: all, owners, follows, codes, non_owner, ..policy }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back_to_the_same_policy(policy in any_policy()) {
        let text = write(&policy);
        prop_assert_eq!(read(&text), Ok(policy), "{}", text);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any_text()) {
        let _ = read(&text).is_ok();
        let _ = read(&format!("version = 1\n[checks.{text}]\n{text}")).is_ok();
    }
}
