//! Policies in the roster: who may bring one, when it comes into force, and what it changes.

use crdt_model::policy::{Governors, Policy, Rule};

use super::net::{Key, Net, START_MS, network_key, record, roster_of};
use crate::kv::View as _;
use crate::replica::event::{Event, LinkId, Ticket};
use crate::replica::layout;
use crate::replica::records::{Cause, Records};
use crate::replica::roster::{PolicyEntry, Roster, Signer};

const MINUTE: u64 = 60_000;

/// The built-in policy under which the website is the oldest source's word by rank.
fn by_source(version: u32) -> Policy {
    let mut policy = Policy::built_in();
    policy.version = version;
    policy.source_kinds = vec!["erp".to_owned(), "crm".to_owned()];
    policy.rules.insert("general/website".to_owned(), Rule::SourcePriority);
    policy
}

fn with_policy(mut roster: Roster, policy: Policy, at_ms: u64) -> Roster {
    roster.put_policy(PolicyEntry::new(policy, at_ms), &network_key()).unwrap();
    roster
}

fn adopt(net: &mut Net, at: usize, roster: &Roster) {
    net.event(at, Event::AdoptRoster { ticket: Ticket(1), roster: roster.encode() });
}

/// Two regions whose sources disagree on a website: the CRM wrote last.
fn scene() -> (Net, LinkId) {
    let mut net = Net::new(2);
    let link = net.meet(0, 1);
    net.set_as(0, "erp-emea", record(1), &[("general/website", "https://erp.example/")]).unwrap();
    net.settle();
    net.set_as(1, "crm-apac", record(1), &[("general/website", "https://crm.example/")]).unwrap();
    net.settle();
    (net, link)
}

#[test]
fn a_policy_comes_into_force_at_its_time_on_every_node_and_the_feed_tells_what_changed() {
    let (mut net, _) = scene();
    let before = net.nodes[0].replica.history().state.feed;
    let roster = with_policy(net.roster.clone(), by_source(2), START_MS + MINUTE);
    adopt(&mut net, 0, &roster);
    net.settle();
    for at in 0..2 {
        assert_eq!(net.shown(at, &record(1)), ["general/website=https://crm.example/"]);
        let status = net.nodes[at].replica.status(net.now_ms);
        assert_eq!((status.policy.version, status.policy.next_version), (1, Some(2)));
    }
    net.tick(2 * MINUTE);
    net.settle();
    for at in 0..2 {
        assert_eq!(net.shown(at, &record(1)), ["general/website=https://erp.example/"]);
        let status = net.nodes[at].replica.status(net.now_ms);
        assert_eq!((status.policy.version, status.policy.next_version), (2, None));
        assert!(status.alarms.is_empty(), "{:?}", status.alarms);
        net.assert_sound(at);
    }
    let feed = Records::new(&net.nodes[0].store).feed(before, 9).unwrap();
    assert_eq!(feed.len(), 1);
    assert_eq!(feed[0].1.cause, Cause::Policy(2));
    let paths: Vec<&str> =
        feed[0].1.records[0].fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["general/website"]);
    net.assert_equal();
}

#[test]
fn a_node_that_was_away_resolves_again_when_it_hears_of_the_policy() {
    let (mut net, link) = scene();
    net.cut(link);
    let roster = with_policy(net.roster.clone(), by_source(2), START_MS + 1);
    net.tick(MINUTE);
    adopt(&mut net, 0, &roster);
    net.set_as(0, "erp-emea", record(2), &[("general/website", "https://new.example/")]).unwrap();
    net.meet(0, 1);
    net.settle();
    net.tick(MINUTE);
    net.settle();
    assert_eq!(net.shown(1, &record(1)), ["general/website=https://erp.example/"]);
    net.assert_equal();
    assert!(net.nodes[1].replica.status(net.now_ms).alarms.is_empty());
}

#[test]
fn many_records_are_resolved_page_by_page_and_a_restart_goes_on_where_it_was() {
    let mut net = Net::new(1);
    for number in 1..=450_u16 {
        let id = crdt_model::id::RecordId::derive("test", &number.to_string());
        net.set_as(0, "erp-emea", id, &[("general/website", "https://erp.example/")]).unwrap();
        net.set_as(0, "crm-emea", id, &[("general/website", "https://crm.example/")]).unwrap();
    }
    let roster = with_policy(net.roster.clone(), by_source(2), START_MS);
    adopt(&mut net, 0, &roster);
    assert!(net.nodes[0].replica.status(net.now_ms).policy.resolving);
    net.assert_sound(0);
    net.restart(0);
    let status = net.nodes[0].replica.status(net.now_ms);
    assert!(status.policy.resolving && status.policy.version == 2);
    net.tick(1);
    net.tick(1);
    net.tick(1);
    let status = net.nodes[0].replica.status(net.now_ms);
    assert!(!status.policy.resolving);
    net.assert_sound(0);
    let stored = net.nodes[0].store.scan(&[layout::GOLDEN], &[layout::GOLDEN], 1_000).unwrap();
    let erp = |(_, golden): &&(Vec<u8>, Vec<u8>)| {
        String::from_utf8_lossy(golden).contains("\"value\":\"https://erp.example/\"")
    };
    assert_eq!(stored.iter().filter(erp).count(), 450);
}

/// A roster under a policy that two of three governors must sign the next one.
fn governed() -> (Roster, [Key; 3]) {
    let governors = [Key::new(101), Key::new(102), Key::new(103)];
    let mut policy = by_source(2);
    let keys = governors.iter().zip(["ann", "ben", "cat"]);
    let keys = keys.map(|(key, name)| (name.to_owned(), key.key().to_string())).collect();
    policy.governors = Some(Governors { needed: 2, keys });
    (with_policy(roster_of(2), policy, START_MS), governors)
}

#[test]
fn a_policy_with_too_few_signatures_is_refused_and_the_running_one_stays() {
    let (mut roster, governors) = governed();
    let before = roster.clone();
    let mut entry = PolicyEntry::new(by_source(3), START_MS + MINUTE);
    entry.sign(&roster, &governors[0]);
    // A second time by the same governor, and once by a stranger, count nothing.
    entry.sign(&roster, &governors[0]);
    entry.sign(&roster, &Key::new(99));
    let error = roster.put_policy(entry.clone(), &network_key()).unwrap_err().to_string();
    assert_eq!(
        error,
        "the policy has 1 valid signatures of governors and needs 2; have more governors sign it \
         (concord policy sign)"
    );
    assert_eq!(roster, before);
    entry.sign(&roster, &governors[2]);
    let carried = PolicyEntry::decode(&entry.encode()).unwrap();
    roster.put_policy(carried, &network_key()).unwrap();
    assert_eq!(Roster::decode(&roster.encode()).unwrap(), roster);
}

#[test]
fn a_signature_counts_for_one_successor_only() {
    let (mut roster, governors) = governed();
    let mut entry = PolicyEntry::new(by_source(3), START_MS + MINUTE);
    governors.iter().for_each(|governor| entry.sign(&roster, governor));
    let mut other = entry.clone();
    other.activates_at_ms += 1;
    assert!(roster.put_policy(other, &network_key()).is_err());
    roster.put_policy(entry.clone(), &network_key()).unwrap();
    // Replayed onto its own successor, it has the wrong version and the wrong predecessor.
    let error = roster.put_policy(entry, &network_key()).unwrap_err().to_string();
    assert_eq!(error, "the policy has version 3, the one before it 3; give it version 4");
    let mut early = PolicyEntry::new(by_source(4), START_MS);
    governors.iter().for_each(|governor| early.sign(&roster, governor));
    let error = roster.put_policy(early, &network_key()).unwrap_err().to_string();
    assert!(error.contains("would be in force before"), "{error}");
}

#[test]
fn a_policy_that_fails_the_lint_is_refused() {
    let mut roster = roster_of(1);
    let mut policy = by_source(2);
    policy.rules.insert("credit/{segment}/limit".to_owned(), Rule::LastWriter);
    let entry = PolicyEntry::new(policy, START_MS);
    let error = roster.put_policy(entry, &network_key()).unwrap_err().to_string();
    assert!(error.contains("credit/{segment}/limit"), "{error}");
    assert_eq!(roster, roster_of(1));
}

#[test]
fn a_long_list_travels_in_parts() {
    let mut roster = roster_of(2);
    let mut policy = by_source(2);
    for version in 2..40 {
        policy.version = version;
        // About 100 kB each.
        for number in 0..1_200 {
            let path =
                format!("x/attribute-{version}-{number}-that-takes-a-little-room-in-the-list");
            policy.rules.insert(path, Rule::LastWriter);
        }
        roster = with_policy(roster, policy.clone(), START_MS + u64::from(version));
        policy.rules.edit(|rules| rules.retain(|path, _| !path.starts_with("x/attribute")));
    }
    let parts = roster.parts_from(1);
    assert!(parts.len() > 2 && parts.iter().all(|(_, part)| part.len() <= 1 << 20));
    let mut other = roster_of(0);
    other.extend(0, &roster_of(0).encode()).unwrap();
    for (from, part) in &parts {
        other.extend(*from, part).unwrap();
    }
    assert_eq!(other, roster);
}
