//! Regions apart can together never exceed the limit: random histories against a plain ledger.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::network::{Network, money, transfer};

const REGIONS: [&str; 4] = ["EMEA", "AMER", "APAC", "LATAM"];
const LIMIT: i64 = 1_000;

#[derive(Debug, Clone)]
enum Act {
    /// A region reports a new exposure.
    Draw { who: usize, amount: i64 },
    /// A region gives to another.
    Give { who: usize, to: usize, amount: i64 },
    /// The owner deals a slice anew.
    Deal { to: usize, amount: i64 },
    /// A node gets what another has.
    Sync { from: usize, to: usize },
    /// A transfer past the door, in the name of a region that may not be the writer's own.
    Forge { who: usize, from: usize, to: usize, amount: i64 },
}

fn act(is_honest: bool) -> impl Strategy<Value = Act> {
    let who = || 0..REGIONS.len();
    prop_oneof![
        4 => (who(), -50_i64..700).prop_map(|(who, amount)| Act::Draw { who, amount }),
        3 => (who(), who(), 1_i64..400).prop_map(|(who, to, amount)| Act::Give { who, to, amount }),
        1 => (who(), 0_i64..600).prop_map(|(to, amount)| Act::Deal { to, amount }),
        3 => (who(), who()).prop_map(|(from, to)| Act::Sync { from, to }),
        if is_honest { 0 } else { 2 } => (who(), who(), who(), 1_i64..3_000)
            .prop_map(|(who, from, to, amount)| Act::Forge { who, from, to, amount }),
    ]
}

/// What a hub would keep: one number for each region, changed one after the other.
#[derive(Debug, Default)]
struct Ledger {
    rights: BTreeMap<String, i64>,
    exposure: BTreeMap<String, i64>,
    granted: BTreeMap<String, i64>,
}

impl Ledger {
    fn deal(&mut self, region: &str, amount: i64) {
        let before = self.granted.insert(region.to_owned(), amount).unwrap_or_default();
        *self.rights.entry(region.to_owned()).or_default() += amount - before;
    }
}

fn start() -> (Network, Ledger) {
    let mut network = Network::new(&REGIONS);
    let mut ledger = Ledger::default();
    let deals = [("EMEA", 300), ("AMER", 400), ("APAC", 100), ("LATAM", 0)];
    let mut edits = vec![("limit".to_owned(), money(LIMIT))];
    for (region, amount) in deals {
        edits.push((format!("slice/{region}"), money(amount)));
        ledger.deal(region, amount);
    }
    let edits: Vec<(&str, &str)> =
        edits.iter().map(|(path, says)| (path.as_str(), says.as_str())).collect();
    network.write(0, &edits).unwrap();
    network.sync_all();
    (network, ledger)
}

/// Plays the acts; whatever the door admits goes into the ledger, too.
fn play(acts: &[Act]) -> (Network, Ledger) {
    let (mut network, mut ledger) = start();
    for (number, act) in acts.iter().enumerate() {
        match act {
            Act::Draw { who, amount } => {
                let path = format!("exposure/{}", REGIONS[*who]);
                if network.write(*who, &[(&path, &money(*amount))]).is_ok() {
                    ledger.exposure.insert(REGIONS[*who].to_owned(), *amount);
                }
            }
            Act::Give { who, to, amount } => {
                let says = transfer(REGIONS[*who], REGIONS[*to], *amount);
                if network.write(*who, &[(&format!("transfer/{number}"), &says)]).is_ok() {
                    *ledger.rights.entry(REGIONS[*who].to_owned()).or_default() -= amount;
                    *ledger.rights.entry(REGIONS[*to].to_owned()).or_default() += amount;
                }
            }
            Act::Deal { to, amount } => {
                let path = format!("slice/{}", REGIONS[*to]);
                if network.write(0, &[(&path, &money(*amount))]).is_ok() {
                    ledger.deal(REGIONS[*to], *amount);
                }
            }
            Act::Sync { from, to } => network.sync(*from, *to),
            Act::Forge { who, from, to, amount } => {
                let says = transfer(REGIONS[*from], REGIONS[*to], *amount);
                network.force(*who, &[(&format!("transfer/{number}"), &says)]);
            }
        }
    }
    (network, ledger)
}

/// Everybody gets everything, in some order, a step at a time.
fn heal(network: &mut Network, order: &[(usize, usize)]) {
    for (from, to) in order {
        network.sync(*from, *to);
        let total: i64 = exposures(network, *to).values().map(|amount| *amount.max(&0)).sum();
        assert!(total <= LIMIT, "{total} seen on the way");
    }
    network.sync_all();
}

fn exposures(network: &Network, node: usize) -> BTreeMap<String, i64> {
    let regions = network.slices(node).regions.into_iter();
    regions.map(|(region, slice)| (region.to_string(), slice.exposure)).collect()
}

fn order() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0..REGIONS.len(), 0..REGIONS.len()), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn invariant_10_apart_or_not_the_limit_holds_and_everyone_sees_the_same(
        acts in prop::collection::vec(act(true), 0..40),
        order in order(),
    ) {
        let (mut network, ledger) = play(&acts);
        for (node, region) in REGIONS.iter().enumerate() {
            // What a region knows is never more than what it has.
            let known = network.slices(node).regions[&region.parse().unwrap()].rights();
            prop_assert!(known <= i128::from(ledger.rights[*region]), "{} {:?}", region, ledger);
        }
        heal(&mut network, &order);
        let slices = network.slices(0);
        for node in 1..REGIONS.len() {
            prop_assert_eq!(&slices, &network.slices(node));
        }
        for (region, slice) in &slices.regions {
            let region = region.as_str();
            prop_assert_eq!(slice.rights(), i128::from(ledger.rights[region]), "{}", region);
            let drawn = ledger.exposure.get(region).copied().unwrap_or_default();
            prop_assert_eq!(slice.exposure, drawn);
            prop_assert!(slice.available() >= 0, "{} {:?}", region, slice);
        }
        let total: i64 = ledger.exposure.values().sum();
        prop_assert!(total <= LIMIT, "{total}");
        prop_assert!(slices.transfers.iter().all(|transfer| transfer.fault.is_none()));
        prop_assert_eq!(slices.findings(), Vec::new());
    }

    #[test]
    fn forged_transfers_lend_nothing(
        acts in prop::collection::vec(act(false), 0..40),
        order in order(),
    ) {
        let (mut network, ledger) = play(&acts);
        heal(&mut network, &order);
        let slices = network.slices(0);
        let rights: i128 = slices.regions.values().map(super::super::Slice::rights).sum();
        prop_assert!(rights <= slices.granted());
        prop_assert!(slices.granted() <= i128::from(LIMIT));
        let total: i64 = ledger.exposure.values().map(|amount| *amount.max(&0)).sum();
        prop_assert!(total <= LIMIT, "{total} {:?}", slices.findings());
        for node in 1..REGIONS.len() {
            prop_assert_eq!(&slices, &network.slices(node));
        }
    }

    #[test]
    fn the_order_in_which_claims_lie_never_shows(
        acts in prop::collection::vec(act(false), 0..24),
        seed in any::<u64>(),
    ) {
        let (mut network, _) = play(&acts);
        network.sync_all();
        let again = network.shuffled(0, seed);
        prop_assert_eq!(network.slices(0), network.slices_of(&again));
    }
}
