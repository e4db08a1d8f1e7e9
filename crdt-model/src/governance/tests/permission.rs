//! Who may write what: the verdicts, each with its code.

use jiff::civil::date;

use super::scene::{Scene, approve, ask, assertion, of_source, reject, says};
use super::{BANK, BLOCK, LANGUAGE, LIMIT, TERMS};
use crate::claim::ClaimSet;
use crate::document::ClaimEdit;
use crate::governance::{
    Disposition, Ends, Override, Proposal, RequestKind, Who, disposition, judge, lease,
};
use crate::id::Region;
use crate::policy::{FourEyes, NonOwner, Policy, Principal, Role};
use crate::time::Hlc;
use crate::value::Assertion;

const ACCOUNT: &str = super::ACCOUNT;

fn four_eyes(approvals: u8) -> FourEyes {
    FourEyes {
        approvals,
        exempt: vec!["register".to_owned()],
        only_raise: false,
        at_creation: false,
    }
}

/// Open to everybody; bank accounts and limits need a second person, limits when they rise.
fn open() -> Policy {
    let mut policy = Policy::built_in();
    policy.four_eyes.insert("bank/{iban}".to_owned(), four_eyes(2));
    let raise = FourEyes { only_raise: true, ..four_eyes(1) };
    policy.four_eyes.insert("credit/{segment}/limit".to_owned(), raise.clone());
    policy.four_eyes.insert("credit/{segment}/risk_class".to_owned(), raise.clone());
    policy.four_eyes.insert("company/{company_code}/payment_block".to_owned(), raise);
    policy
}

fn principal(roles: &[Role]) -> Principal {
    Principal {
        roles: roles.iter().copied().collect(),
        regions: vec![],
        company_codes: vec![],
        sources: vec![],
    }
}

/// The same with named principals.
fn closed() -> Policy {
    let bound = Principal {
        regions: vec!["EMEA".parse().unwrap()],
        company_codes: vec!["1000".to_owned()],
        sources: vec!["crm".parse().unwrap(), "manual-desk".parse().unwrap()],
        ..principal(&[Role::Steward, Role::Approver])
    };
    let principals = [
        ("rita", principal(&[Role::Requester])),
        ("sam", principal(&[Role::Steward])),
        ("ada", principal(&[Role::Approver])),
        ("gus", principal(&[Role::Governor])),
        ("max", principal(&[Role::Auditor])),
        ("bo", bound),
    ];
    let principals = principals.map(|(name, of)| (name.to_owned(), of)).into();
    Policy { principals, ..open() }
}

struct Case {
    policy: Policy,
    principal: &'static str,
    region: Region,
    creates: bool,
    past: ClaimSet,
}

fn case(policy: Policy, principal: &'static str) -> Case {
    let region = "EMEA".parse().unwrap();
    Case { policy, principal, region, creates: false, past: ClaimSet::default() }
}

impl Case {
    fn past(self, scene: &Scene) -> Self {
        Self { past: scene.claims(), ..self }
    }

    fn who(&self) -> Who<'_> {
        Who { principal: self.principal, region: &self.region, creates: self.creates }
    }

    fn code(&self, edits: &[ClaimEdit]) -> Option<&'static str> {
        let denial = judge(&self.policy, &self.who(), edits, &|| self.past.clone()).err()?;
        assert!(denial.text.ends_with('.'), "{denial}");
        Some(denial.code)
    }
}

fn over(path: &str) -> ClaimEdit {
    let json = match path {
        BLOCK => r#"{"reason":"x"}"#,
        BANK => ACCOUNT,
        _ => r#""de""#,
    };
    let Assertion::Stated(statement) = assertion(json) else { panic!() };
    let overriding = Override { path: path.parse().unwrap(), statement, ends: Ends::Never };
    let (path, assertion) = overriding.to_assertion().unwrap();
    ClaimEdit::new(path, "crm".parse().unwrap(), assertion)
}

fn limit(amount: i64) -> String {
    format!(r#"{{"amount":{amount},"currency":"EUR"}}"#)
}

#[test]
fn everybody_acts_in_his_own_name() {
    let until = Hlc::from_ms(9);
    let leased = || lease("r", "anna", until, &"crm".parse().unwrap()).unwrap();
    for edits in [
        ask("r", "anna", "crm", 1, &[(LANGUAGE, r#""de""#)]),
        vec![approve("r", "anna")],
        vec![reject("r", "anna")],
        vec![leased()],
    ] {
        assert_eq!(case(open(), "anna").code(&edits), None);
        assert_eq!(case(open(), "ben").code(&edits), Some("principal-mismatch"));
    }
    let nameless = says("request/r/opened", "crm", r#"{"needed":1}"#);
    assert_eq!(case(open(), "anna").code(&[nameless]), Some("principal-mismatch"));
}

#[test]
fn what_is_sensitive_needs_a_request() {
    let bank = |source: &str| [says(BANK, source, ACCOUNT)];
    let steward = case(open(), "anna");
    assert_eq!(steward.code(&bank("crm")), Some("needs-request"));
    assert_eq!(steward.code(&[says(BANK, "crm", "null")]), Some("needs-request"));
    assert_eq!(steward.code(&[says(BANK, "crm", r#"{"release":"gone"}"#)]), Some("needs-request"));
    assert_eq!(steward.code(&bank("register-de")), None, "its kind is exempt");
    assert_eq!(steward.code(&[says(LANGUAGE, "crm", r#""de""#)]), None);
    let creates = Case { creates: true, ..steward };
    assert_eq!(creates.code(&bank("crm")), None, "first data");
    let mut strict = creates;
    let terms = FourEyes { at_creation: true, ..four_eyes(1) };
    strict.policy.four_eyes.insert("bank/{iban}".to_owned(), terms);
    assert_eq!(strict.code(&bank("crm")), Some("needs-request"), "first data as well");
    assert_eq!(strict.code(&bank("register")), None, "exempt at creation as well");
}

#[test]
fn the_entry_of_a_path_comes_before_those_of_patterns_and_all_that_fit_count() {
    let mut policy = open();
    policy
        .four_eyes
        .insert(BANK.to_owned(), FourEyes { exempt: vec!["crm".to_owned()], ..four_eyes(1) });
    assert_eq!(case(policy, "anna").code(&[says(BANK, "crm", ACCOUNT)]), None);
    let mut policy = open();
    policy.four_eyes.insert("{a}/{b}".to_owned(), FourEyes { exempt: vec![], ..four_eyes(3) });
    let exempt = [says(BANK, "register", ACCOUNT)];
    assert_eq!(case(policy, "anna").code(&exempt), Some("needs-request"));
}

#[test]
fn only_what_is_less_conservative_needs_a_second_person_where_the_policy_says_so() {
    let scene = Scene::new().row(
        1,
        "EMEA",
        10,
        &[],
        vec![
            says(LIMIT, "erp", &limit(500)),
            says("credit/EU01/risk_class", "erp", r#""medium""#),
            says(BLOCK, "crm", r#"{"reason":"x"}"#),
        ],
    );
    let needs = Some("needs-request");
    let dated = r#"{"amount":100,"currency":"EUR","valid_to":"2027-01-31"}"#;
    let dollars = r#"{"amount":100,"currency":"USD"}"#;
    for (path, json, code) in [
        (LIMIT, limit(500).as_str(), None),
        (LIMIT, limit(499).as_str(), None),
        (LIMIT, limit(501).as_str(), needs),
        (LIMIT, dated, needs),
        (LIMIT, dollars, needs),
        (LIMIT, "null", needs),
        (LIMIT, r#""much""#, needs),
        ("credit/EU01/risk_class", r#""high""#, None),
        ("credit/EU01/risk_class", r#""low""#, needs),
        ("credit/US01/limit", limit(1).as_str(), needs),
        (BLOCK, r#"{"reason":"y"}"#, None),
        (BLOCK, r#"{"reason":"y","until":"2027-01-31"}"#, needs),
        (BLOCK, r#"{"release":"paid"}"#, needs),
        (BLOCK, "null", needs),
    ] {
        let edits = [says(path, "crm", json)];
        assert_eq!(case(open(), "anna").past(&scene).code(&edits), code, "{path} {json}");
    }
    // Lower than now is not enough: nothing may rise on any day.
    let falls = r#"{"amount":200,"currency":"EUR","valid_from":"2027-06-01"}"#;
    let scene = scene.row(2, "EMEA", 20, &[1], vec![says(LIMIT, "manual", falls)]);
    let court = case(open(), "anna").past(&scene);
    assert_eq!(court.code(&[says(LIMIT, "crm", &limit(300))]), needs);
    assert_eq!(court.code(&[says(LIMIT, "crm", &limit(200))]), None);
}

#[test]
fn a_request_asks_for_as_many_approvals_as_the_policy_wants() {
    let edits = |needed| ask("r", "anna", "crm", needed, &[(BANK, ACCOUNT), (LANGUAGE, r#""de""#)]);
    assert_eq!(case(open(), "anna").code(&edits(1)), Some("needs-request"));
    assert_eq!(case(open(), "anna").code(&edits(2)), None);
    assert_eq!(case(open(), "anna").code(&edits(3)), None);
    let plain = ask("r", "anna", "crm", 1, &[(LANGUAGE, r#""de""#)]);
    assert_eq!(case(open(), "anna").code(&plain), None, "one at least");
}

#[test]
fn the_facts_of_a_request_are_written_once() {
    let opened = ask("r", "anna", "crm", 1, &[(LANGUAGE, r#""de""#)]);
    let scene = Scene::new().row(1, "EMEA", 10, &[], opened.clone());
    let anna = || case(open(), "anna").past(&scene);
    assert_eq!(anna().code(&opened), Some("fact-final"));
    assert_eq!(anna().code(&opened[1..]), Some("fact-final"), "an edit alone");
    let moved: Vec<_> = opened.iter().cloned().map(|edit| of_source(edit, "erp")).collect();
    assert_eq!(anna().code(&moved), Some("fact-final"));
    assert_eq!(anna().code(&[moved[1].clone(), opened[0].clone()]), Some("fact-final"));
    for fact in ["request/r/opened", "request/r/edit/general%2Flanguage", "request/r/decision/anna"]
    {
        assert_eq!(anna().code(&[says(fact, "crm", "null")]), Some("fact-final"), "{fact}");
    }
    let decided = scene.row(2, "EMEA", 20, &[1], vec![approve("r", "ben")]);
    let ben = case(open(), "ben").past(&decided);
    assert_eq!(ben.code(&[reject("r", "ben")]), Some("fact-final"));
    assert_eq!(ben.code(&[of_source(reject("r", "ben"), "web")]), Some("fact-final"));
    assert_eq!(ben.code(&[says("request/r/lease", "crm", "null")]), None, "a lease is given back");
    assert_eq!(ben.code(&[says("request/r/comment", "crm", "1")]), None, "of a newer release");
}

#[test]
fn nobody_approves_his_own_request() {
    let scene =
        Scene::new().row(1, "EMEA", 10, &[], ask("r", "sam", "crm", 1, &[(LANGUAGE, r#""de""#)]));
    let anna = case(open(), "sam").past(&scene);
    assert_eq!(anna.code(&[approve("r", "sam")]), Some("four-eyes"));
    assert_eq!(anna.code(&[reject("r", "sam")]), None);
    let sam = case(closed(), "sam").past(&scene);
    assert_eq!(sam.code(&[reject("r", "sam")]), None, "he withdraws");
    assert_eq!(case(closed(), "ada").past(&scene).code(&[approve("r", "ada")]), None);
}

#[test]
fn roles_say_who_may_do_what() {
    let no = Some("not-authorised");
    let ask_as = |who: &str| ask("r", who, "crm", 1, &[(LANGUAGE, r#""de""#)]);
    for (who, writes, asks, decides) in [
        ("rita", Some("needs-request"), None, no),
        ("sam", None, None, no),
        ("ada", no, no, None),
        ("gus", no, no, no),
        ("max", no, no, no),
        ("nobody", no, no, no),
    ] {
        let court = case(closed(), who);
        assert_eq!(court.code(&[says(LANGUAGE, "crm", r#""de""#)]), writes, "{who}");
        assert_eq!(court.code(&[over(LANGUAGE)]), writes, "{who}");
        assert_eq!(court.code(&ask_as(who)), asks, "{who}");
        assert_eq!(court.code(&[approve("r", who)]), decides, "{who}");
        assert_eq!(court.code(&[reject("r", who)]), decides, "{who}");
    }
    assert_eq!(case(closed(), "max").code(&[says("request/r/new", "crm", "1")]), no);
    let leased = lease("r", "rita", Hlc::from_ms(9), &"crm".parse().unwrap()).unwrap();
    assert_eq!(case(closed(), "rita").code(&[leased]), no);
}

#[test]
fn principals_keep_within_their_regions_sources_and_company_codes() {
    let no = Some("not-authorised");
    let bo = || case(closed(), "bo");
    let terms = |code: &str| format!("company/{code}/payment_terms");
    assert_eq!(bo().code(&[says(TERMS, "crm", r#""NT30""#)]), None);
    assert_eq!(bo().code(&[says(&terms("2000"), "crm", r#""NT30""#)]), no);
    assert_eq!(bo().code(&[says(TERMS, "erp", r#""NT30""#)]), no);
    let abroad = Case { region: "APAC".parse().unwrap(), ..bo() };
    assert_eq!(abroad.code(&[says(TERMS, "crm", r#""NT30""#)]), no);
    let other = ask("r", "bo", "crm", 1, &[(&terms("2000"), r#""NT30""#)]);
    assert_eq!(bo().code(&other), no, "nor propose it");
    let asked = ask("r", "sam", "crm", 1, &[(&terms("2000"), r#""NT30""#)]);
    let scene = Scene::new().row(1, "EMEA", 10, &[], asked);
    assert_eq!(bo().past(&scene).code(&[approve("r", "bo")]), no, "nor approve it");
    assert_eq!(bo().code(&[says(LANGUAGE, "crm", r#""de""#)]), None);
}

#[test]
fn overrides_of_what_is_at_stake_come_through_a_request() {
    let anna = || case(open(), "anna");
    assert_eq!(anna().code(&[over(LANGUAGE)]), None);
    for path in [BANK, BLOCK, "identity/account_group"] {
        assert_eq!(anna().code(&[over(path)]), Some("needs-request"), "{path}");
        let text = crate::governance::fact::json_of(&over(path).assertion).to_string();
        let proposed = |needed| {
            ask("r", "anna", "crm", needed, &[(over(path).key.path.as_str(), text.as_str())])
        };
        let listed = path != "identity/account_group";
        let code = (!listed).then_some("not-authorised");
        assert_eq!(anna().code(&proposed(8)), code, "{path}");
        // To end one gives another value, too.
        let mut ends = over(path);
        ends.assertion = Assertion::Tombstone;
        assert_eq!(anna().code(&[ends]), Some("needs-request"), "{path}");
    }
    let text = crate::governance::fact::json_of(&over(BANK).assertion).to_string();
    let one = ask("r", "anna", "crm", 1, &[(over(BANK).key.path.as_str(), text.as_str())]);
    assert_eq!(anna().code(&one), Some("needs-request"), "as many as the attribute needs");
}

#[test]
fn the_door_proposes_what_it_may_not_write() {
    let day = date(2027, 1, 1);
    let decide = |court: &Case, edit: ClaimEdit| {
        disposition(&court.policy, &court.who(), &court.past, day, &edit)
    };
    let scene = Scene::new().row(1, "APAC", 10, &[], vec![says(TERMS, "erp", r#""NT30""#)]);
    let anna = case(open(), "anna").past(&scene);
    assert_eq!(decide(&anna, says(LANGUAGE, "crm", r#""de""#)), Disposition::Direct);
    assert_eq!(decide(&anna, says(TERMS, "crm", r#""NT60""#)), Disposition::Direct);
    let proposal = |of: Disposition| match of {
        Disposition::Propose(Proposal { kind, needed, why }) => {
            assert!(why.ends_with('.'));
            Some((kind, needed))
        }
        Disposition::Direct | Disposition::Denied(_) => None,
    };
    let bank = decide(&anna, says(BANK, "crm", ACCOUNT));
    assert_eq!(proposal(bank), Some((RequestKind::Change, 2)));
    assert_eq!(proposal(decide(&anna, over(BANK))), Some((RequestKind::Change, 2)));

    let policy = Policy { non_owner: NonOwner::Propose, ..open() };
    let anna = case(policy.clone(), "anna").past(&scene);
    let terms = decide(&anna, says(TERMS, "crm", r#""NT60""#));
    assert_eq!(proposal(terms), Some((RequestKind::Ownership, 1)));
    let owner = Case { region: "APAC".parse().unwrap(), ..case(policy, "anna").past(&scene) };
    assert_eq!(decide(&owner, says(TERMS, "crm", r#""NT60""#)), Disposition::Direct);

    let rita = case(closed(), "rita").past(&scene);
    let plain = decide(&rita, says(LANGUAGE, "crm", r#""de""#));
    assert_eq!(proposal(plain), Some((RequestKind::Change, 1)));
    let max = case(closed(), "max").past(&scene);
    assert!(matches!(decide(&max, says(LANGUAGE, "crm", r#""de""#)), Disposition::Denied(_)));
}

#[test]
fn ordinary_writes_never_ask_for_the_past() {
    let court = case(open(), "anna");
    let never = || panic!("asked for the past");
    for edits in [vec![says(LANGUAGE, "crm", r#""de""#)], vec![says(BANK, "register", ACCOUNT)]] {
        assert_eq!(judge(&court.policy, &court.who(), &edits, &never), Ok(()));
    }
}
