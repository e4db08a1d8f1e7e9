//! Mutated Automerge changes in commits with a valid signature, each with its checksum repaired.
//!
//! Two sites get the commits of three forgers in different orders. Whatever is in them: no panic, one
//! verdict everywhere, every record still loads and takes the next write.

use std::cell::Cell;
use std::collections::BTreeMap;

use crdt_model::document::hostile::with_valid_checksum;
use crdt_model::document::{ClaimEdit, CustomerDocument, Refusal};
use crdt_model::id::{CommitRef, RecordId};
use crdt_model::value::Assertion;
use node::replica::commit::Commit;

use super::mutator::mutated;
use super::scene::{Forger, Scene, block, record, text};
use crate::numbers::Numbers;

/// Customers that are written on.
const CUSTOMERS: u64 = 12;
/// The most changes of a commit.
const ITEMS_MAX: u64 = 8;
/// Changes kept to take parts from.
const CORPUS_MAX: usize = 64;

const ATTRIBUTES: [&str; 6] = [
    "name/legal@crm",
    "x/segment@crm",
    "x/terms@manual",
    "general/website@crm",
    "x/note/one@crm",
    "x/note/two@manual",
];

/// What a forger knows of the customers: what it has followed, and what was taken of its own.
type Seen = BTreeMap<RecordId, CustomerDocument>;

/// Sends so many mutated changes, and says in `case` how far it is.
pub(crate) fn batch(seed: u64, cases: u64, case: &Cell<u64>) {
    Attack::begin(seed).run(cases, case);
}

/// Sites that agree on some customers, with conflicts, overwritten values and tombstones.
pub(crate) fn customers(sites: usize) -> Scene {
    let mut scene = Scene::found(sites);
    for number in 0..CUSTOMERS {
        let edits =
            [("name/legal", text("A")), ("x/terms", text("N30")), ("x/note/one", text("1"))];
        scene.write(0, record(number), &edits).unwrap();
    }
    let mut links: Vec<_> = (1..sites).map(|other| scene.meet(0, other)).collect();
    links.drain(..).for_each(|link| scene.cut(link));
    for number in 0..CUSTOMERS {
        for at in 0..sites {
            let name = format!("{at} & {number}");
            let edits = [("name/legal", text(&name)), ("x/terms", Assertion::Tombstone)];
            scene.write(at, record(number), &edits).unwrap();
        }
    }
    // Everybody hears from everybody.
    for _ in 0..2 {
        links.extend((1..sites).map(|other| scene.meet(0, other)));
        links.drain(..).for_each(|link| scene.cut(link));
    }
    scene
}

struct Attack {
    numbers: Numbers,
    scene: Scene,
    forgers: Vec<Forger>,
    seen: Vec<Seen>,
    /// Commits that the first site took, by forger.
    taken: Vec<Vec<Commit>>,
    corpus: Vec<Vec<u8>>,
    /// Changes that had an effect.
    applied: u64,
}

impl Attack {
    fn begin(seed: u64) -> Self {
        Self::over(customers(2), seed)
    }

    fn over(scene: Scene, seed: u64) -> Self {
        let forgers = Forger::all(&scene);
        Self {
            numbers: Numbers::new(seed),
            seen: vec![Seen::new(); forgers.len()],
            taken: vec![Vec::new(); forgers.len()],
            corpus: Vec::new(),
            applied: 0,
            scene,
            forgers,
        }
    }

    fn run(&mut self, cases: u64, case: &Cell<u64>) {
        while case.get() < cases {
            let who = self.numbers.index(self.forgers.len());
            let follow = self.forgers[who].head.is_none() || self.numbers.one_in(12);
            if follow {
                self.seen[who] = self.known();
            }
            let mut items = BTreeMap::new();
            for _ in 0..=self.numbers.below(ITEMS_MAX) {
                let number = self.numbers.below(CUSTOMERS);
                if let Some(change) = self.change(who, &record(number)) {
                    items.insert(record(number), change);
                }
            }
            case.set(case.get() + items.len() as u64);
            self.send(who, follow, items);
        }
        assert!(self.applied > cases / 50, "only {} changes had an effect", self.applied);
        self.end();
    }

    /// The documents of the first site.
    fn known(&self) -> Seen {
        let records = self.scene.records(0);
        let all = (0..CUSTOMERS).map(record);
        all.map(|record| (record, records.document(&record).unwrap().unwrap())).collect()
    }

    /// A change that is honest but for what the mutator did to it.
    fn change(&mut self, who: usize, record: &RecordId) -> Option<Vec<u8>> {
        let numbers = &mut self.numbers;
        let mut edits = BTreeMap::new();
        for _ in 0..=numbers.below(4) {
            let assertion = match numbers.below(5) {
                0 => Assertion::Tombstone,
                _ => text(&format!("value {}", numbers.below(50))),
            };
            edits.insert(numbers.pick(&ATTRIBUTES), assertion);
        }
        let edits: Vec<ClaimEdit> = edits
            .into_iter()
            .map(|(key, assertion)| ClaimEdit { key: key.parse().unwrap(), assertion })
            .collect();
        let honest = self.seen[who][record].propose(&self.forgers[who].next(), &edits, None);
        let honest = honest.unwrap()?;
        if self.corpus.len() < CORPUS_MAX {
            self.corpus.push(honest.clone());
        } else {
            let at = numbers.index(CORPUS_MAX);
            self.corpus[at].clone_from(&honest);
        }
        if numbers.one_in(20) {
            return Some(honest);
        }
        // In every second one the header stays, so that it does not hide the columns.
        let kept = if numbers.one_in(2) { 10 } else { honest.len() - honest.len() / 2 };
        let tail = mutated(&honest[kept..], &self.corpus, numbers);
        Some(with_valid_checksum(&[&honest[..kept], &tail].concat()))
    }

    /// Signs the items and sends them to the first site, which must judge as their author would.
    fn send(&mut self, who: usize, follow: bool, items: BTreeMap<RecordId, Vec<u8>>) {
        if self.seen[who].is_empty() {
            self.seen[who] = self.known();
        }
        let forger = &mut self.forgers[who];
        let author = forger.next();
        let follows = if follow { self.scene.heads(0, &forger.log) } else { Vec::new() };
        let commit = forger.signed(forger.draft(follows, items.clone().into_iter().collect()));
        let link = self.scene.call(forger, 0);
        self.scene.inject(link, 0, block(std::slice::from_ref(&commit)));
        self.scene.settle();
        if !forger.taken(&self.scene, 0) {
            let longest = items.values().map(Vec::len).max();
            assert!(longest > Some(256 << 10), "a commit with a valid signature is not taken");
            return;
        }
        self.taken[who].push(commit);
        for (record, change) in items {
            let verdict = self.seen[who][&record].admit(&author, &change);
            let found = self.set_aside(&record, &author.commit);
            match (verdict, found) {
                (Ok(after), None) => {
                    self.applied += 1;
                    self.seen[who].insert(record, after);
                }
                // A rule about what is said, not about how.
                (Ok(_), Some(_)) => {}
                (Err(Refusal::Quarantine(code)), found) => {
                    assert_eq!(found.as_deref(), Some(code.code()), "{record}");
                }
                (Err(Refusal::Defect(reason)), _) => panic!("{record}: {reason}"),
            }
        }
    }

    fn set_aside(&self, record: &RecordId, commit: &CommitRef) -> Option<String> {
        let items = self.scene.records(0).quarantined(Some(record), usize::MAX).unwrap();
        items.into_iter().find(|item| item.commit == *commit).map(|item| item.code)
    }

    /// The other site gets it all in another order: of each log as much as goes, the last log first.
    fn replay(&mut self) {
        let mut next = vec![0; self.taken.len()];
        loop {
            let before = next.clone();
            for who in (0..self.taken.len()).rev() {
                while let Some(commit) = self.taken[who].get(next[who]) {
                    let link = self.scene.call(&self.forgers[who], 1);
                    let held = self.scene.replica(1).commits_held();
                    self.scene.inject(link, 1, block(std::slice::from_ref(commit)));
                    self.scene.settle();
                    if self.scene.replica(1).commits_held() == held {
                        break;
                    }
                    next[who] += 1;
                }
            }
            if next == before {
                break;
            }
        }
        let sent: Vec<usize> = self.taken.iter().map(Vec::len).collect();
        assert_eq!(next, sent, "the other site does not take every commit");
    }

    /// The attack is over: what is shown is alike, can be proved, and is written on again.
    fn end(&mut self) {
        self.replay();
        let scene = &mut self.scene;
        scene.assert_equal(0, 1);
        [0, 1].into_iter().for_each(|at| scene.assert_sound(at));
        for number in 0..CUSTOMERS {
            let at = usize::try_from(number % 2).unwrap();
            scene.write(at, record(number), &[("x/after", text("written"))]).unwrap();
        }
        let link = scene.meet(0, 1);
        scene.assert_equal(0, 1);
        for number in 0..CUSTOMERS {
            for at in [0, 1] {
                let golden = scene.records(at).golden(&record(number)).unwrap().unwrap();
                let after = &golden.attributes[&"x/after".parse().unwrap()];
                let shown = after[0].value.as_ref().and_then(|value| value.as_text());
                assert_eq!(shown, Some("written"), "{}", record(number));
            }
        }
        // A restart reads the same.
        scene.cut(link);
        let before = scene.digests(0);
        scene.restart(0);
        assert_eq!(scene.digests(0), before);
        assert_eq!(scene.alarms, Vec::<String>::new());
    }
}
